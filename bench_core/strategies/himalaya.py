"""``himalaya``: the ridge of the himalaya package, for comparison.

T. Dupré la Tour, M. Eickenberg, A. O. Nunez-Elizalde, J. L. Gallant, "Feature-space selection
with banded ridge regression", NeuroImage 264 (2022), 119728. himalaya selects by k-fold
cross-validation; it has no leave-one-out shortcut, so it may choose another penalty than
``ridgecv`` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bench_core.checks import check_xy
from bench_core.data import THESIS_ALPHAS
from bench_core.errors import InputError
from bench_core.scaling.costs import himalaya as costs
from bench_core.scaling.operations import FitCost
from bench_core.strategies._himalaya import SCORE_FUNCTIONS, HimalayaStrategy, use_backend
from bench_core.strategies._ridgecv import gcv_shape

if TYPE_CHECKING:
    from bench_core.cluster import Cluster


class Himalaya(HimalayaStrategy):
    """himalaya's RidgeCV or KernelRidgeCV in one process; a penalty for all targets, or for each.

    Computes in the precision of X. With ``backend="torch"`` the linear algebra is that of torch
    on the CPU, with "torch_cuda" on a GPU: the record then names torch's library.

    Parameters
    ----------
    alphas, fit_intercept : as for every `Strategy`.
    cv : number of contiguous folds, or the run of every sample (t,) for folds by run.
    scoring : "neg_mean_squared_error", "r2" or "pearson": himalaya's own scores, averaged over
        folds, and over targets where they share a penalty.
    alpha_per_target : choose the best penalty of every target (himalaya's ``local_alpha``).
    backend : "numpy", "torch" (on the processor) or "torch_cuda" (on the first GPU).
    solver : "ridge" (singular values of X), "kernel" (eigenvalues of X Xᵀ), or "auto": whichever
        himalaya recommends, "kernel" for t < p.
    alphas_batch : penalties that are worked on at a time; himalaya holds a p × t array for each.

    Attributes
    ----------
    alpha_ : the chosen penalty, (s,) with ``alpha_per_target``.
    cv_results_ : ``alphas`` (r,); ``best_score``, averaged over folds and targets at the chosen
        penalties; ``solver``.
    """

    name = "himalaya"
    summary = "himalaya's RidgeCV in one process, 5-fold; one penalty for all targets"
    penalty_scope = "all"
    supports = frozenset({"cv", "scoring", "alpha_per_target"})
    solvers = ("auto", "ridge", "kernel")

    def __init__(
        self,
        alphas: Sequence[float] = THESIS_ALPHAS,
        *,
        fit_intercept: bool = True,
        cluster: Cluster | None = None,
        cv: Any = 5,
        scoring: str = "neg_mean_squared_error",
        alpha_per_target: bool = False,
        backend: str = "numpy",
        solver: str = "auto",
        alphas_batch: int = 1,
    ) -> None:
        super().__init__(alphas, fit_intercept=fit_intercept, cluster=cluster)
        self.cv = cv
        self.scoring = scoring
        self.alpha_per_target = alpha_per_target
        self.backend = backend
        self.solver = solver
        self.alphas_batch = alphas_batch

    @classmethod
    def bytes_needed(cls, t: int, p: int, s: int, dtype: DTypeLike, nodes: int) -> int:
        """Return the bytes of X, Y and the arrays that himalaya 0.4 holds at once (5 folds)."""
        size = int(np.dtype(dtype).itemsize)
        return (t * p + t * s) * size + costs.held_bytes(t, p, s, size)

    def cost(self, t: int, p: int, s: int, dtype: str = "float64", nodes: int = 1) -> FitCost:
        """Return the work of a fit; see `Strategy.cost`."""
        shape = gcv_shape(t, p, s, len(self.alphas), self.cv, dtype, each=self.alpha_per_target)
        form = None if self.solver == "auto" else self.solver
        return costs.himalaya(shape, form=cast(costs.Form | None, form))

    def fit_checked(self, X: NDArray[Any], Y: NDArray[Any], alphas: NDArray[np.float64]) -> None:
        """Fit; see `Strategy.fit_checked`."""
        self.check_installed()
        self.check_options(len(X))
        cv = self.folds(len(X))
        check_xy(X, Y)
        dtype = X.dtype if X.dtype in (np.float32, np.float64) else np.dtype(np.float64)
        kernel = self.solver == "kernel" or (self.solver == "auto" and X.shape[0] < X.shape[1])
        with use_backend(self.backend) as backend:
            model = self._model(kernel, alphas.astype(dtype), cv)
            model.fit(backend.asarray(np.asarray(X, dtype)), backend.asarray(np.asarray(Y, dtype)))
            coef = model.get_primal_coef() if kernel else model.coef_
            self.coef_ = backend.to_numpy(coef).T
            if self.fit_intercept:
                self.intercept_ = backend.to_numpy(model.intercept_)
            else:
                self.intercept_ = np.zeros(Y.shape[1], dtype)
            best = np.asarray(backend.to_numpy(model.best_alphas_), np.float64)
            score = float(np.mean(backend.to_numpy(model.cv_scores_), dtype=np.float64))
        # himalaya returns the penalty through exp(-log), a rounding away from the candidate.
        index = np.argmin(np.abs(np.log(alphas[:, None] / best[None, :])), axis=0)
        self.alpha_ = alphas[index] if self.alpha_per_target else float(alphas[index[0]])
        self.cv_results_ = {
            "alphas": alphas,
            "best_score": score,
            "solver": "kernel" if kernel else "ridge",
        }

    def folds(self, t: int) -> Any:
        """Return the folds as himalaya takes them; check all options."""
        if self.alphas_batch < 1:
            raise InputError(f"alphas_batch = {self.alphas_batch}: give at least 1")
        return super().folds(t)

    def _model(self, kernel: bool, alphas: NDArray[Any], cv: Any) -> Any:
        from himalaya import scoring
        from himalaya.kernel_ridge import KernelRidgeCV
        from himalaya.ridge import RidgeCV

        common: dict[str, Any] = {
            "alphas": alphas,
            "fit_intercept": self.fit_intercept,
            "cv": cv,
        }
        shared = {
            "local_alpha": self.alpha_per_target,
            "n_alphas_batch": self.alphas_batch,
            "score_func": getattr(scoring, SCORE_FUNCTIONS[self.scoring]),
        }
        if kernel:
            return KernelRidgeCV(kernel="linear", warn=False, solver_params=shared, **common)
        return RidgeCV(solver_params={**shared, "warn": False}, **common)


STRATEGY = Himalaya
