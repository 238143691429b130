"""Check a fit against scikit-learn's Ridge.

At the penalties that a strategy chose, the right answer is scikit-learn's `Ridge`. It is fitted in
float64 on a seeded sample of targets, and the predictions of the held-out samples are compared.
Nothing here is part of the timed work.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench_core.data import Problem
from bench_core.records.results import Agreement, PenaltyCounts
from bench_core.ridge.penalty_grid import at_edges

SAMPLE = 64
SCALINGS = 8
"""Distinct scalings of the features that are compared, each by a fit of its own."""
TOLERANCE = {"float64": 1e-8, "float32": 1e-3}
# A singular value decomposition is the more exact definition, and costs about 6 t p² operations:
# beyond this many, seconds turn into minutes, and Cholesky has to do.
SVD_FLOPS = 2e11
# Larger ones are factorised by one thread: OpenBLAS 0.3.30 and 0.3.31 on AVX-512 kernels crash in
# syrk and potrf of order 16,384 with two threads (14,336 passed); see docs/blas.md.
THREADED_ORDER = 12_288


def sample_targets(s: int, seed: int, limit: int = SAMPLE) -> NDArray[np.intp]:
    """Return the numbers, ascending, of ``min(s, limit)`` targets drawn with ``seed``."""
    drawn = np.random.default_rng([seed, s]).choice(s, size=min(s, limit), replace=False)
    return np.sort(drawn)


def agreement_bytes(t: int, p: int, test: int, s: int) -> int:
    """Return an estimate of the bytes that `compare_with_ridge` needs beside the problem.

    A float64 X that is centred in place, what its decomposition or a Gram matrix and its solution
    add, and the predictions of all targets.
    """
    few = min(t, p)
    copies = 3 if solver_for(t, p) == "svd" else 1
    return 8 * (copies * t * p + 3 * few * few + 2 * test * s)


def solver_for(t: int, p: int) -> Literal["svd", "cholesky"]:
    """Return the solver of the definition: "svd" where it is affordable, else "cholesky"."""
    return "svd" if 6.0 * t * p * min(t, p) <= SVD_FLOPS else "cholesky"


def compare_with_ridge(
    train: Problem,
    test: Problem,
    predictions: ArrayLike,
    alphas: ArrayLike,
    *,
    fit_intercept: bool,
    seed: int,
    scales: NDArray[np.float64] | None = None,
) -> Agreement:
    """Return the record's ``agreement`` of a fit with scikit-learn's Ridge.

    ``worst`` is the largest absolute difference of a prediction from the definition's, in units
    of the root mean square of the definition's predictions of that target about their mean. That
    unit is at least a hundredth of the target's standard deviation in training: a target without
    a response would otherwise be judged by its rounding. For a constant target it is the size of
    its value, or 1.

    Parameters
    ----------
    predictions : the strategy's, of all targets for ``test.X`` (t_test, s).
    alphas : penalty of every target (s,), `Strategy.chosen_alphas`.
    scales : `Strategy.feature_scales` of the sampled targets (p, n), None for 1. Of targets with
        different ones, those with the first `SCALINGS` are compared.
    """
    from sklearn.linear_model import Ridge
    from threadpoolctl import threadpool_limits

    targets = sample_targets(train.s, seed)
    groups: list[tuple[NDArray[np.float64] | None, NDArray[np.intp]]] = [
        (None, np.arange(len(targets)))
    ]
    if scales is not None:
        groups = distinct_scalings(scales)[:SCALINGS]
        kept = np.sort(np.concatenate([own for _, own in groups]))
        groups = [(scale, np.searchsorted(kept, own)) for scale, own in groups]
        targets = targets[kept]
    Y = np.asarray(train.Y[:, targets], dtype=np.float64)
    penalties = np.asarray(alphas, dtype=np.float64)[targets]
    solver = solver_for(*train.X.shape)
    expected = np.empty((len(test.X), len(targets)))
    for scale, own in groups:
        X = np.array(train.X, dtype=np.float64)  # Ridge's to centre: one copy, not two
        X_test = np.array(test.X, dtype=np.float64)
        if scale is not None:
            X *= scale
            X_test *= scale
        ridge = Ridge(
            alpha=penalties[own], fit_intercept=fit_intercept, solver=solver, copy_X=False
        )
        with threadpool_limits(1 if min(X.shape) > THREADED_ORDER else None, user_api="blas"):
            ridge.fit(X, Y[:, own])
        # One target makes Ridge return one-dimensional predictions.
        expected[:, own] = ridge.predict(X_test).reshape(len(X_test), len(own))
    found = np.asarray(predictions)[:, targets].astype(np.float64)
    unit = np.maximum(expected.std(axis=0), 0.01 * Y.std(axis=0))
    size = np.abs(expected).max(axis=0)
    unit = np.where(unit > 1e-12 * size, unit, np.where(size > 0, size, 1.0))
    worst = float(np.max(np.abs(found - expected) / unit))
    tolerance = TOLERANCE[str(train.dtype)]
    return Agreement(
        tolerance=tolerance,
        worst=worst if np.isfinite(worst) else None,
        targets=len(targets),
        solver=solver,
        same_penalty=None,
        reference_penalty=None,
        note=None,
        agrees=bool(worst <= tolerance),
    )


def distinct_scalings(
    scales: NDArray[np.float64],
) -> list[tuple[NDArray[np.float64] | None, NDArray[np.intp]]]:
    """Return every distinct column of ``scales`` (p, n) and where it is, in order of appearance."""
    _, first, index = np.unique(scales, axis=1, return_index=True, return_inverse=True)
    return [
        (scales[:, first[number]], np.flatnonzero(index.reshape(-1) == number))
        for number in np.argsort(first)
    ]


def count_penalties(
    alphas: ArrayLike,
    scope: Literal["all", "batch", "target"],
    tried: ArrayLike,
) -> PenaltyCounts:
    """Return the record's ``penalty``: distinct penalties of the targets, and how many of each.

    tried : the candidates that were compared (r,).
    """
    values, counts = np.unique(np.asarray(alphas, dtype=np.float64), return_counts=True)
    smallest, largest = at_edges(tried, alphas)
    return PenaltyCounts(
        scope,
        tuple(values.tolist()),
        tuple(counts.tolist()),
        smallest=smallest,
        largest=largest,
        tried=tuple(np.asarray(tried, np.float64).tolist()),
    )


def disagreement(agreement: Agreement, penalty: PenaltyCounts | None) -> str | None:
    """Return what is wrong with a fit according to its comparisons, None if nothing is."""
    wrong = []
    if agreement.worst is None or not agreement.worst <= agreement.tolerance:
        worst = "not finite" if agreement.worst is None else f"{agreement.worst:.2g}"
        wrong.append(
            f"predictions differ from scikit-learn's Ridge at the same penalties: {worst}, "
            f"tolerance {agreement.tolerance:g}"
        )
    if (
        agreement.same_penalty is False
        and not agreement.tie
        and agreement.reference_penalty is None
    ):
        wrong.append(agreement.note or "penalties of targets are not RidgeCV's")
    elif agreement.same_penalty is False and not agreement.tie:
        values = () if penalty is None else penalty.values
        chosen = ", ".join(f"{value:g}" for value in values)
        difference = "" if agreement.note is None else f" ({agreement.note})"
        wrong.append(
            f"chose {chosen} where RidgeCV chooses {agreement.reference_penalty:g}{difference}"
        )
    return "; ".join(wrong) or None
