"""Kernels of the BLAS: those that run, the best for this processor, and the choice of others.

OpenBLAS chooses kernels by the processor's family and model, and falls back to older ones on a
newer processor that it does not know. Nothing is measured here: the processor's instruction sets
are compared with the kernels in the build.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench_core.blas import elf
from bench_core.blas.detection import detect
from bench_core.blas.known_bad import bad_builds
from bench_core.blas.libraries import LIBRARIES, all_libraries
from bench_core.blas.report import BlasReport, Library
from bench_core.errors import InputError
from bench_core.machine import Cpu, cpu

DEFAULT, BEST = "default", "best"


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


def kernel_environment(choice: str = DEFAULT) -> dict[str, str]:
    """Return the variables that make the loaded BLAS run the kernels of ``choice``.

    They must be set before numpy is imported.

    Parameters
    ----------
    choice : "default" for the library's own choice, "best" for the best kernels that this
        processor can run, or the name of kernels, such as "haswell". "best" is empty when the
        library chooses its best kernels by itself.

    Raises
    ------
    InputError : the library has no such kernels, or this processor cannot run them.
    """
    if choice == DEFAULT:
        return {}
    if choice == BEST:
        advice = kernel_advice()
        return advice.environment or in_force(advice)
    report = detect()
    found: dict[str, str] = {}
    for library in dict.fromkeys((report.numpy, report.scipy)):
        found |= _named(library, choice, cpu())
    return found


def kernel_names(found: Library, processor: Cpu | None = None) -> list[str]:
    """Return the names of the kernels that a library has and ``processor`` can run, sorted."""
    if found.name not in LIBRARIES.names() or found.file is None:
        return []
    library = LIBRARIES.get(found.name)
    if library.kernel_variable is None:
        return []
    able = (processor or cpu()).levels()
    built = library.kernels_in(elf.read(Path(found.file)).exported)
    levels = library.kernel_levels
    # Core types without a level are older than AVX, or of another architecture.
    return sorted(name.lower() for name in built if levels.get(name) in (None, *able))


def expected_report(choice: str = DEFAULT) -> BlasReport:
    """Return the libraries as they will run in a process with the kernels of ``choice``.

    ``architecture`` is None where this process's own variables chose its kernels, so that the
    library's choice is not known.
    """
    report = detect()
    variables = [one.kernel_variable for one in all_libraries()]
    if choice == DEFAULT and not any(name in os.environ for name in variables if name):
        return report
    core = {DEFAULT: None, BEST: kernel_advice().best}.get(choice, choice.upper())
    numpy, scipy = (replace(one, architecture=core) for one in (report.numpy, report.scipy))
    return BlasReport(numpy, scipy)


def wrong_kernels(report: BlasReport, choice: str) -> str | None:
    """Return what is wrong where kernels were chosen by name and others run."""
    if choice in (DEFAULT, BEST):
        return None
    for package, found in (("numpy", report.numpy), ("scipy", report.scipy)):
        if (found.architecture or "").lower() != choice.lower():
            return (
                f"{package}'s {found.name} runs {found.architecture} kernels where {choice} were "
                "asked for: this build or this processor does not follow the choice"
            )
    return None


def kernel_advice(found: Library | None = None, processor: Cpu | None = None) -> KernelAdvice:
    """Return the advice for this environment, or for the library ``found`` on ``processor``.

    numpy and scipy may bundle two builds: the advice is for the first that can be improved.
    Kernels that are known to crash or to be wrong in that build are never advised.
    """
    processor = processor or cpu()
    if found is not None:
        return _advice(found, processor)
    report = detect()
    advice = [_advice(library, processor) for library in (report.numpy, report.scipy)]
    return next((each for each in advice if each.environment), advice[0])


def in_force(advice: KernelAdvice) -> dict[str, str]:
    """Return the kernel variable of this environment where the best kernels run because of it."""
    if advice.library not in LIBRARIES.names():
        return {}
    variable = LIBRARIES.get(advice.library).kernel_variable
    if variable is None or variable not in os.environ:
        return {}
    return {variable: os.environ[variable]}


def _named(found: Library, choice: str, processor: Cpu) -> dict[str, str]:
    title = LIBRARIES.get(found.name).title if found.name in LIBRARIES.names() else found.name
    names = kernel_names(found, processor)
    if not names:
        raise InputError(f"kernels {choice!r}: {title} offers no choice of kernels; take 'default'")
    if choice.lower() not in names:
        raise InputError(
            f"kernels {choice!r}: this build of {title} has, for this processor, "
            f"{', '.join(names)}; or take 'default' or 'best'"
        )
    return {str(LIBRARIES.get(found.name).kernel_variable): choice.upper()}


def _advice(found: Library, processor: Cpu) -> KernelAdvice:
    if found.name not in LIBRARIES.names() or found.file is None:
        return KernelAdvice(found.name, None, None, reason="no BLAS file was recognised")
    library = LIBRARIES.get(found.name)
    current = found.architecture

    def stay(reason: str) -> KernelAdvice:
        return KernelAdvice(found.name, current, current, reason=f"{library.title} {reason}")

    variable = library.kernel_variable
    if variable is None or not library.may_choose_low:
        return stay("chooses its kernels itself; no variable is known to improve them")
    built = library.kernels_in(elf.read(Path(found.file)).exported)
    ladder = [
        core
        for core in library.kernel_order(processor)
        if core in built and not _fails(found, processor, core)
    ]
    if not ladder or current is None or current.upper() not in built:
        return stay(f"runs {current} kernels; no better ones are known")
    best = ladder[0]
    fails = _fails(found, processor, current)
    if library.rank(current) >= library.rank(best) and not fails:
        return stay(f"runs {current} kernels, the best this processor can use")
    if best == current.upper():
        return stay(f"runs {current} kernels; no better ones are known")
    reason = f"although the processor has {processor.levels()[-1]}"
    if fails:
        reason = "which are known to fail in this build"
    return KernelAdvice(
        found.name,
        current,
        best,
        {variable: best},
        f"{library.title} runs {current} kernels {reason}: set {variable}={best}",
    )


def _fails(found: Library, processor: Cpu, core: str) -> bool:
    """Return whether kernels are known to fail in this build at ordinary sizes."""
    return any(entry.ordinary for entry in bad_builds(found, processor, kernels=core))
