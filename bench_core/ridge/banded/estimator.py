"""Ridge with a penalty for every feature space, as a scikit-learn estimator."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from bench_core.checks import check_alphas, check_held_out, check_xy, kept, unmasked
from bench_core.errors import InputError
from bench_core.progress import Progress, silent
from bench_core.ridge.arrays.backend import Array, find_device, full_float32_products, to_numpy
from bench_core.ridge.arrays.coef_file import CoefFile, fresh_memory
from bench_core.ridge.arrays.device_memory import within_device
from bench_core.ridge.arrays.target_blocks import fits_in_memory
from bench_core.ridge.banded.each_target import EachTarget
from bench_core.ridge.banded.features import PreparedFeatures
from bench_core.ridge.banded.held_out import as_ranges
from bench_core.ridge.banded.kernels import Columns, columns_of
from bench_core.ridge.banded.planning import BandedPlan, BandedShape, make_plan
from bench_core.ridge.banded.rounds import Chosen, Draws, choose, search
from bench_core.ridge.banded.scores import Candidates, SearchSettings
from bench_core.ridge.banded.search import sums_over_targets
from bench_core.ridge.banded.solution import solve_blocks
from bench_core.ridge.banded.variance import SpaceScores, space_scores
from bench_core.ridge.formulas.scores import check_scoring
from bench_core.ridge.inputs import find_folds, product_dtype, safe_dtype
from bench_core.ridge.penalty_grid import warn_at_edge
from bench_core.ridge.solvers.targets import TargetColumns

LOO = "loo"
"""Value of ``cv`` for leave-one-out."""


class BandedRidgeCV(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Ridge regression of many targets on several feature spaces, a penalty for each space.

    Weights γ of the spaces and a penalty α are chosen together: space g gets the penalty α / γ_g
    (banded ridge; Nunez-Elizalde, Huth and Gallant, 2019, NeuroImage 197, 482–492). Candidate
    weights are random points of the simplex and points around the best of them (Dupré la Tour et
    al., 2022, NeuroImage 264, 119728); each is tried with every α. A candidate costs one
    factorisation of t × t, whatever the number of folds, features and targets.

    Parameters
    ----------
    alphas : candidate penalties α (r,).
    spaces : number of the space of every feature (p,), counted from 0; None for one space.
    candidates : how many weights to draw, the equal ones and each space alone among them; or
        weights (n, spaces).
    refine : further weights, drawn around the best in two rounds.
    balanced : scale the kernels of the spaces to one trace, so that a weight means the same for a
        large space and a small one. False takes weights as they are.
    cv : number of contiguous folds, or a scikit-learn splitter whose folds hold out every row once
        at most; ``groups`` go to `fit`. "loo" for leave-one-out.
    scoring : "neg_mean_squared_error", "r2" or "pearson", averaged over folds (and over targets);
        of leave-one-out over all samples together.
    alpha_per_target : choose weights and penalty for every target, not once for all.
    fit_intercept, dtype, coef, memory_limit, device, progress : as for
        `bench_core.ridge.MultiTargetRidgeCV`.
    seed : of the random candidates.

    Attributes
    ----------
    alpha_ : the chosen α, (s,) with ``alpha_per_target``.
    weights_ : the chosen γ (spaces,) or (spaces, s), as they multiply the features' products.
    penalties_ : α / γ of every space, of the same shape; infinite where the space is left out.
    best_score_ : its score, or (s,).
    coef_ : (s, p); absent with ``coef=None``. intercept_ : (s,).
    cv_results_ : "alphas" (r,), "weights" (n, spaces), "mean_scores" (n, r): means over folds and
        targets; NaN for a candidate that was not tried. "interpolated" how many candidates'
        scores came from those of others (`bench_core.ridge.banded.skeleton`).
    plan_ : the plan that was carried out.

    Raises
    ------
    InputError : values, shapes or parameters that no fit can use.
    ResourceError : no plan fits ``memory_limit``, or the disk is too full for the coefficients.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, noise = rng.standard_normal((60, 40)), rng.standard_normal((60, 3))
    >>> Y = X[:, :20] @ rng.standard_normal((20, 3)) + noise
    >>> model = BandedRidgeCV([1.0, 10.0, 100.0], spaces=[0] * 20 + [1] * 20).fit(X, Y)
    >>> bool(model.penalties_[0] < model.penalties_[1])
    True
    """

    def __init__(
        self,
        alphas: Any = (0.1, 1.0, 10.0),
        *,
        spaces: ArrayLike | None = None,
        candidates: Any = 60,
        refine: int = 20,
        balanced: bool = True,
        fit_intercept: bool = True,
        cv: Any = 5,
        scoring: str = "r2",
        alpha_per_target: bool = False,
        dtype: Any = None,
        coef: Any = "memory",
        memory_limit: int | None = None,
        device: str = "cpu",
        seed: int = 0,
        progress: Progress | None = None,
    ) -> None:
        self.alphas = kept(alphas)
        self.spaces = spaces
        self.candidates = candidates
        self.refine = refine
        self.balanced = balanced
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.scoring = scoring
        self.alpha_per_target = alpha_per_target
        self.dtype = dtype
        self.coef = coef
        self.memory_limit = memory_limit
        self.device = device
        self.seed = seed
        self.progress = progress

    def plan_shape(
        self,
        t: int,
        p: int,
        s: int,
        dtype: DTypeLike,
        groups: ArrayLike | None = None,
        *,
        in_file: bool = False,
    ) -> BandedPlan:
        """Return what `fit` would do with t × p to t × s of ``dtype``; nothing is read.

        On a GPU what is free there is a limit too.

        Raises `ResourceError` when no plan fits ``memory_limit`` or the GPU, `InputError` for
        parameters that no fit can use.
        """
        shape = self.shape_of(t, p, s, dtype, groups, in_file=in_file)
        limit = self.memory_limit
        if shape.on_gpu:
            limit = within_device(self.device, limit)
        return make_plan(shape, memory_limit=limit)

    def shape_of(
        self,
        t: int,
        p: int,
        s: int,
        dtype: DTypeLike,
        groups: ArrayLike | None = None,
        *,
        in_file: bool = False,
    ) -> BandedShape:
        """Return all that the plan depends on; raise `InputError` as `plan_shape`."""
        order, folds = self.ranges(t, groups)
        spaces = self.columns(p)
        return BandedShape(
            t=t,
            p=p,
            s=s,
            spaces=len(spaces),
            candidates=self.draws(len(spaces)).count,
            r=len(check_alphas(self.alphas)),
            folds=tuple(rows.stop - rows.start for rows in folds),
            dtype=product_dtype(self.dtype, dtype).name,
            per_target=self.alpha_per_target,
            scoring=check_scoring(self.scoring),
            coef="memory" if self.coef == "memory" else None if self.coef is None else "file",
            in_file=in_file,
            permuted=order is not None,
            loo=_is_loo(self.cv),
            on_gpu=self.device.startswith("cuda"),
        )

    def fit(self, X: ArrayLike, Y: ArrayLike, groups: ArrayLike | None = None) -> BandedRidgeCV:
        """Choose weights and penalties, and fit X (t, p) to Y (t, s); ``groups`` (t,) go to cv."""
        X, Y = _floats("X", X), _floats("Y", Y)
        check_xy(X, Y)
        t, p = X.shape
        s = Y.shape[1]
        alphas = check_alphas(self.alphas)
        order, folds = self.ranges(t, groups)
        dtype = safe_dtype(self.dtype, X, Y)
        view_file = self.memory_limit is None and fits_in_memory(Y)
        in_file = isinstance(Y, np.memmap) and not view_file
        self.plan_ = plan = self.plan_shape(t, p, s, dtype, groups, in_file=in_file)
        progress = self.progress or silent
        self._device = device = find_device(self.device)
        with ExitStack() as stack:
            stack.enter_context(full_float32_products(device))
            file = None
            if plan.shape.coef == "file":  # opened first: a disk that is too full is said now
                file = stack.enter_context(CoefFile(self.coef, (s, p), dtype))
            progress("multiplying features")
            self._features = PreparedFeatures.of(
                X,
                self.columns(p),
                dtype,
                device,
                intercept=self.fit_intercept,
                balanced=self.balanced,
            )
            self._targets = TargetColumns(
                Y, plan.width, dtype, device, self.fit_intercept, view_file, progress
            )
            settings = SearchSettings(
                alphas,
                folds,
                order,
                self.scoring,
                self.fit_intercept,
                self.alpha_per_target,
                plan.together,
                progress,
                loo=plan.shape.loo,
                interpolate=plan.interpolate,
            )
            kernels = self._features.ordered(order)
            found = search(
                partial(sums_over_targets, kernels, self._targets, settings),
                partial(EachTarget, kernels, self._targets, settings),
                plan,
                self.draws(len(self._features.columns)),
            )
            self._keep(
                choose(
                    found,
                    alphas,
                    self._features.kernels.scales,
                    per_target=self.alpha_per_target,
                    scoring=self.scoring,
                ),
                found,
            )
            self._solution = self._features.solution(self._choice, plan.factors)
            self._solve(file, dtype)
        if file is not None:
            self.coef_ = np.load(self.coef, mmap_mode="r")
        self.n_features_in_, self.n_targets_ = p, s
        warn_at_edge(alphas, np.ravel(self.alpha_), stacklevel=2)
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return predictions (n, s) for X (n, p)."""
        check_is_fitted(self, "intercept_")
        X = self._new_rows(X)
        if hasattr(self, "coef_"):
            found: NDArray[Any] = X @ self.coef_.T
            return found + self.intercept_
        cross = self._features.cross(X)
        parts = self._solution.by_space(cross, self._dual, slice(0, self.n_targets_))
        mean = self._y_mean if self.fit_intercept else 0.0
        return (np.sum(parts, axis=0) + mean).astype(self._targets.dtype)

    def space_scores(self, X: ArrayLike, Y: ArrayLike) -> SpaceScores:
        """Return what every space explains of held-out Y (n, s) at X (n, p).

        The training targets are read again: they must still be there, unchanged. See
        `bench_core.ridge.banded.variance`.
        """
        check_is_fitted(self, "intercept_")
        Y = unmasked("Y", Y)
        check_held_out(len(Y))
        means = self._y_mean if self.fit_intercept else None
        with full_float32_products(self._device):
            cross = self._features.cross(self._new_rows(X))
            return space_scores(self._solution, self._targets, cross, Y, means)

    def ranges(
        self, t: int, groups: ArrayLike | None
    ) -> tuple[NDArray[np.intp] | None, list[slice]]:
        """Return the order of the rows and the ranges that folds hold out; all for "loo"."""
        if _is_loo(self.cv):
            return None, [slice(0, t)]
        found = find_folds(self.cv, t, groups)
        if not found:
            raise InputError(
                f"cv = {self.cv!r}: banded ridge chooses by folds or leave-one-out; give a number "
                "of folds, the run of every sample, or loo"
            )
        return as_ranges(found, t)

    def columns(self, p: int) -> list[Columns]:
        """Return the columns of every space among p features; raise `InputError` for no spaces."""
        if self.spaces is None:
            return [[slice(0, p)]]
        numbers = np.asarray(self.spaces)
        if numbers.shape != (p,) or numbers.dtype.kind not in "iu":
            raise InputError(
                f"spaces of shape {numbers.shape}, {numbers.dtype}: give the number of the space "
                f"of each of {p} features"
            )
        count = int(numbers.max()) + 1
        absent = sorted(set(range(count)) - set(numbers.tolist()))
        if absent or numbers.min() < 0:
            raise InputError(
                f"spaces: no feature is in space {absent[0] if absent else 0}; number them from 0 "
                "without gaps"
            )
        return columns_of(numbers.astype(np.intp), count)

    def _whole(self, name: str, least: int) -> int:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise InputError(f"{name} = {value!r}: give a whole number of at least {least}")
        return int(value)

    def draws(self, spaces: int) -> Draws:
        """Return how candidates for so many spaces are drawn."""
        candidates = self.candidates
        if not np.ndim(candidates):
            candidates = 1 if spaces == 1 else self._whole("candidates", 1)
        refine = 0 if spaces == 1 else self._whole("refine", 0)
        return Draws(candidates, refine, self.seed, spaces)

    def _keep(self, chosen: Chosen, found: Candidates) -> None:
        """Set the attributes of what was chosen."""
        self._choice = chosen.choice
        self.alpha_, self.best_score_ = chosen.alpha, chosen.best_score
        self.weights_, self.penalties_ = chosen.weights, chosen.penalties
        self.cv_results_ = {
            "alphas": check_alphas(self.alphas),
            "weights": found.weights,
            "mean_scores": found.mean_scores,
            "interpolated": found.interpolated,
        }

    def _solve(self, file: CoefFile | None, dtype: np.dtype[Any]) -> None:
        """Run the pass over Y that forms coefficients and intercepts."""
        targets, solution = self._targets, self._solution
        t, p = self._features.Xc.shape
        s = targets.Y.shape[1]
        coef = fresh_memory((s, p), dtype) if self.coef == "memory" else None
        whole = self.plan_.whole
        dual = np.empty((t, s), dtype) if whole or self.coef is None else None

        def keep(columns: slice, a: Array) -> None:
            if coef is not None:
                out = coef[columns]
                rows = solution.coefficients(a, columns, out)
                if not np.shares_memory(rows, out):
                    out[...] = rows
            elif file is not None:
                file.write(solution.coefficients(a, columns))
            elif dual is not None and not whole:
                dual[:, columns] = to_numpy(a)

        wide = replace(targets, width=self.plan_.solved)
        along = self._features.along_means()
        intercept, self._y_mean = solve_blocks(
            solution,
            wide,
            along if self.fit_intercept else None,
            keep,
            dual=dual if whole else None,
        )
        for name in ("coef_", "_dual"):
            self.__dict__.pop(name, None)
        if coef is not None:
            self.coef_ = coef
        elif dual is not None and file is None:
            self._dual = targets.device.put(dual)
        self.intercept_ = intercept.astype(dtype)

    def _new_rows(self, X: ArrayLike) -> NDArray[Any]:
        found = _floats("X", X)
        if found.ndim != 2 or found.shape[1] != self.n_features_in_:
            raise InputError(
                f"X has shape {found.shape}: the fit had {self.n_features_in_} features"
            )
        return found


def _floats(name: str, array: ArrayLike) -> NDArray[Any]:
    """Return an array of floats; float32 and float64, memory maps included, stay as they are."""
    found = unmasked(name, array)
    if found.dtype in (np.float32, np.float64) or found.dtype.kind not in "iub":
        return found
    return found.astype(np.float64)


def _is_loo(cv: Any) -> bool:
    return isinstance(cv, str) and cv == LOO
