"""Ways to fit a problem: strategies, forms, precisions, nodes and threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench_core import strategies
from bench_core.errors import ResourceError
from bench_core.scaling.operations import FitCost


@dataclass(frozen=True)
class ProblemSize:
    """Sizes of the training part of a problem, and its candidate penalties.

    Examples
    --------
    >>> ProblemSize(t=900, p=16_384, s=2000).t
    900
    """

    t: int
    p: int
    s: int
    alphas: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Candidate:
    """One way to fit.

    options : of the strategy, beyond its defaults. refused : why it cannot be fitted so; the cost
    is then None.
    """

    strategy: str
    options: dict[str, Any]
    dtype: str
    nodes: int
    threads: int
    cost: FitCost | None
    refused: str | None = None
    label: str = field(default="")


def candidates(
    size: ProblemSize,
    *,
    names: Sequence[str],
    dtypes: Sequence[str],
    nodes: Sequence[int],
    threads: Sequence[int],
) -> Iterator[Candidate]:
    """Yield every way of these strategies to fit ``size``, those that are refused included."""
    for name in names:
        kind = strategies.get(name)
        for dtype in dtypes:
            for options in _forms(name, size):
                for count in nodes if kind.distributed else (1,):
                    cost, refused = _cost(name, size, options, dtype, count)
                    for each in threads:
                        yield Candidate(name, options, dtype, count, each, cost, refused)


def _forms(name: str, size: ProblemSize) -> list[dict[str, Any]]:
    """Return the options that choose each form of a strategy which this shape allows."""
    kind = strategies.get(name)
    supports = kind.option_names()
    if kind.solvers:  # a strategy's own; the common ones are one for each form
        return [{"solver": one} for one in reversed(kind.solvers) if one != "auto"]
    if "solver" in supports:
        # With t ≤ p the primal form is the dual one's equal in nothing: the plan leaves it out.
        return [{"solver": "dual"}, *([{"solver": "primal"}] if size.t > size.p else [])]
    if "gcv_mode" in supports:
        return [{}, {"gcv_mode": "svd"}]
    return [{}]


def _cost(
    name: str, size: ProblemSize, options: dict[str, Any], dtype: str, nodes: int
) -> tuple[FitCost | None, str | None]:
    kind = strategies.get(name)
    reason = kind.skip(size.t, size.p, size.s, nodes, 1)
    if reason is not None:
        return None, reason
    given: dict[str, Any] = {} if size.alphas is None else {"alphas": size.alphas}
    model = kind(**given, **options)
    try:
        return model.cost(size.t, size.p, size.s, dtype, nodes), None
    except ResourceError as error:
        return None, str(error)
