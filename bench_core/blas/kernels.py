"""Comparison of the kernels that the BLAS runs with the best for this processor.

OpenBLAS chooses kernels by the processor's family and model, and falls back to older ones on a
newer processor that it does not know. Nothing is measured here: the processor's instruction sets
are compared with the kernels in the build.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bench_core.blas import elf
from bench_core.blas.detection import detect
from bench_core.blas.libraries import LIBRARIES
from bench_core.blas.report import Library
from bench_core.errors import InputError
from bench_core.machine import Cpu, cpu


@dataclass(frozen=True)
class KernelAdvice:
    """Kernels that run, and the best that could.

    Attributes
    ----------
    library : name of the BLAS.
    current, best : core types in the library's names; None if unknown.
    environment : variables that select ``best``; empty when ``current`` is as good.
    reason : one sentence of explanation.

    Examples
    --------
    >>> KernelAdvice("openblas", "Haswell", "SKYLAKEX", {"OPENBLAS_CORETYPE": "SKYLAKEX"}).best
    'SKYLAKEX'
    """

    library: str
    current: str | None
    best: str | None
    environment: dict[str, str] = field(default_factory=dict)
    reason: str = ""


def kernel_environment(choice: str = "default") -> dict[str, str]:
    """Return the variables for ``choice``: "default" (none) or "best" kernels.

    "best" is empty when the library already runs its best kernels. The variables must be
    set before numpy is imported.
    """
    if choice not in ("default", "best"):
        raise InputError(f"kernels {choice!r}: choose 'default' or 'best'")
    return {} if choice == "default" else kernel_advice().environment


def kernel_advice(found: Library | None = None, processor: Cpu | None = None) -> KernelAdvice:
    """Return the advice for this environment, or for the library ``found`` on ``processor``.

    numpy and scipy may bundle two builds: the advice is for the first that can be improved.
    """
    processor = processor or cpu()
    if found is not None:
        return _advice(found, processor)
    report = detect()
    advice = [_advice(library, processor) for library in (report.numpy, report.scipy)]
    return next((each for each in advice if each.environment), advice[0])


def _advice(found: Library, processor: Cpu) -> KernelAdvice:
    if found.name == "unknown" or found.file is None:
        return KernelAdvice(found.name, None, None, reason="no BLAS file was recognised")
    library = LIBRARIES.get(found.name)
    current = found.architecture

    def stay(reason: str) -> KernelAdvice:
        return KernelAdvice(found.name, current, current, reason=f"{library.title} {reason}")

    variable = library.kernel_variable
    if variable is None:
        return stay("chooses its kernels itself; no variable is known to improve them")
    built = library.kernels_in(elf.read(Path(found.file)).exported)
    ladder = [core for core in library.kernel_order(processor) if core in built]
    if not ladder or current is None or current.upper() not in built:
        return stay(f"runs {current} kernels; no better ones are known")
    best = ladder[0]
    if library.rank(current) >= library.rank(best):
        return stay(f"runs {current} kernels, the best this processor can use")
    return KernelAdvice(
        found.name,
        current,
        best,
        {variable: best},
        f"{library.title} runs {current} kernels although the processor has "
        f"{processor.levels()[-1]}: set {variable}={best}",
    )
