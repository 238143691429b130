"""Ridge regression of many targets with a cross-validated penalty, as a scikit-learn estimator."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from bench_core.checks import check_alphas, check_xy
from bench_core.errors import InputError, ResourceError
from bench_core.ridge.arrays.backend import find_device, full_float32_products, to_numpy
from bench_core.ridge.arrays.coef_file import CoefFile, fresh_memory
from bench_core.ridge.arrays.target_blocks import Block, fits_in_memory
from bench_core.ridge.formulas.scores import best, check_scoring, pearson
from bench_core.ridge.inputs import (
    as_targets,
    find_folds,
    fit_shape,
    product_dtype,
    safe_in_float32,
)
from bench_core.ridge.planning.flops import FitShape, Selection
from bench_core.ridge.planning.plan import Plan, make_plan
from bench_core.ridge.solvers.base import Fold, Scores, Solver, exact_enough
from bench_core.ridge.solvers.dual import DualSolver
from bench_core.ridge.solvers.primal import PrimalSolver


class MultiTargetRidgeCV(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Ridge regression of many targets, its penalty chosen by cross-validation.

    Gives what `sklearn.linear_model.RidgeCV` gives, but factorises once, and with one penalty for
    all targets scores every penalty from sums over the targets, at a cost that does not depend on
    their number. X (t, p) and Y (t, s) may be memory-mapped; Y may be larger than memory.

    Parameters
    ----------
    alphas : candidate penalties (r,), added to the squared singular values of the centred X.
    fit_intercept : whether X and Y are centred.
    cv : "loo" (leave-one-out, by its closed form), a number of contiguous folds, or a
        scikit-learn splitter; ``groups`` go to `fit`.
    scoring : "neg_mean_squared_error", "r2" or "pearson", averaged over targets (and over
        folds). Targets that are constant have no r2 or pearson and are left out of the average.
    alpha_per_target : whether every target gets the penalty that is best for itself.
    dtype : precision of products with Y, "float32" or "float64"; None for float32 when X and Y
        are float32. Factorisations and scores are in float64 always. Float32 gives way to float64
        where it could not decide between penalties, and sums over targets to predictions of every
        target where float64 could not; ``plan_`` says what was done.
    coef : "memory", a path ending in .npy (streamed there; ``coef_`` is then memory-mapped), or
        None: coefficients are never formed and `predict` reads Y again.
    memory_limit : bytes that a fit may use beyond X, Y and the process as it was (of the GPU's
        memory on a GPU); a memory-mapped Y is then read piece by piece, its pages never the
        process's. None for no limit.
    device : "cpu" (numpy), "torch" (torch on the CPU), "cuda" or "cuda:1" and so on.
    batch_size : targets per block; None lets the plan choose.
    progress : called with (what, blocks done, blocks in all) after every block, or None.

    Attributes
    ----------
    alpha_ : chosen penalty, float or (s,) with ``alpha_per_target``.
    best_score_ : its score, float or (s,).
    coef_ : (s, p), (p,) for 1-D y; absent with ``coef=None``.
    intercept_ : (s,) or float; with ``coef=None`` found at the first call of `predict`.
    cv_results_ : "alphas" (r,), "mean_scores" (r,) and with ``alpha_per_target`` "scores" (r, s).
    plan_ : the `Plan` that was carried out.

    Raises
    ------
    InputError : values, shapes or parameters that no fit can use.
    ResourceError : no plan fits ``memory_limit``, or the disk is too full for the coefficients.
    """

    def __init__(
        self,
        alphas: Any = (0.1, 1.0, 10.0),
        *,
        fit_intercept: bool = True,
        cv: Any = "loo",
        scoring: str = "neg_mean_squared_error",
        alpha_per_target: bool = False,
        dtype: Any = None,
        coef: Any = "memory",
        memory_limit: int | None = None,
        device: str = "cpu",
        batch_size: int | None = None,
        progress: Any = None,
    ) -> None:
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.scoring = scoring
        self.alpha_per_target = alpha_per_target
        self.dtype = dtype
        self.coef = coef
        self.memory_limit = memory_limit
        self.device = device
        self.batch_size = batch_size
        self.progress = progress

    def plan(self, X: Any, Y: Any, groups: ArrayLike | None = None) -> Plan:
        """Return what `fit` would do with arrays of these shapes and types; nothing is read.

        Raises `ResourceError` when no plan fits ``memory_limit``.
        """
        folds = find_folds(self.cv, X, groups)
        return self._make_plan(self._shape(X, Y, folds, product_dtype(self.dtype, X, Y)))

    def fit(self, X: Any, y: Any, groups: ArrayLike | None = None) -> MultiTargetRidgeCV:
        """Choose the penalty and fit X (t, p) to y (t, s) or (t,); ``groups`` (t,) are for cv."""
        self._fit(X, y, groups, None)
        return self

    def fit_score(
        self,
        X: Any,
        y: Any,
        X_test: Any,
        y_test: Any,
        groups: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """Fit, and return Pearson's r (s,) of every target with its prediction on held-out rows.

        Predictions are scored in the pass over Y that solves: with ``coef=None`` neither they
        (but for one block) nor coefficients are ever held. NaN where a target or its prediction
        is constant.
        """
        return self._fit(X, y, groups, (X_test, y_test))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return predictions (n, s), or (n,) for 1-D y.

        With ``coef=None`` the training targets are read again, from the array that was fitted:
        it must still be there, unchanged.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        if hasattr(self, "coef_"):
            result: NDArray[Any] = X @ self.coef_.T + self.intercept_
            return result
        solver = self._solver
        n = X.shape[0]
        wanted = "_intercept" not in self.__dict__
        if wanted:  # the prediction at 0: one row more, and no pass over Y of its own
            X = np.vstack([X, np.zeros((1, X.shape[1]), X.dtype)])
        result = np.empty((len(X), solver.Y.shape[1]), solver.dtype)
        with full_float32_products(solver.device):
            predict = solver.predictor(X)
            for block in solver.blocks("predicting"):
                result[:, block.columns] = to_numpy(predict(block, None))
                if self.fit_intercept:
                    result[:, block.columns] += _means(block)
        if wanted:
            self._keep_intercept(result[n].copy())
        return result[:n, 0] if self._one_target else result[:n]

    @property
    def intercept_(self) -> Any:
        """Intercepts (s,), or a number for 1-D y; without coefficients Y is read for them, once."""
        if "_intercept" not in self.__dict__:
            if "_solver" not in self.__dict__:
                raise AttributeError(f"this {type(self).__name__} is not fitted: no intercept_")
            self.predict(np.zeros((1, self.n_features_in_)))
        return self._intercept

    def _keep_intercept(self, intercept: NDArray[Any]) -> None:
        self._intercept = float(intercept[0]) if self._one_target else intercept

    def _shape(self, X: Any, Y: Any, folds: list[Fold], dtype: np.dtype[Any]) -> FitShape:
        return fit_shape(
            X,
            Y,
            len(check_alphas(self.alphas)),
            folds=folds,
            dtype=dtype,
            scoring=check_scoring(self.scoring),
            per_target=self.alpha_per_target,
            coef=self.coef,
        )

    def _make_plan(self, work: FitShape, selection: Selection | None = None) -> Plan:
        return make_plan(
            work, memory_limit=self.memory_limit, width=self.batch_size, selection=selection
        )

    def _fit(
        self,
        X: Any,
        y: Any,
        groups: ArrayLike | None,
        test: tuple[Any, Any] | None,
    ) -> NDArray[np.float64]:
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        Y = as_targets(y)
        self._one_target = Y.ndim == 1
        Y = Y[:, None] if self._one_target else Y
        check_xy(X, Y, finite=False)
        folds = find_folds(self.cv, X, groups)
        dtype = product_dtype(self.dtype, X, Y)
        if dtype == np.float32 and not (safe_in_float32(X) and safe_in_float32(Y)):
            dtype = np.dtype(np.float64)
        held_out = None if test is None else self._held_out(test, Y.shape[1])
        for name in ("coef_", "_solver", "_intercept"):
            self.__dict__.pop(name, None)
        device = find_device(self.device)
        # NaN and infinities in Y are found by the sums that they spoil, and named.
        quiet = np.errstate(invalid="ignore", over="ignore")
        with quiet, full_float32_products(device):
            solver, scores = self._select(X, Y, folds, dtype)
            self.plan_ = solver.plan
            self._choose(scores)
            solver.solve(self.alpha_)
            if self.coef is None and held_out is None:
                self._finish(solver, None, None)
                return np.empty(0)
            return self._solve(solver, held_out)

    def _held_out(self, test: tuple[Any, Any], s: int) -> tuple[NDArray[Any], NDArray[Any]]:
        X = validate_data(self, test[0], dtype=[np.float64, np.float32], reset=False)
        Y = as_targets(test[1])
        Y = Y[:, None] if Y.ndim == 1 else Y
        if Y.shape != (X.shape[0], s):
            raise InputError(
                f"y_test has shape {Y.shape}: {(X.shape[0], s)} are the held-out rows and targets"
            )
        return X, Y

    def _select(
        self,
        X: NDArray[Any],
        Y: NDArray[Any],
        folds: list[Fold],
        dtype: np.dtype[Any],
        selection: Selection | None = None,
    ) -> tuple[Solver, Scores]:
        """Return a solver and its scores, by a more exact way when the first was not enough."""
        plan = self._make_plan(self._shape(X, Y, folds, dtype), selection)
        form = DualSolver if plan.form == "dual" else PrimalSolver
        solver = form(
            X,
            Y,
            check_alphas(self.alphas),
            plan,
            intercept=self.fit_intercept,
            scoring=self.scoring,
            folds=folds,
            device=find_device(self.device),
            view_file=self.memory_limit is None and fits_in_memory(Y),
            progress=self.progress,
        )
        scores = solver.select()
        if exact_enough(scores.shared, scores.magnified, dtype, plan.selection):
            return solver, scores
        double = np.dtype(np.float64)
        slower: Selection | None = None
        if dtype == double:
            slower = "each"
            try:
                self._make_plan(self._shape(X, Y, folds, dtype), slower)
            except ResourceError:  # the scores stand, with fewer digits
                return solver, scores
        del solver
        return self._select(X, Y, folds, double, slower)

    def _choose(self, scores: Scores) -> None:
        alphas = check_alphas(self.alphas)
        self.cv_results_ = {"alphas": alphas, "mean_scores": scores.shared}
        if self.alpha_per_target:
            assert scores.each is not None
            index = best(scores.each)
            self.alpha_: Any = alphas[index]
            self.best_score_: Any = scores.each[index, np.arange(scores.each.shape[1])]
            self.cv_results_["scores"] = scores.each
            return
        if np.isnan(scores.shared).all():
            raise InputError(
                f"no penalty of {alphas.tolist()} has a {self.scoring} score: targets are all "
                "constant, or every penalty is too small to leave a sample out"
            )
        chosen = int(best(scores.shared))
        self.alpha_ = float(alphas[chosen])
        self.best_score_ = float(scores.shared[chosen])

    def _solve(
        self, solver: Solver, held_out: tuple[NDArray[Any], NDArray[Any]] | None
    ) -> NDArray[np.float64]:
        """Run the pass over Y that forms coefficients and intercepts and scores held-out rows."""
        s, p = solver.Y.shape[1], self.n_features_in_
        dtype = np.dtype(product_dtype(self.dtype, solver.Y, solver.Y))
        intercept = np.zeros(s)
        r = np.full(s, np.nan)
        coefficients: NDArray[Any] | None = None
        buffer = np.empty((0, p), solver.dtype)
        with ExitStack() as stack:
            file = None
            if self.coef == "memory":
                coefficients = fresh_memory((s, p), dtype)
            elif self.coef is not None:
                file = stack.enter_context(CoefFile(self.coef, (s, p), dtype))
                if solver.device.is_numpy:  # one for all blocks: fresh memory costs page faults
                    buffer = np.empty((min(solver.plan.width, s), p), solver.dtype)
            origin = solver.predictor(np.zeros((1, p)))
            predict = solver.predictor(held_out[0]) if held_out else None
            for block in solver.blocks("solving"):
                columns = block.columns
                rows = None
                if coefficients is not None and coefficients.dtype == solver.dtype:
                    rows = solver.coefficients(block, coefficients[columns])
                elif self.coef is not None:
                    b = columns.stop - columns.start
                    rows = solver.coefficients(block, buffer[:b] if len(buffer) else None)
                if self.fit_intercept:
                    intercept[columns] = _means(block) + to_numpy(origin(block, rows))[0]
                if predict is not None and held_out is not None:
                    expected = solver.device.put(
                        np.ascontiguousarray(held_out[1][:, columns]), solver.dtype
                    )
                    r[columns] = to_numpy(pearson(expected, predict(block, rows)))
                if rows is not None:
                    host = to_numpy(rows)
                    if file is not None:
                        file.write(host)
                    elif coefficients is not None and not np.shares_memory(host, coefficients):
                        coefficients[columns] = host
        if file is not None:
            coefficients = np.load(self.coef, mmap_mode="r")
        self._finish(solver, coefficients, intercept.astype(dtype))
        return r

    def _finish(
        self,
        solver: Solver,
        coefficients: NDArray[Any] | None,
        intercept: NDArray[Any] | None,
    ) -> None:
        if intercept is not None:
            self._keep_intercept(intercept)
        if coefficients is None:
            self._solver = solver
        else:
            self.coef_ = coefficients[0] if self._one_target else coefficients
        if self._one_target and self.alpha_per_target:
            self.alpha_ = float(self.alpha_[0])
            self.best_score_ = float(self.best_score_[0])


def _means(block: Block) -> NDArray[np.float64]:
    """Return the means (b,) of a block's targets, by a product where numpy has one."""
    values = block.values
    if isinstance(values, np.ndarray):
        ones = np.ones(values.shape[0], values.dtype)
        means = (ones @ values).astype(np.float64) / values.shape[0]
    else:
        means = to_numpy(values.mean(dim=0)).astype(np.float64)
    return means if block.offset is None else means + block.offset
