"""Plans of fits, and the memory that they need, from shapes alone."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core import strategies
from bench_core.data.feature_spaces import FeatureSpaces
from bench_core.data.generator import run_count
from bench_core.errors import InputError, counted, readable_bytes, unknown
from bench_core.records.fit_plan import FitPlan
from bench_core.records.record import PlanRecord


def check_options(strategy: type[strategies.Strategy], options: Mapping[str, Any]) -> None:
    """Raise `UnknownNameError`, with similar names, for an option the strategy does not have."""
    for name in options:
        if name not in (known := strategy.option_names()):
            raise unknown(f"option of {strategy.name}", name, known)


def plan_fit(
    strategy: str,
    t: int,
    p: int,
    s: int,
    dtype: str,
    *,
    nodes: int,
    alphas: tuple[float, ...],
    options: Mapping[str, Any],
    runs: NDArray[Any] | None = None,
) -> FitPlan | None:
    """Return the plan of fitting t × p to t × s; None for strategies that make none.

    runs : of every training sample (t,), for folds by run. Where they are not known yet, the plan
    is that of as many folds as a synthetic problem of t samples has runs.

    Raises
    ------
    UnknownNameError : no such strategy, or no such option of it.
    InputError : options that no fit of t samples can use.
    ResourceError : no plan fits the option ``memory_limit``.
    """
    check_options(strategies.get(strategy), options)
    chosen = planned_strategy(strategy, t, alphas, options, runs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the fit itself says what it leaves out
        chosen.check_options(t)
    return chosen.plan(t, p, s, dtype, nodes)


def planned_strategy(
    strategy: str,
    t: int,
    alphas: tuple[float, ...],
    options: Mapping[str, Any],
    runs: NDArray[Any] | None = None,
) -> strategies.Strategy:
    """Return a strategy to plan fits of t samples with; see `plan_fit`."""
    return strategies.get(strategy)(alphas, **planned_options(options, t, runs))


def planned_options(
    options: Mapping[str, Any], t: int, runs: NDArray[Any] | None = None
) -> dict[str, Any]:
    """Return options to plan t samples with: folds in the place of cv = "run"; see `plan_fit`."""
    if not by_run(options):
        return dict(options)
    folds = max(2, run_count(t)) if runs is None else with_runs(options, runs)["cv"]
    return {**options, "cv": folds}


def by_run(options: Mapping[str, Any]) -> bool:
    """Return True where the option ``cv`` asks for folds by run."""
    cv = options.get("cv")
    return isinstance(cv, str) and cv == "run"


def with_runs(options: Mapping[str, Any], runs: NDArray[Any]) -> dict[str, Any]:
    """Return the options with the run of every training sample in the place of cv = "run".

    Raises `InputError` where all samples are of one run.
    """
    if not by_run(options):
        return dict(options)
    if len(np.unique(runs)) < 2:
        raise InputError(
            "cv = run: the training samples are of one run; give a number of folds, or the run of "
            "every sample with the problem (--runs)"
        )
    return {**options, "cv": np.asarray(runs).tolist()}


def with_spaces(
    strategy: str, options: Mapping[str, Any], spaces: FeatureSpaces | None
) -> dict[str, Any]:
    """Return the options with feature spaces in full: those given, else those of the problem.

    Raises `InputError` for spaces that are none.
    """
    found = dict(options)
    if "spaces" not in strategies.get(strategy).supports:
        return found
    given = found.get("spaces")
    if given is not None:
        found["spaces"] = FeatureSpaces.of(given).to_json()
    elif spaces is not None:
        found["spaces"] = spaces.to_json()
    return found


def fit_bytes(
    strategy: str, t: int, p: int, s: int, dtype: str, nodes: int, plan: FitPlan | None
) -> int:
    """Return the memory that a fit needs, all processes together, in bytes.

    With a plan: what the plan holds, and X. Y then stays in its file, whose pages the system can
    take back. Without a plan: the strategy's own estimate, X and Y included.
    """
    if plan is None:
        return int(strategies.get(strategy).bytes_needed(t, p, s, dtype, nodes))
    return int(plan.peak_bytes) + t * p * np.dtype(dtype).itemsize


def node_bytes(
    strategy: str, t: int, p: int, s: int, dtype: str, nodes: int, plan: FitPlan | None
) -> int:
    """Return the memory that the node with the largest part needs, X included, in bytes.

    Without a plan by node: X whole, and the node's part of everything else.
    """
    X = t * p * np.dtype(dtype).itemsize
    if plan is not None and plan.node_bytes:
        return int(max(plan.node_bytes)) + X
    whole = fit_bytes(strategy, t, p, s, dtype, nodes, plan)
    return X + -(-max(0, whole - X) // nodes)


def describe_plan(
    strategy: str, t: int, p: int, s: int, dtype: str, nodes: int, plan: FitPlan | None
) -> str:
    """Return the plan as text; for strategies without one, what is known of them."""
    if plan is not None:
        return plan.text
    needed = fit_bytes(strategy, t, p, s, dtype, nodes, None)
    return (
        f"{strategy}: {strategies.get(strategy).summary}\n"
        f"{counted(t, 'sample')} × {counted(p, 'feature')} × {counted(s, 'target')}, {dtype}, "
        f"{counted(nodes, 'node')}\n"
        f"  memory about {readable_bytes(needed)}, X and Y included; this strategy makes no plan"
    )


def plan_record(plan: FitPlan | None) -> PlanRecord | None:
    """Return the plan as a record keeps it."""
    if plan is None:
        return None
    return PlanRecord(
        form=plan.form,
        flops=plan.flops,
        useful_flops=plan.useful_flops,
        peak_bytes=int(plan.peak_bytes),
        node_bytes=tuple(map(int, plan.node_bytes)),
        slowdown=plan.slowdown,
        settings=dict(plan.settings),
    )
