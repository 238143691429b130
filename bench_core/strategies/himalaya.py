"""``himalaya``: the ridge of the himalaya package, for comparison.

T. Dupré la Tour, M. Eickenberg, A. O. Nunez-Elizalde, J. L. Gallant, "Feature-space selection
with banded ridge regression", NeuroImage 264 (2022), 119728. himalaya selects by k-fold
cross-validation; it has no leave-one-out shortcut, so it may choose another penalty than
``ridgecv`` does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bench_core.checks import check_xy
from bench_core.data import THESIS_ALPHAS
from bench_core.errors import InputError, install_command, unknown
from bench_core.ridge.arrays.backend import find_device
from bench_core.ridge.formulas.scores import SCORINGS
from bench_core.scaling.costs import himalaya as costs
from bench_core.scaling.operations import FitCost
from bench_core.strategies._base import Strategy
from bench_core.strategies._ridgecv import gcv_shape, ridgecv_options

if TYPE_CHECKING:
    from bench_core.cluster import Cluster

BACKENDS = ("numpy", "torch", "torch_cuda")
SOLVERS = ("auto", "ridge", "kernel")
SCORE_FUNCTIONS = {
    "neg_mean_squared_error": "l2_neg_loss",
    "r2": "r2_score",
    "pearson": "correlation_score",
}
"""himalaya's functions by the common names of scores."""
EXTRAS = {
    "himalaya": "peers",
    "torch": "torch",
}


class Himalaya(Strategy):
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
    def skip(cls, t: int, p: int, s: int, nodes: int, threads: int) -> str | None:
        """Return why it cannot run: not installed, or more than one node."""
        if find_spec("himalaya") is None:
            return f"himalaya is not installed: {install_command(EXTRAS['himalaya'])}"
        return super().skip(t, p, s, nodes, threads)

    @property
    def torch_device(self) -> str | None:
        """Where torch computes; see `Strategy.torch_device`."""
        return {"torch": "cpu", "torch_cuda": "cuda:0"}.get(self.backend)

    def check_options(self, t: int) -> None:
        """Check the options; see `Strategy.check_options`."""
        self._folds(t)
        if self.backend == "torch_cuda":
            find_device("cuda")

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
        for package in ("himalaya", *([] if self.backend == "numpy" else ["torch"])):
            if find_spec(package) is None:
                instead = ", or use backend='numpy'" if package == "torch" else ""
                command = install_command(EXTRAS[package])
                raise InputError(f"{package} is not installed: {command}{instead}")
        if self.backend == "torch_cuda":
            find_device("cuda")  # says what is missing
        cv = self._folds(len(X))
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

    def _folds(self, t: int) -> Any:
        """Return the folds as himalaya takes them; check all options."""
        if self.backend not in BACKENDS:
            raise unknown("backend", self.backend, BACKENDS)
        if self.solver not in SOLVERS:
            raise unknown("solver", self.solver, SOLVERS)
        if self.scoring not in SCORINGS:
            raise unknown("scoring", str(self.scoring), SCORINGS)
        if self.alphas_batch < 1:
            raise InputError(f"alphas_batch = {self.alphas_batch}: give at least 1")
        if isinstance(self.cv, int) and not 2 <= self.cv <= t:
            raise InputError(f"cv = {self.cv} folds of {t} samples: give 2 to {t}")
        folds = ridgecv_options(None, self.cv, t).get("cv")
        if folds is None:
            raise InputError(
                f"cv = {self.cv!r}: himalaya has no leave-one-out; give a number of folds, or the "
                "run of every sample"
            )
        return folds

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


@contextlib.contextmanager
def use_backend(name: str) -> Iterator[Any]:
    """Use this backend of himalaya, which is a global choice, and put the former back."""
    from himalaya.backend import get_backend, set_backend

    before = get_backend().name
    try:
        yield set_backend(name)
    finally:
        set_backend(before)


STRATEGY = Himalaya
