"""Checks before anything runs: options, cores, strategy, kernels and memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from bench_core import strategies
from bench_core.blas.known_bad import KnownBadBuildError
from bench_core.blas.libraries import LIBRARIES
from bench_core.cluster.capacity import Capacity
from bench_core.cluster.settings import LOCAL, ClusterSettings
from bench_core.errors import (
    InputError,
    ResourceError,
    RidgebenchError,
    readable_bytes,
    unknown,
)
from bench_core.records.fit_plan import FitPlan
from bench_core.records.record import MemoryNeeded
from bench_core.runner.agreement import agreement_bytes
from bench_core.runner.planning import check_options, fit_bytes, node_bytes, plan_fit
from bench_core.runner.spec import FitSpec, ProblemShape


@dataclass(frozen=True)
class Preflight:
    """Result of the checks.

    Parameters
    ----------
    error : why the fit cannot run here; None if it can. `measure` records it, `fit` raises it.
    plan : None where the strategy makes none, or an earlier check failed.
    memory : None where an earlier check failed.
    """

    error: RidgebenchError | None = None
    plan: FitPlan | None = None
    memory: MemoryNeeded | None = None


def preflight(
    spec: FitSpec,
    shape: ProblemShape,
    t_train: int,
    *,
    check_fits: bool,
    runs: NDArray[Any] | None = None,
    cluster: ClusterSettings = LOCAL,
) -> Preflight:
    """Check that the fit can run: on this machine, or on the cluster that has its nodes.

    Parameters
    ----------
    t_train : training samples; the plan is made for these.
    runs : of every training sample (t_train,), once they are known: folds by run are planned for.
    check_fits : whether the comparison with scikit-learn's Ridge must fit in memory too. A
        measurement without it is worth nothing; a fit is still wanted for its results.
    cluster : where the nodes are. Their processor and BLAS are asked when they run.

    Raises
    ------
    UnknownNameError : the strategy, an option of it, or the BLAS does not exist.
    InputError : the strategy cannot use its options.
    """
    from bench_core.machine import available_memory

    strategy = strategies.get(spec.strategy)
    check_options(strategy, spec.options)
    if spec.blas is not None and spec.blas not in LIBRARIES.names():
        raise unknown("BLAS", spec.blas, LIBRARIES.names())
    elsewhere = cluster.elsewhere
    capacity = cluster.capacity() if elsewhere else Capacity()
    if elsewhere and (reason := capacity.refusal(spec.nodes, spec.threads)) is not None:
        return Preflight(ResourceError(f"{spec.cluster}: {reason}: ask for fewer"))
    if not elsewhere and (error := _refuse_cores(spec)) is not None:
        return Preflight(error)
    if reason := strategy.skip(shape.t, shape.p, shape.s, spec.nodes, spec.threads):
        return Preflight(InputError(str(reason)))
    if not elsewhere and (refused := _refuse_kernels(spec)) is not None:
        return Preflight(refused)
    size = (t_train, shape.p, shape.s, spec.dtype)
    try:
        plan = plan_fit(
            spec.strategy,
            *size,
            nodes=spec.nodes,
            alphas=spec.penalties,
            options=spec.options,
            runs=runs,
        )
    except ResourceError as error:
        return Preflight(error)
    if not elsewhere:
        bad = _refuse_bad_build(spec, t_train, shape.p, planned=plan is not None)
        if bad is not None:
            return Preflight(bad, plan)
    needed = fit_bytes(spec.strategy, *size, spec.nodes, plan)
    checked = agreement_bytes(t_train, shape.p, shape.t - t_train, shape.s)
    available = available_memory()
    if elsewhere:
        room = capacity.memory_bytes
        memory = MemoryNeeded(needed, room if room is not None else available, checked)
        each = node_bytes(spec.strategy, *size, spec.nodes, plan)
        if room is not None and each > room:
            where = "on each node "
            return Preflight(_memory_error(spec, shape, where, each, room), plan, memory)
    else:
        memory = MemoryNeeded(needed, available, checked)
    if not elsewhere and needed > available:
        return Preflight(_memory_error(spec, shape, "", needed, available), plan, memory)
    if check_fits and checked > available:
        what = "for the comparison with scikit-learn's Ridge "
        return Preflight(_memory_error(spec, shape, what, checked, available), plan, memory)
    return Preflight(None, plan, memory)


def _refuse_cores(spec: FitSpec) -> ResourceError | None:
    from bench_core.cluster.cores import too_few_cores
    from bench_core.machine import read_topology

    machine = read_topology()
    shared = spec.hardware_threads
    if spec.nodes * spec.threads <= machine.capacity(hardware_threads=shared):
        return None
    return too_few_cores(machine, spec.nodes, spec.threads, hardware_threads=shared)


def _memory_error(
    spec: FitSpec, shape: ProblemShape, what: str, needed: int, available: int
) -> ResourceError:
    """Return the error with the remedies that this fit does not use yet."""
    remedies = []
    if shape.scale is not None:
        remedies.append("a smaller scale")
    if spec.dtype == "float64":
        remedies.append("float32")
    supports = strategies.get(spec.strategy).supports
    if not what and "coef" in supports and spec.options.get("coef", "memory") is not None:
        remedies.append("no coefficients")
    if not what and "memory_limit" in supports and "memory_limit" not in spec.options:
        remedies.append("a memory limit")
    remedies.append("a machine with more memory")
    return ResourceError(
        f"{spec.strategy} on {shape.name} needs about {readable_bytes(needed)} of memory {what}"
        f"({needed} bytes) and {readable_bytes(available)} ({available} bytes) are available: "
        f"take {' or '.join(remedies)}"
    )


def _refuse_kernels(spec: FitSpec) -> InputError | None:
    """Return why the kernels that were asked for cannot be had, None if they can."""
    from bench_core.blas import kernel_advice, kernel_environment
    from bench_core.blas.kernels import in_force

    if spec.kernels == "best":
        advice = kernel_advice()
        if not advice.environment and not in_force(advice):
            return InputError(f"no better kernels to choose: {advice.reason}")
    try:
        kernel_environment(spec.kernels)
    except InputError as error:
        return error
    return None


def _refuse_bad_build(spec: FitSpec, t: int, p: int, *, planned: bool) -> KnownBadBuildError | None:
    """Return why the BLAS is known to fail on a fit of this size, None where nothing is known.

    The worker checks the kernels that it really runs once more.
    """
    from bench_core.blas.kernels import expected_report
    from bench_core.blas.known_bad import refuse_known_bad
    from bench_core.machine import cpu

    report = expected_report(spec.kernels)
    try:
        refuse_known_bad(
            {"numpy": report.numpy, "scipy": report.scipy},
            cpu(),
            inner=max(t, p),
            order=0 if planned else min(t, p),
            threads=spec.threads,
        )
    except KnownBadBuildError as error:
        return error
    return None
