"""Ways to fit a problem: strategies, forms, precisions, nodes and threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench_core import strategies
from bench_core.errors import InputError, ResourceError
from bench_core.runner.penalty_request import PenaltyRequest
from bench_core.runner.planning import planned_options
from bench_core.scaling.operations import FitCost


@dataclass(frozen=True)
class ProblemSize:
    """Sizes of the training part of a problem, and how its penalties are to be chosen.

    Examples
    --------
    >>> ProblemSize(t=900, p=16_384, s=2000).t
    900
    >>> ProblemSize(900, 16_384, 2000, PenaltyRequest(cv="gcv")).penalty.options
    {'cv': 'gcv'}
    """

    t: int
    p: int
    s: int
    penalty: PenaltyRequest = field(default_factory=PenaltyRequest)


@dataclass(frozen=True)
class Candidate:
    """One way to fit.

    options : of the strategy, beyond its defaults: what chooses penalties, and a form.
    refused : why it cannot be fitted so; the cost is then None.
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
    """Yield every way of these strategies to fit ``size``, those that are refused included.

    Folds by run are as many as a synthetic problem of so many samples has runs.
    """
    for name in names:
        kind = strategies.get(name)
        unable = size.penalty.unable(name, size.t)
        for dtype in dtypes:
            for options in _forms(name, size):
                for count in nodes if kind.distributed else (1,):
                    cost, refused = None, unable
                    if unable is None:
                        cost, refused = _cost(name, size, options, dtype, count)
                    for each in threads:
                        yield Candidate(name, options, dtype, count, each, cost, refused)


def _forms(name: str, size: ProblemSize) -> list[dict[str, Any]]:
    """Return the options that choose each form of a strategy which this shape allows."""
    kind = strategies.get(name)
    supports, asked = kind.option_names(), size.penalty.options_of(name)
    if kind.solvers:  # a strategy's own; the common ones are one for each form
        found = [{"solver": one} for one in reversed(kind.solvers) if one != "auto"]
    elif "solver" in supports:
        # With t ≤ p the primal form is the dual one's equal in nothing: the plan leaves it out.
        found = [{"solver": "dual"}, *([{"solver": "primal"}] if size.t > size.p else [])]
    elif "gcv_mode" in supports and "cv" not in asked:  # by folds scikit-learn has one form
        found = [{}, {"gcv_mode": "svd"}]
    else:
        found = [{}]
    return [{**asked, **one} for one in found]


def _cost(
    name: str, size: ProblemSize, options: dict[str, Any], dtype: str, nodes: int
) -> tuple[FitCost | None, str | None]:
    kind = strategies.get(name)
    reason = kind.skip(size.t, size.p, size.s, nodes, 1)
    if reason is not None:
        return None, reason
    try:
        model = kind(**size.penalty.candidates, **planned_options(options, size.t))
        return model.cost(size.t, size.p, size.s, dtype, nodes), None
    except (InputError, ResourceError) as error:
        return None, str(error)
