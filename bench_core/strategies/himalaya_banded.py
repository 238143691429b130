"""``himalaya-banded``: the banded ridge of the himalaya package, for comparison.

T. Dupré la Tour, M. Eickenberg, A. O. Nunez-Elizalde, J. L. Gallant, "Feature-space selection
with banded ridge regression", NeuroImage 264 (2022), 119728. Every target gets the best of the
same candidates as ``banded`` with ``alpha_per_target``, the refined ones excepted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bench_core.checks import check_xy
from bench_core.data import THESIS_ALPHAS, FeatureSpaces
from bench_core.ridge.banded.candidates import first_candidates, given_candidates
from bench_core.ridge.banded.kernels import columns_of
from bench_core.strategies._himalaya import SCORE_FUNCTIONS, HimalayaStrategy, use_backend

if TYPE_CHECKING:
    from bench_core.cluster import Cluster

LEAST = 1e-12
"""Weight that stands for 0."""


class HimalayaBanded(HimalayaStrategy):
    """himalaya's GroupRidgeCV or MultipleKernelRidgeCV; weights and a penalty for every target.

    Computes in the precision of X.

    Parameters
    ----------
    alphas, fit_intercept : as for every `Strategy`.
    spaces, candidates, seed : as for ``banded``; weights are those of its random candidates, as
        they are (its ``balanced=False``), at least `LEAST`, and sum to 1.
    cv : number of contiguous folds, or the run of every sample (t,) for folds by run.
    scoring : "neg_mean_squared_error", "r2" or "pearson": himalaya's own scores.
    backend : "numpy", "torch" (on the processor) or "torch_cuda" (on the first GPU).
    solver : "group" (singular values of the scaled X), "kernel" (eigenvalues of the summed
        kernels), or "auto": whichever himalaya recommends, "kernel" for t < p.

    Attributes
    ----------
    alpha_ : (s,). weights_, penalties_ : γ and α / γ (spaces, s).
    cv_results_ : ``alphas`` (r,), ``weights`` (n, spaces), ``best_score`` (s,), ``solver``.
    """

    name = "himalaya-banded"
    summary = "himalaya's banded ridge in one process, 5-fold; weights and a penalty per target"
    penalty_scope = "target"
    supports = frozenset({"cv", "scoring", "spaces"})
    solvers = ("auto", "group", "kernel")

    def __init__(
        self,
        alphas: Sequence[float] = THESIS_ALPHAS,
        *,
        fit_intercept: bool = True,
        cluster: Cluster | None = None,
        spaces: Mapping[str, Any] | None = None,
        candidates: Any = 60,
        cv: Any = 5,
        scoring: str = "r2",
        backend: str = "numpy",
        solver: str = "auto",
        seed: int = 0,
    ) -> None:
        super().__init__(alphas, fit_intercept=fit_intercept, cluster=cluster)
        self.spaces = spaces
        self.candidates = candidates
        self.cv = cv
        self.scoring = scoring
        self.backend = backend
        self.solver = solver
        self.seed = seed

    @classmethod
    def bytes_needed(cls, t: int, p: int, s: int, dtype: DTypeLike, nodes: int) -> int:
        """Return the bytes of X, Y and of what himalaya 0.4 holds at once (5 folds, r penalties).

        That is the features scaled, or the kernels of two spaces and their decomposition; and a
        prediction of every held-out sample for every penalty, some times over.
        """
        n = min(t, p)
        r, held = len(THESIS_ALPHAS), -(-t // 5)
        numbers = 2 * t * p + 8 * n * n + 2 * r * held * t + (4 * r + 3) * held * s + 4 * t * s
        return (t * p + t * s + numbers + 2 * p * s) * np.dtype(dtype).itemsize

    def fit_checked(self, X: NDArray[Any], Y: NDArray[Any], alphas: NDArray[np.float64]) -> None:
        """Fit; see `Strategy.fit_checked`."""
        self.check_installed()
        self.check_options(len(X))
        cv = self.folds(len(X))
        check_xy(X, Y)
        spaces = FeatureSpaces.of_features(self.spaces, X.shape[1])
        self._numbers = spaces.numbers()
        weights = self._weights(len(spaces.names))
        dtype = X.dtype if X.dtype in (np.float32, np.float64) else np.dtype(np.float64)
        kernel = self.solver == "kernel" or (self.solver == "auto" and X.shape[0] < X.shape[1])
        groups = [
            np.concatenate([np.arange(part.start, part.stop) for part in own])
            for own in columns_of(self._numbers, len(spaces.names))
        ]
        with use_backend(self.backend) as backend, np.errstate(divide="ignore"):
            Xs = [backend.asarray(np.asarray(X[:, own], dtype)) for own in groups]
            target = backend.asarray(np.asarray(Y, dtype))
            model = self._model(kernel, alphas.astype(dtype), weights.astype(dtype), cv)
            if kernel:
                model.fit(backend.stack([one @ one.T for one in Xs]), target)
                parts = [backend.to_numpy(one) for one in model.get_primal_coef(Xs)]
            else:
                model.fit(Xs, target)
                sizes = np.cumsum([len(own) for own in groups])[:-1]
                parts = np.split(backend.to_numpy(model.coef_), sizes)
            deltas = np.asarray(backend.to_numpy(model.deltas_), np.float64)
            scores = np.asarray(backend.to_numpy(model.cv_scores_), np.float64)
            intercept = np.zeros(Y.shape[1], dtype)
            if self.fit_intercept:
                intercept = backend.to_numpy(model.intercept_)
        self.coef_ = np.empty((Y.shape[1], X.shape[1]), dtype)
        for own, part in zip(groups, parts, strict=True):
            self.coef_[:, own] = part.T
        self.intercept_ = intercept
        # Log weights less log penalties; the weights sum to 1.
        found = 1 / np.exp(deltas).sum(axis=0)
        index = np.argmin(np.abs(np.log(alphas[:, None] / found[None, :])), axis=0)
        self.alpha_ = alphas[index]
        self.weights_ = np.exp(deltas) * self.alpha_
        with np.errstate(divide="ignore"):
            self.penalties_ = self.alpha_ / self.weights_
        self.cv_results_ = {
            "alphas": alphas,
            "weights": weights,
            "best_score": scores.max(axis=0),
            "solver": "kernel" if kernel else "group",
        }

    def feature_scales(self, targets: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return √γ of every feature and target (p, n); see `Strategy.feature_scales`."""
        found: NDArray[np.float64] = np.sqrt(self.weights_[:, targets])[self._numbers]
        return found

    def _weights(self, spaces: int) -> NDArray[np.float64]:
        if np.ndim(self.candidates):
            found = given_candidates(self.candidates, spaces)
        else:
            rng = np.random.default_rng(self.seed)
            found = first_candidates(spaces, int(self.candidates), rng)
        # GroupRidgeCV divides by the roots of the weights.
        found = np.maximum(found, LEAST)
        return found / found.sum(axis=1, keepdims=True)

    def _model(self, kernel: bool, alphas: NDArray[Any], weights: NDArray[Any], cv: Any) -> Any:
        from himalaya import scoring
        from himalaya.kernel_ridge import MultipleKernelRidgeCV
        from himalaya.ridge import GroupRidgeCV

        params: dict[str, Any] = {
            "n_iter": weights,
            "alphas": alphas,
            "score_func": getattr(scoring, SCORE_FUNCTIONS[self.scoring]),
            "progress_bar": False,
        }
        common: dict[str, Any] = {
            "solver": "random_search",
            "fit_intercept": self.fit_intercept,
            "cv": cv,
        }
        if kernel:
            return MultipleKernelRidgeCV(kernels="precomputed", solver_params=params, **common)
        return GroupRidgeCV(groups="input", solver_params={**params, "warn": False}, **common)


STRATEGY = HimalayaBanded
