"""Grid of candidate penalties: its edges, and how it is extended beyond them.

A best penalty that is the first or last candidate says that the grid is too narrow. Extended by
decades, all candidates are scored in the same pass, from the same factorisation; which of them
count is decided afterwards, by moving the end of the grid outwards while it holds the best score.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench_core.checks import check_alphas
from bench_core.errors import InputError


class GridEdgeWarning(UserWarning):
    """The chosen penalty is the smallest or the largest candidate: a wider grid may be better.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from bench_core.ridge import MultiTargetRidgeCV
    >>> X = np.eye(6)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     model = MultiTargetRidgeCV([10.0, 100.0]).fit(X, X)
    >>> caught[0].category.__name__, model.alpha_
    ('GridEdgeWarning', 10.0)
    """


@dataclass(frozen=True)
class PenaltyGrid:
    """Candidates (r,) that are scored; those from ``first`` to ``last`` were asked for.

    Without an extension they are in the order in which they were given, else ascending.

    Examples
    --------
    >>> grid = make_grid([1.0, 10.0], decades=1)
    >>> grid.alphas.tolist(), grid.first, grid.last
    ([0.1, 1.0, 10.0, 100.0], 1, 2)
    """

    alphas: NDArray[np.float64]
    first: int
    last: int

    @property
    def extended(self) -> bool:
        """True where there are candidates beyond those that were asked for."""
        return self.last - self.first + 1 < len(self.alphas)


@dataclass(frozen=True)
class Search:
    """Result of a search: the best candidate, and the first and last that were looked at, (n,)."""

    index: NDArray[np.intp]
    first: NDArray[np.intp]
    last: NDArray[np.intp]


def make_grid(alphas: Any, decades: Any = 0) -> PenaltyGrid:
    """Return the grid of ``alphas`` (r,), with ``decades`` further candidates beyond either end.

    They are a decade apart. Raises `InputError` for penalties that are not positive, or a number of
    decades that is negative or leaves the range of float64.
    """
    given = check_alphas(alphas)
    whole = isinstance(decades, int | np.integer) and not isinstance(decades, bool)
    if not whole or decades < 0:
        raise InputError(
            f"extend_alphas is {decades!r}: give the number of decades to add at most beyond the "
            "first and the last candidate, such as 6; 0 for none"
        )
    if decades == 0:
        return PenaltyGrid(given, 0, len(given) - 1)
    ordered = np.sort(given)
    with np.errstate(over="ignore", under="ignore"):
        steps = 10.0 ** np.arange(1, decades + 1)
        found = np.concatenate([(ordered[0] / steps)[::-1], ordered, ordered[-1] * steps])
    if not (found[0] >= np.finfo(np.float64).tiny and np.isfinite(found[-1])):
        raise InputError(
            f"extend_alphas = {decades}: penalties {decades} decades beyond {ordered[0]:g} and "
            f"{ordered[-1]:g} leave the range of numbers; give fewer decades"
        )
    return PenaltyGrid(found, decades, decades + len(given) - 1)


def search(grid: PenaltyGrid, scores: NDArray[np.float64]) -> Search:
    """Return the best candidate for every column of ``scores`` (r, n).

    Of equal scores the first wins, and NaN never does; where all are NaN the first candidate that
    was asked for is taken. An end of the grid moves outwards by one candidate while it is the best,
    and stops where the next one is no better.
    """
    usable = np.where(np.isnan(scores), -np.inf, scores)
    columns = np.arange(scores.shape[1])
    first = np.full(len(columns), grid.first)
    last = np.full(len(columns), grid.last)
    index = grid.first + np.argmax(usable[grid.first : grid.last + 1], axis=0)
    defined = ~np.isinf(usable[index, columns])
    for _ in range(len(grid.alphas)):
        moved = False
        for end, step, limit in ((first, -1, 0), (last, 1, len(grid.alphas) - 1)):
            wider = np.flatnonzero(defined & (index == end) & (end != limit))
            if not len(wider):
                continue
            moved = True
            end[wider] += step
            better = wider[usable[end[wider], wider] > usable[index[wider], wider]]
            index[better] = end[better]
        if not moved:
            break
    return Search(index, first, last)


def at_edges(alphas: ArrayLike, chosen: ArrayLike) -> tuple[int, int]:
    """Return how many of ``chosen`` (s,) are the smallest and the largest of ``alphas`` (r,).

    0 and 0 where there is a single candidate: nothing was chosen.
    """
    candidates, found = np.asarray(alphas, np.float64), np.asarray(chosen, np.float64)
    if len(candidates) < 2:
        return 0, 0
    return int((found == candidates.min()).sum()), int((found == candidates.max()).sum())


def edge_message(
    alphas: ArrayLike, chosen: ArrayLike, *, extended: bool, extends: bool = False
) -> str | None:
    """Return what is to be said of targets whose penalty ``chosen`` (s,) is at the grid's edge.

    None where there are none.

    Parameters
    ----------
    extended : the grid was extended, up to its limit. extends : the estimator can do so.
    """
    candidates = np.asarray(alphas, np.float64)
    total = np.size(chosen)
    parts = []
    for count, edge, name, other in zip(
        at_edges(candidates, chosen),
        (candidates.min(), candidates.max()),
        ("smallest", "largest"),
        ("smaller", "larger"),
        strict=True,
    ):
        if count:
            who = "all targets" if count == total else f"{count:,} of {total:,} targets"
            parts.append(
                f"the best penalty of {who} is the {name} candidate, {edge:g}: {other} ones may "
                "be better"
            )
    if not parts:
        return None
    remedy = "extend the grid (alphas)"
    if extended:
        remedy = "the grid was extended up to its limit: raise extend_alphas"
    elif extends:
        remedy += ", or let it grow (extend_alphas=6; --extend-alphas)"
    return "; ".join([*parts, remedy])


def warn_at_edge(
    alphas: ArrayLike,
    chosen: ArrayLike,
    *,
    extended: bool = False,
    extends: bool = False,
    stacklevel: int = 2,
) -> None:
    """Warn with `GridEdgeWarning` where a chosen penalty is at the edge of the grid.

    The remedy that is named is one that the estimator has: see `edge_message`.
    """
    message = edge_message(alphas, chosen, extended=extended, extends=extends)
    if message is not None:
        warnings.warn(message, GridEdgeWarning, stacklevel=stacklevel + 1)
