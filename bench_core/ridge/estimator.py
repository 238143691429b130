"""Ridge regression of many targets with a cross-validated penalty, as a scikit-learn estimator."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from bench_core.checks import check_held_out, check_xy, kept, without_mask
from bench_core.errors import InputError
from bench_core.phases import NO_PHASES, Phases
from bench_core.progress import Progress, silent
from bench_core.ridge.arrays.backend import (
    find_device,
    full_float32_products,
    to_numpy,
)
from bench_core.ridge.arrays.coef_file import CoefFile, check_given, fresh_memory
from bench_core.ridge.arrays.device_memory import within_device
from bench_core.ridge.arrays.target_blocks import fits_in_memory
from bench_core.ridge.formulas.scores import check_scoring
from bench_core.ridge.inputs import (
    as_targets,
    by_gcv,
    find_folds,
    find_form,
    fit_shape,
    product_dtype,
    safe_dtype,
)
from bench_core.ridge.penalty_grid import PenaltyGrid, make_grid, warn_at_edge
from bench_core.ridge.planning.flops import Selection
from bench_core.ridge.planning.plan import Plan, make_plan
from bench_core.ridge.solvers.base import Fold
from bench_core.ridge.solvers.choice import Choice
from bench_core.ridge.solvers.last_pass import solve_targets
from bench_core.ridge.solvers.search import Found, Task, search
from bench_core.ridge.solvers.solution import Solution
from bench_core.ridge.solvers.targets import TargetColumns
from bench_core.ridge.solvers.trust import Method


class MultiTargetRidgeCV(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Ridge regression of many targets, its penalty chosen by cross-validation.

    Gives what `sklearn.linear_model.RidgeCV` gives, but factorises once, and with one penalty for
    all targets scores every penalty from sums over the targets, at a cost that does not depend on
    their number. X (t, p) and Y (t, s) may be memory-mapped; Y may be larger than memory.

    Parameters
    ----------
    alphas : candidate penalties (r,), added to the squared singular values of the centred X.
    fit_intercept : centre X and Y.
    cv : "loo" (leave-one-out, by its closed form), "gcv" (generalised cross-validation: another
        criterion, cheaper where every target is scored for itself), a number of contiguous folds,
        or a scikit-learn splitter; ``groups`` go to `fit`.
    scoring : "neg_mean_squared_error", "r2" or "pearson", averaged over targets (and over
        folds). Targets that are constant have no r2 or pearson and are left out of the average.
    alpha_per_target : choose the best penalty of every target, not one for all.
    extend_alphas : decades by which the grid may grow beyond its first and its last candidate, a
        decade at a time while the best penalty is at its edge; 0 for a fixed grid. All are scored
        in one pass, from the same factorisation.
    dtype : precision of products with Y, "float32" or "float64"; None for float32 when X and Y
        are float32. Factorisations and scores are in float64 always. Float32 gives way to float64
        where it could not decide between penalties, and sums over targets to predictions of every
        target where float64 could not; ``plan_`` says what was done.
    coef : "memory", a path ending in .npy (streamed there; ``coef_`` is then memory-mapped), or
        None: coefficients are never formed and `predict` reads Y again.
    memory_limit : bytes that a fit may use beyond X, Y and the process as it was (of the GPU's
        memory on a GPU); a memory-mapped Y is then read piece by piece, its pages never the
        process's. None for no limit; on a GPU what is free there is one in any case, and Y streams.
    device : "cpu" (numpy), "torch" (torch on the CPU), "cuda" or "cuda:1" and so on.
    batch_size : targets per block; None lets the plan choose.
    solver : "dual" (t × t matrices), "primal" (p × p), or "auto": the plan with fewer flops, dual
        where t ≤ p.
    progress : called with (what, blocks done, blocks in all) after every block, or None.

    Attributes
    ----------
    alpha_ : chosen penalty, float or (s,) with ``alpha_per_target``.
    best_score_ : its score, float or (s,).
    coef_ : (s, p), (p,) for 1-D y; absent with ``coef=None``.
    intercept_ : (s,) or float; with ``coef=None`` found at the first call of `predict`.
    cv_results_ : "alphas" (r,), "mean_scores" (r,) and with ``alpha_per_target`` "scores" (r, s).
        With ``extend_alphas`` the candidates are ascending, up to the last one that was looked at.
    plan_ : the `Plan` that was carried out.
    phases : to be set to a `bench_core.phases.Phases` that times the steps of fits; none at first.

    Raises
    ------
    InputError : values, shapes or parameters that no fit can use.
    ResourceError : no plan fits ``memory_limit``, or the disk is too full for the coefficients.

    Warns
    -----
    GridEdgeWarning : a chosen penalty is the smallest or the largest candidate.

    Examples
    --------
    >>> import numpy as np
    >>> from bench_core.ridge import MultiTargetRidgeCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((60, 100))
    >>> Y = X[:, :3] @ rng.standard_normal((3, 500)) + rng.standard_normal((60, 500))
    >>> model = MultiTargetRidgeCV(alphas=[1.0, 100.0, 10_000.0]).fit(X, Y)
    >>> model.alpha_
    100.0
    >>> model.coef_.shape, model.predict(X[:2]).shape
    ((500, 100), (2, 500))
    >>> model.plan_.form, model.plan_.selection
    ('dual', 'shared')
    """

    _selection: Selection | None = None
    """A way of scoring that every plan has to take, for tests of each."""

    phases: Phases = NO_PHASES
    _joint: bool | None = None
    """Whether folds have to come from one factorisation, for tests of either way."""
    _tridiagonal: bool | None = None
    """Whether eigenvectors have to be done without where they can, for tests and measurements."""

    def __init__(
        self,
        alphas: Any = (0.1, 1.0, 10.0),
        *,
        fit_intercept: bool = True,
        cv: Any = "loo",
        scoring: str = "neg_mean_squared_error",
        alpha_per_target: bool = False,
        extend_alphas: int = 0,
        dtype: Any = None,
        coef: Any = "memory",
        memory_limit: int | None = None,
        device: str = "cpu",
        batch_size: int | None = None,
        solver: str = "auto",
        progress: Progress | None = None,
    ) -> None:
        self.alphas = kept(alphas)
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.scoring = scoring
        self.alpha_per_target = alpha_per_target
        self.extend_alphas = extend_alphas
        self.dtype = dtype
        self.coef = coef
        self.memory_limit = memory_limit
        self.device = device
        self.batch_size = batch_size
        self.solver = solver
        self.progress = progress

    def plan(self, X: Any, Y: Any, groups: ArrayLike | None = None) -> Plan:
        """Return what `fit` would do with arrays of these shapes and types; nothing is read.

        Raises `ResourceError` when no plan fits ``memory_limit``.
        """
        t, p = X.shape
        s = 1 if len(Y.shape) == 1 else Y.shape[1]
        return self.plan_shape(t, p, s, product_dtype(None, X.dtype, Y.dtype), groups)

    def plan_shape(
        self, t: int, p: int, s: int, dtype: DTypeLike, groups: ArrayLike | None = None
    ) -> Plan:
        """Return what `fit` would do with t × p to t × s, both of ``dtype``; raises as `plan`."""
        folds = find_folds(self.cv, t, groups)
        return self._plan((t, p, s), folds, Method(product_dtype(self.dtype, dtype)), self.coef)

    def fit(
        self,
        X: Any,
        y: Any,
        groups: ArrayLike | None = None,
        *,
        out: NDArray[Any] | None = None,
    ) -> MultiTargetRidgeCV:
        """Choose the penalty and fit X (t, p) to y (t, s) or (t,); ``groups`` (t,) are for cv.

        Parameters
        ----------
        out : C-contiguous array (s, p), or (p,) for 1-D y, of the type of the coefficients, into
            which they are written; ``coef_`` is then this array. Memory that the process holds
            already costs no page faults. What it holds after an error is undefined. It is an
            argument of a fit, as numpy has it, and no parameter of the estimator: those are copied
            by `sklearn.base.clone`.

        Raises
        ------
        InputError : ``out`` has another shape, type or order, cannot be written, shares memory with
            X or y, or coefficients are to go elsewhere (``coef``).
        """
        with self.phases.whole():
            self._fit(X, y, groups, None, out)
            self._warn_of_edges()
        return self

    def fit_score(
        self,
        X: Any,
        y: Any,
        X_test: Any,
        y_test: Any,
        groups: ArrayLike | None = None,
        *,
        out: NDArray[Any] | None = None,
    ) -> NDArray[np.float64]:
        """Fit, and return Pearson's r (s,) of every target with its prediction on held-out rows.

        Predictions are scored in the pass over Y that solves: with ``coef=None`` neither they
        (but for one block) nor coefficients are ever held. NaN where a target or its prediction
        is constant. ``out`` is as in `fit`.
        """
        with self.phases.whole():
            r = self._fit(X, y, groups, (X_test, y_test), out)
            self._warn_of_edges()
        return r

    def predict(self, X: Any) -> NDArray[Any]:
        """Return predictions (n, s), or (n,) for 1-D y.

        With ``coef=None`` the training targets are read again, from the array that was fitted:
        it must still be there, unchanged.
        """
        check_is_fitted(self)
        X = without_mask("X", X)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        if hasattr(self, "coef_"):
            result: NDArray[Any] = X @ self.coef_.T + self.intercept_
            return result
        solution, targets = self._solution, self._targets
        n = X.shape[0]
        no_intercept = "_intercept" not in self.__dict__
        if no_intercept:  # the prediction at 0: one row more, and no pass over Y of its own
            X = np.vstack([X, np.zeros((1, X.shape[1]), X.dtype)])
        result = np.empty((len(X), targets.Y.shape[1]), targets.dtype)
        with full_float32_products(targets.device):
            predict = solution.predictor(X)
            for block in targets.blocks("predicting"):
                result[:, block.columns] = to_numpy(predict(block, None))
                if self.fit_intercept:
                    result[:, block.columns] += block.means()
        if no_intercept:
            self._keep_intercept(result[n].copy())
        return result[:n, 0] if self._one_target else result[:n]

    @property
    def intercept_(self) -> Any:
        """Intercepts (s,), or a number for 1-D y; without coefficients Y is read for them, once."""
        if "_intercept" not in self.__dict__:
            if "_solution" not in self.__dict__:
                raise AttributeError(f"this {type(self).__name__} is not fitted: no intercept_")
            self.predict(np.zeros((1, self.n_features_in_)))
        return self._intercept

    def _keep_intercept(self, intercept: NDArray[Any]) -> None:
        self._intercept = float(intercept[0]) if self._one_target else intercept

    def _plan(
        self,
        size: tuple[int, int, int],
        folds: list[Fold],
        method: Method,
        coef: Any = None,
    ) -> Plan:
        """Return the plan for t, p, s; ``coef`` as in the constructor, or "given"."""
        shape = fit_shape(
            *size,
            len(self._grid().alphas),
            folds=folds,
            dtype=method.dtype,
            scoring=check_scoring(self.scoring),
            per_target=self.alpha_per_target,
            coef=coef,
            exact=method.exact,
            gcv=by_gcv(self.cv),
        )
        tridiagonal = self._tridiagonal if method.tridiagonal is None else method.tridiagonal
        if self.device != "cpu":  # numpy alone
            tridiagonal = False
        limit = self.memory_limit
        if self.device.startswith("cuda"):
            # Coefficients are on the host: of them a block is on the GPU.
            shape = replace(shape, on_gpu=True)
            limit = within_device(self.device, limit)
        return make_plan(
            shape,
            memory_limit=limit,
            width=self.batch_size,
            form=find_form(self.solver),
            selection=method.selection or self._selection,
            joint=self._joint if method.joint is None else method.joint,
            tridiagonal=tridiagonal,
        )

    def _fit(
        self,
        X: Any,
        y: Any,
        groups: ArrayLike | None,
        test: tuple[Any, Any] | None,
        out: NDArray[Any] | None,
    ) -> NDArray[np.float64]:
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        with self.phases("reading"):
            X = without_mask("X", X)
            X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
            Y = as_targets(without_mask("y", y))
        self._one_target = Y.ndim == 1
        Y = Y[:, None] if self._one_target else Y
        check_xy(X, Y, finite=False)
        folds = find_folds(self.cv, X.shape[0], groups)
        with self.phases("reading"):
            dtype = safe_dtype(self.dtype, X, Y)
            held_out = None if test is None else self._held_out(test, Y.shape[1])
        given = None if out is None else self._given(out, X, Y)
        for name in ("coef_", "_solution", "_targets", "_intercept"):
            self.__dict__.pop(name, None)
        device = find_device(self.device)
        self.phases.settle_with(device.settle)
        # NaN and infinities in Y are found by the sums that they spoil, and named.
        quiet = np.errstate(invalid="ignore", over="ignore")
        with ExitStack() as stack, quiet, full_float32_products(device):
            # Opened first: a disk that is too full is said before anything is computed.
            file = self._coef_file(stack, (Y.shape[1], X.shape[1]), Y.dtype)
            try:
                found = self._searched(X, Y, folds, dtype, self.coef if given is None else "given")
            except InputError:
                check_xy(np.zeros((Y.shape[0], 1)), Y)  # names the first bad value
                raise
            targets = found.targets
            with self.phases("solution"):
                solution = found.solver.solve(self.alpha_)
            del found
            if self.coef is None and held_out is None:
                self._finish(solution, targets, None, None)
                return np.empty(0)
            return self._solve(solution, targets, held_out, stack, file, given)

    def _given(self, out: NDArray[Any], X: NDArray[Any], Y: NDArray[Any]) -> NDArray[Any]:
        """Return the caller's array for the coefficients as (s, p), checked."""
        if self.coef != "memory":
            raise InputError(
                f"out with coef={self.coef!r}: coefficients have one place; leave one of them out"
            )
        shape = (X.shape[1],) if self._one_target else (Y.shape[1], X.shape[1])
        check_given(out, shape, product_dtype(self.dtype, Y.dtype, Y.dtype), (X, Y))
        return out.reshape(-1, X.shape[1])

    def _coef_file(
        self, stack: ExitStack, shape: tuple[int, int], Y_dtype: np.dtype[Any]
    ) -> CoefFile | None:
        """Return the file for the coefficients, open while ``stack`` is; None for no file."""
        if self.coef is None or self.coef == "memory":
            return None
        dtype = product_dtype(self.dtype, Y_dtype, Y_dtype)
        return stack.enter_context(CoefFile(self.coef, shape, dtype))

    def _held_out(self, test: tuple[Any, Any], s: int) -> tuple[NDArray[Any], NDArray[Any]]:
        X, Y = without_mask("X_test", test[0]), as_targets(without_mask("y_test", test[1]))
        check_held_out(len(Y))
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        Y = Y[:, None] if Y.ndim == 1 else Y
        if Y.shape != (X.shape[0], s):
            raise InputError(
                f"y_test has shape {Y.shape}: {(X.shape[0], s)} are the held-out rows and targets"
            )
        return X, Y

    def _searched(
        self, X: NDArray[Any], Y: NDArray[Any], folds: list[Fold], dtype: np.dtype[Any], coef: Any
    ) -> Found:
        """Choose the penalty; keep the choice and the plan that was carried out."""
        task = Task(
            X,
            Y,
            folds,
            self._grid(),
            self.scoring,
            self.fit_intercept,
            find_device(self.device),
            gcv=by_gcv(self.cv),
            per_target=self.alpha_per_target,
            view_file=self.memory_limit is None and fits_in_memory(Y),
            progress=self.progress or silent,
            phases=self.phases,
        )
        size = (*X.shape, Y.shape[1])
        found = search(task, lambda method: self._plan(size, folds, method, coef), Method(dtype))
        self.plan_ = found.plan
        self._keep_choice(found.choice)
        return found

    def _grid(self) -> PenaltyGrid:
        return make_grid(self.alphas, self.extend_alphas)

    def _keep_choice(self, choice: Choice) -> None:
        self.cv_results_: dict[str, Any] = {
            "alphas": choice.alphas,
            "mean_scores": choice.scores.shared,
        }
        if choice.per_target:
            self.cv_results_["scores"] = choice.scores.each
        self.alpha_: Any = choice.alpha
        self.best_score_: Any = choice.best_score

    def _warn_of_edges(self) -> None:
        alphas, extended = self.cv_results_["alphas"], self._grid().extended
        warn_at_edge(alphas, np.ravel(self.alpha_), extended=extended, extends=True, stacklevel=3)

    def _solve(
        self,
        solution: Solution,
        targets: TargetColumns,
        held_out: tuple[NDArray[Any], NDArray[Any]] | None,
        stack: ExitStack,
        file: CoefFile | None,
        given: NDArray[Any] | None,
    ) -> NDArray[np.float64]:
        """Run the pass over Y that forms coefficients and intercepts and scores held-out rows."""
        s, p = targets.Y.shape[1], self.n_features_in_
        dtype = np.dtype(product_dtype(self.dtype, targets.Y.dtype, targets.Y.dtype))
        coefficients: NDArray[Any] | None = None
        with stack:
            if self.coef == "memory":
                coefficients = fresh_memory((s, p), dtype) if given is None else given
            intercept, r = solve_targets(
                solution,
                targets,
                p,
                coefficients=coefficients,
                file=file,
                held_out=held_out,
                phases=self.phases,
            )
        if file is not None:
            coefficients = np.load(self.coef, mmap_mode="r")
        self._finish(solution, targets, coefficients, intercept.astype(dtype))
        return r

    def _finish(
        self,
        solution: Solution,
        targets: TargetColumns,
        coefficients: NDArray[Any] | None,
        intercept: NDArray[Any] | None,
    ) -> None:
        if intercept is not None:
            self._keep_intercept(intercept)
        if coefficients is None:
            self._solution, self._targets = solution, targets
        else:
            self.coef_ = coefficients[0] if self._one_target else coefficients
        if self._one_target and self.alpha_per_target:
            self.alpha_ = float(self.alpha_[0])
            self.best_score_ = float(self.best_score_[0])
