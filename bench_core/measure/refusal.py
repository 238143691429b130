"""What is refused before anything runs: too few cores, too little memory, nothing to gain."""

from __future__ import annotations

from typing import Any

from bench_core.errors import readable_bytes, unknown
from bench_core.measure.case import Case
from bench_core.measure.problems import Size


def check_options(strategy: Any, case: Case) -> None:
    """Raise `UnknownNameError`, with near names, for an option that the strategy does not have."""
    known = strategy.option_names()
    for name in case.options:
        if name not in known:
            raise unknown(f"option of {case.strategy}", name, known)


def refusal(case: Case, strategy: Any, size: Size) -> tuple[str | None, dict[str, int] | None]:
    """Return why the case cannot run on this machine, or None, and the memory it would take.

    The memory is None where another reason came first.
    """
    from bench_core.machine import available_cores, available_memory

    cores = available_cores()
    if case.nodes * case.threads > cores:
        return (
            f"{case.nodes} nodes × {case.threads} threads need {case.nodes * case.threads} cores, "
            f"{cores} are available"
        ), None
    if reason := strategy.skip(size.t, size.p, size.s, case.nodes, case.threads):
        return str(reason), None
    if case.kernels == "best" and (reason := _no_better_kernels()):
        return reason, None
    memory = {"needed_bytes": memory_needed(case, strategy, size)}
    memory["available_bytes"] = available_memory()
    if memory["needed_bytes"] > memory["available_bytes"]:
        return (
            f"needs about {readable_bytes(memory['needed_bytes'])} of memory "
            f"({memory['needed_bytes']} bytes) and {readable_bytes(memory['available_bytes'])} "
            f"({memory['available_bytes']} bytes) are available: take a smaller scale or float32"
        ), memory
    return None, memory


def memory_needed(case: Case, strategy: Any, size: Size) -> int:
    """Estimate the bytes of the problem with the fit or with its check, whichever needs more."""
    from bench_core.measure.definition import definition_bytes

    # The strategy's estimate holds X and Y.
    fit = strategy.bytes_needed(size.t, size.p, size.s, case.dtype, case.nodes)
    held_out = max(2, size.t // 10)
    check = definition_bytes(size.t - held_out, size.p, held_out, size.s)
    return max(int(fit), size.nbytes + check)


def _no_better_kernels() -> str | None:
    from bench_core.blas import kernel_advice

    advice = kernel_advice()
    return None if advice.environment else f"no better kernels to choose: {advice.reason}"
