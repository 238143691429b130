"""What a fit will do and take, from shapes alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bench_core import strategies
from bench_core.errors import readable_bytes, unknown


def options_of(strategy: type[strategies.Strategy]) -> set[str]:
    """Return the names of a strategy's own options."""
    return set(strategy.option_names())


def check_options(strategy: type[strategies.Strategy], options: Mapping[str, Any]) -> None:
    """Raise `UnknownNameError`, with near names, for an option that the strategy does not have."""
    for name in options:
        if name not in (known := options_of(strategy)):
            raise unknown(f"option of {strategy.name}", name, known)


def fit_plan(
    name: str,
    shape: tuple[int, int, int],
    dtype: str,
    *,
    nodes: int,
    alphas: tuple[float, ...],
    options: Mapping[str, Any],
) -> Any | None:
    """Return the plan of a fit of t × p to t × s, None for strategies that make none.

    Raises `ResourceError` when no plan fits the option ``memory_limit``.
    """
    strategy = strategies.get(name)
    check_options(strategy, options)
    model: Any = strategy(alphas, **options)
    return model.plan(*shape, dtype, nodes)


def useful_flops(record: Mapping[str, Any]) -> float | None:
    """Return the useful flops of a measured fit by its plan, None for strategies that make none.

    See `bench_core.ridge.Plan.useful_flops`.
    """
    case = record["case"]
    size = case["problem"]
    plan = fit_plan(
        case["strategy"],
        (size["t_train"], size["p"], size["s"]),
        size["dtype"],
        nodes=case["nodes"],
        alphas=tuple(case["alphas"]),
        options=case["options"],
    )
    return None if plan is None else plan.useful_flops


def memory_needed(
    name: str, shape: tuple[int, int, int], dtype: str, nodes: int, plan: Any | None
) -> int:
    """Return the bytes that a fit takes, by its plan where there is one; Y's file not counted."""
    t, p, s = shape
    if plan is None:
        return int(strategies.get(name).bytes_needed(t, p, s, dtype, nodes))
    X = t * p * np.dtype(dtype).itemsize
    return int(plan.peak_bytes) + X


def describe(
    name: str, shape: tuple[int, int, int], dtype: str, nodes: int, plan: Any | None
) -> str:
    """Return the plan as text; for strategies without one, what is known of them."""
    if plan is not None:
        return str(plan.text)
    t, p, s = shape
    needed = memory_needed(name, shape, dtype, nodes, None)
    return (
        f"{name}: {strategies.get(name).summary}\n"
        f"{t} samples × {p} features × {s} targets, {dtype}, {nodes} node{'s' * (nodes > 1)}\n"
        f"  memory about {readable_bytes(needed)}, X and Y included; it makes no further plan"
    )
