"""Whether the BLAS runs the best kernels this processor can run, and what to set if not.

OpenBLAS and BLIS choose kernels by the processor's family and model, and fall back to older ones
on a processor newer than themselves; the instruction sets may well be there. Nothing is measured
here: processor features are compared with the kernels that the build holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bench_core.blas import elf
from bench_core.blas.detection import detect
from bench_core.blas.libraries import LIBRARIES
from bench_core.blas.report import Library
from bench_core.errors import BadInput
from bench_core.machine import Cpu, cpu


@dataclass(frozen=True)
class KernelAdvice:
    """Which kernels run and which could.

    Attributes
    ----------
    library : name of the BLAS.
    current, best : core types in the library's words; None where they cannot be told.
    environment : variables that select ``best``; empty when ``current`` is as good.
    reason : one sentence for people.
    """

    library: str
    current: str | None
    best: str | None
    environment: dict[str, str] = field(default_factory=dict)
    reason: str = ""


def kernel_environment(choice: str = "default") -> dict[str, str]:
    """Return the variables for ``choice``: "default" (none) or "best" kernels.

    "best" is empty when the library's own dispatch is already the best. The variables must be
    set before numpy is imported.
    """
    if choice not in ("default", "best"):
        raise BadInput(f"kernels {choice!r}: choose 'default' or 'best'")
    return {} if choice == "default" else kernel_advice().environment


def kernel_advice(found: Library | None = None, processor: Cpu | None = None) -> KernelAdvice:
    """Return the advice for numpy's BLAS, or for the library ``found`` on ``processor``."""
    found = found or detect().numpy
    processor = processor or cpu()
    if found.name == "unknown" or found.file is None:
        return KernelAdvice(found.name, None, None, reason="no BLAS file was recognised")
    library = LIBRARIES.get(found.name)
    variable = library.kernel_variable
    if variable is None:
        reason = f"{library.title} chooses its kernels itself and no variable raises them"
        return KernelAdvice(found.name, found.architecture, found.architecture, reason=reason)
    built = library.kernels_in(elf.read(Path(found.file)).exported)
    ladder = [core for core in library.kernel_order(processor) if core in built]
    current = (found.architecture or "").upper()
    if not ladder or current not in {core.upper() for core in built}:
        reason = f"{library.title} runs {found.architecture} kernels; none better is known for it"
        return KernelAdvice(found.name, found.architecture, found.architecture, reason=reason)
    best = ladder[0]
    if library.rank(current) >= library.rank(best):
        reason = (
            f"{library.title} runs {found.architecture} kernels, the best this processor can use"
        )
        return KernelAdvice(found.name, found.architecture, found.architecture, reason=reason)
    return KernelAdvice(
        found.name,
        found.architecture,
        best,
        {variable: best},
        f"{library.title} runs {found.architecture} kernels although the processor has "
        f"{processor.levels()[-1]}: set {variable}={best}",
    )
