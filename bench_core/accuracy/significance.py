"""Significance of a fit's held-out r: null, p values, and why they are withheld where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench_core.accuracy.held_out import HeldOutShifts, held_out_null
from bench_core.accuracy.null import Null, Permutations
from bench_core.accuracy.permutation import ridge_null
from bench_core.accuracy.result import FitResult
from bench_core.data.neighbours import measure_resemblance, share_beside_training
from bench_core.data.problem import Problem
from bench_core.data.rows import RowsOf
from bench_core.fdr import adjusted_p, threshold
from bench_core.progress import Progress, silent

NullKind = Literal["held-out", "shifts", "rows"]
NULLS: tuple[NullKind, ...] = ("held-out", "shifts", "rows")

LEAK = 0.1
"""Part of the test rows beside training rows, above which rows that resemble neighbours leak."""


@dataclass(frozen=True)
class NullRequest:
    """A null, and the error rate to hold.

    Parameters
    ----------
    kind : "held-out" shifts the held-out responses (`held_out_null`); "shifts" and "rows" permute
        the training rows and refit (`ridge_null`).
    permutations, seed : their number and the seed of their random numbers.
    rate : false-discovery rate of the significant targets, or family-wise error rate.
    family_wise : compare with the largest r of all targets in every permutation.

    Examples
    --------
    >>> NullRequest("held-out", permutations=200, family_wise=True).rate
    0.05
    """

    kind: NullKind = "held-out"
    permutations: int = 1000
    seed: int = 0
    rate: float = 0.05
    family_wise: bool = False


@dataclass(frozen=True, eq=False)
class Significance:
    """A null with its p values (s,), adjusted p values (s,) and significant targets (s,).

    Parameters
    ----------
    p : of each target alone. adjusted : false-discovery rates, or family-wise p values.
    distinct : different shifts of the runs, none included; None where rows are shuffled.
    complete : whether all of these were taken, as there are no more than were asked for.

    Examples
    --------
    >>> null = Null(np.array([0.5]), np.array([1]), np.array([0.1, 0.6, 0.2]), np.full(3, 0.1))
    >>> found = Significance(NullRequest(), null, null.p_values(), null.p_max(), np.array([False]))
    >>> found.figures(null.observed)["smallest_p"]
    0.25
    """

    request: NullRequest
    null: Null
    p: NDArray[np.float64]
    adjusted: NDArray[np.float64]
    chosen: NDArray[np.bool_]
    distinct: int | None = None
    complete: bool = False

    def figures(self, r: NDArray[np.float64]) -> dict[str, Any]:
        """Return the figures of the null beside the fit's own ``r`` (s,), as JSON values."""
        null, request = self.null, self.request
        both = ~np.isnan(r) & ~np.isnan(null.observed)
        return {
            "kind": request.kind,
            "permutations": null.n,
            "distinct": self.distinct,
            "complete": self.complete,
            "smallest_p": 1 / (null.n + 1),
            "seed": request.seed,
            "mean_abs_r": float(null.mean_abs.mean()),
            "largest_r": {
                "median": float(np.median(null.largest)),
                "p95": float(np.percentile(null.largest, 95)),
            },
            "rate": request.rate,
            "correction": "largest r" if request.family_wise else "false discovery rate",
            "significant": int(self.chosen.sum()),
            "significant_family_wise": int((null.p_max() <= request.rate).sum()),
            "more_permutations": 0 if request.family_wise else _needed(null, both, request.rate),
            "threshold_r": threshold(r, self.chosen),
            # A refit at the penalties of the result must give the result's own r.
            "refit_difference": float(np.abs(r - null.observed)[both].max(initial=0)),
        }

    def warnings(self, s: int) -> list[str]:
        """Return what the number of permutations does not allow, for ``s`` targets."""
        null, request = self.null, self.request
        found = []
        if self.complete and null.n < request.permutations:
            found.append(
                f"the held-out runs have {self.distinct} different shifts, fewer than "
                f"{request.permutations} permutations: all were taken, and no p is below "
                f"{1 / (null.n + 1):.3g}; hold out more runs for a smaller one"
            )
        known = ~np.isnan(null.observed)
        needed = 0 if request.family_wise else _needed(null, known, request.rate)
        if needed:
            remedy = f"use {needed} or more, or family-wise"
            if self.complete:
                remedy = "hold out more runs, use family-wise, or refit (--permute shifts)"
            found.append(
                f"{null.n} permutations cannot make {s} targets significant at "
                f"{request.rate:g}: {remedy}"
            )
        return found


def reason_to_withhold(problem: Problem, result: FitResult, kind: NullKind) -> str | None:
    """Return why no null gives p values for this fit, None if one does.

    Test rows between training rows that resemble them share noise with these. Their r is above
    chance without any relation of X and Y, and no permutation of rows shows that. Rows that cannot
    be shifted have no p by shifts.
    """
    beside = share_beside_training(result.train, result.test, problem.runs)
    if beside > LEAK and (found := measure_resemblance(problem.X, problem.Y, problem.runs)).leaks:
        return (
            f"{beside:.0%} of the held-out samples lie beside training samples of their run, and "
            f"samples resemble their neighbours (lag-1 autocorrelation {found.x:.2f} in X, "
            f"{found.y:.2f} in Y): r is above chance without any relation of X and Y; fit again "
            "with --split run"
        )
    if kind == "held-out" and HeldOutShifts(problem.runs[result.test], 1).distinct < 2:
        return (
            "every held-out run has one sample, which cannot be shifted: use --permute rows if "
            "samples are independent"
        )
    return None


def find_significance(
    result: FitResult, problem: Problem, request: NullRequest, progress: Progress = silent
) -> Significance:
    """Return the null of the result's r with its p values.

    Raises
    ------
    InputError : no permutation, or runs that cannot be shifted as asked.
    ResourceError : too little memory for the factorisation of a refit.
    """
    truth = RowsOf(problem.Y, result.test)
    complete = False
    if request.kind == "held-out":
        runs = problem.runs[result.test]
        shifts = HeldOutShifts(runs, request.permutations, request.seed)
        complete = shifts.complete
        null = held_out_null(truth, result.prediction, shifts, progress=progress)
    else:
        runs = problem.runs[result.train]
        null = ridge_null(
            np.asarray(problem.X[result.train]),
            RowsOf(problem.Y, result.train),
            np.asarray(problem.X[result.test]),
            truth,
            result.penalty,
            Permutations(request.kind, request.permutations, runs, seed=request.seed),
            fit_intercept=result.fit_intercept,
            progress=progress,
        )
    p = null.p_values()
    adjusted = null.p_max() if request.family_wise else adjusted_p(p)
    with np.errstate(invalid="ignore"):
        chosen = adjusted <= request.rate
    distinct = None if request.kind == "rows" else HeldOutShifts(runs, 1).distinct
    return Significance(request, null, p, adjusted, chosen, distinct, complete)


def _needed(null: Null, known: NDArray[np.bool_], rate: float) -> int:
    """Return the permutations after which the best targets can be significant, 0 if these suffice.

    No p is below 1 / (n + 1); k targets that have it pass Benjamini and Hochberg's procedure on s
    targets only when it is at most rate · k / s.
    """
    best = int((known & (null.exceed == 0)).sum())
    needed = int(np.ceil(known.sum() / (rate * best))) if best else 0
    return needed if needed > null.n + 1 else 0
