"""``multitarget``: this package's own ridge, `bench_core.ridge.MultiTargetRidgeCV`, in one process.

It gives RidgeCV's answer. X is factorised once, and with leave-one-out the score of a penalty is
taken from sums over the targets, at a cost that does not depend on their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from bench_core.checks import check_held_out, check_xy, unmasked
from bench_core.data import THESIS_ALPHAS
from bench_core.errors import InputError
from bench_core.progress import Progress
from bench_core.records.fit_plan import FitPlan
from bench_core.ridge.estimator import MultiTargetRidgeCV
from bench_core.scaling.costs import own as costs
from bench_core.scaling.operations import FitCost
from bench_core.strategies._base import COMMON_OPTIONS, Strategy
from bench_core.strategies._plans import common_plan
from bench_core.strategies._ridgecv import default_scoring, own_cv

if TYPE_CHECKING:
    from bench_core.cluster import Cluster
    from bench_core.ridge.planning.plan import Plan


class MultiTarget(Strategy):
    """One process, one factorisation of X; a penalty for all targets, from sums, or one for each.

    Parameters
    ----------
    alphas, fit_intercept : as for every `Strategy`.
    dtype : precision of the products with Y, "float64" or "float32"; None for that of X and Y.
        Factorisations and scores are in float64 always.
    coef : "memory"; a path ending in .npy, to which coefficients are streamed; or None: they are
        never formed and `predict` reads Y again.
    cv : None for leave-one-out; "gcv" for generalised cross-validation; or, as for ``ridgecv``,
        folds.
    scoring : "neg_mean_squared_error", "r2" or "pearson"; None for what scikit-learn takes: the
        first for leave-one-out, "r2" for folds.
    alpha_per_target, extend_alphas : see `bench_core.ridge.MultiTargetRidgeCV`.
    solver : "dual", "primal" or "auto": see `bench_core.ridge.MultiTargetRidgeCV`.
    memory_limit : bytes that the fit may use beyond X and Y; None for no limit.
    device : "cpu", "torch", "cuda", …: see `bench_core.ridge.MultiTargetRidgeCV`.
    progress : called with (what, blocks done, blocks in all), or None.

    Attributes
    ----------
    coef_ : (s, p), memory-mapped if streamed, absent with ``coef=None``.
    alpha_ : the chosen penalty, (s,) with ``alpha_per_target``.
    cv_results_ : ``alphas`` (r,), those compared; ``best_score``, (s,) with ``alpha_per_target``;
        ``mean_scores`` (r,), means over folds and targets.
    plan_ : the `bench_core.ridge.Plan` that was carried out.
    """

    name = "multitarget"
    summary = "one factorisation, penalties scored from sums over targets; RidgeCV's answer"
    penalty_scope = "all"
    claims_ridgecv = True
    phased = True
    supports = COMMON_OPTIONS - {"spaces"}

    def __init__(
        self,
        alphas: Sequence[float] = THESIS_ALPHAS,
        *,
        fit_intercept: bool = True,
        cluster: Cluster | None = None,
        dtype: str | None = None,
        coef: Any = "memory",
        cv: Any = None,
        scoring: str | None = None,
        alpha_per_target: bool = False,
        extend_alphas: int = 0,
        solver: str = "auto",
        memory_limit: int | None = None,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> None:
        super().__init__(alphas, fit_intercept=fit_intercept, cluster=cluster)
        self.dtype = dtype
        self.coef = coef
        self.cv = cv
        self.scoring = scoring
        self.alpha_per_target = alpha_per_target
        self.extend_alphas = extend_alphas
        self.solver = solver
        self.memory_limit = memory_limit
        self.device = device
        self.progress = progress

    def check_options(self, t: int) -> None:
        """Check the options; see `Strategy.check_options`."""
        self.plan(t, 1, 1)

    @classmethod
    def bytes_needed(cls, t: int, p: int, s: int, dtype: DTypeLike, nodes: int) -> int:
        """Return the bytes of X, Y and of the plan for the default options."""
        return cls().cost(t, p, s, np.dtype(dtype).name).peak_bytes

    def cost(self, t: int, p: int, s: int, dtype: str = "float64", nodes: int = 1) -> FitCost:
        """Return the work of the plan; see `Strategy.cost`."""
        return costs.multitarget(self._estimator(t).plan_shape(t, p, s, dtype))

    def plan(self, t: int, p: int, s: int, dtype: str = "float64", nodes: int = 1) -> FitPlan:
        """Return what `fit` would do with arrays of these shapes."""
        return self._common(self._estimator(t).plan_shape(t, p, s, dtype))

    def carried_out(self) -> FitPlan:
        """Return the plan that `fit` carried out."""
        return self._common(self.plan_)

    def _common(self, plan: Plan) -> FitPlan:
        return common_plan(self.name, plan, peak=plan.peak_bytes, slowdown=plan.slowdown)

    def _estimator(self, t: int) -> MultiTargetRidgeCV:
        model = MultiTargetRidgeCV(
            self.alphas,
            fit_intercept=self.fit_intercept,
            cv=own_cv(self.cv, t),
            scoring=default_scoring(self.scoring, self.cv),
            alpha_per_target=self.alpha_per_target,
            extend_alphas=self.extend_alphas,
            dtype=self.dtype,
            coef=self.coef,
            memory_limit=self.memory_limit,
            device=self.device,
            solver=self.solver,
            progress=self.progress,
        )
        model.phases = self.phases
        return model

    def fit_checked(self, X: NDArray[Any], Y: NDArray[Any], alphas: NDArray[np.float64]) -> None:
        """Fit in this process; see `Strategy.fit_checked`."""
        try:
            model = self._estimator(X.shape[0]).fit(X, Y)
        except ValueError:
            check_xy(X, Y)  # scikit-learn does not say where in X a value is not finite
            raise
        self._keep(model)

    def _warn_at_edge(self) -> None:
        """Leave it to the estimator, which has warned."""

    def fit_score(
        self, X: ArrayLike, Y: ArrayLike, X_test: ArrayLike, Y_test: ArrayLike
    ) -> NDArray[np.float64]:
        """Fit, and return Pearson's r (s,) on held-out rows, scored in the pass that solves.

        With ``coef=None`` neither coefficients nor all predictions are ever held.
        """
        check_held_out(len(np.asanyarray(Y_test)))
        _, X, Y = self._checked(X, Y)
        model = self._estimator(X.shape[0])
        r: NDArray[np.float64] = model.fit_score(X, Y, X_test, Y_test)
        self._keep(model)
        self.n_features_in_, self.n_targets_ = X.shape[1], Y.shape[1]
        return r

    @cached_property
    def intercept_(self) -> NDArray[Any]:  # type: ignore[override]  # it is writeable, all the same
        """Intercepts (s,); without coefficients Y is read for them unless `predict` has."""
        intercept: NDArray[Any] = self._model.intercept_
        return intercept

    def _keep(self, model: MultiTargetRidgeCV) -> None:
        for name in ("coef_", "intercept_"):
            self.__dict__.pop(name, None)
        if self.coef is not None:
            self.coef_ = model.coef_
        self.alpha_ = model.alpha_
        self.plan_ = model.plan_
        self.cv_results_ = {
            "alphas": model.cv_results_["alphas"],
            "best_score": model.best_score_,
            "mean_scores": model.cv_results_["mean_scores"],
        }
        self._model = model

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return predictions (t, s) for X (t, p).

        Without coefficients the training targets are read again: they must be there, unchanged.
        Raises `InputError` for another number of features.
        """
        if self.coef is not None or not hasattr(self, "_model"):
            return super().predict(X)
        X = unmasked("X", X)
        p = self.n_features_in_
        if X.ndim != 2 or X.shape[1] != p:
            raise InputError(f"X has shape {X.shape}: the fit had {p} features, so give (t, {p})")
        predicted: NDArray[Any] = self._model.predict(X)
        return predicted


STRATEGY = MultiTarget
