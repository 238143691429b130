"""``banded``: a penalty for every feature space, `bench_core.ridge.banded.BandedRidgeCV`.

The columns of X belong to named spaces, such as the layers of a network. The penalty of each is
chosen by cross-validation, for all targets or for every one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from bench_core.data import THESIS_ALPHAS, FeatureSpaces
from bench_core.progress import Progress
from bench_core.records.fit_plan import FitPlan
from bench_core.ridge.banded.estimator import BandedRidgeCV
from bench_core.strategies._base import Strategy
from bench_core.strategies._ridgecv import default_scoring, own_cv

if TYPE_CHECKING:
    from bench_core.cluster import Cluster
    from bench_core.ridge.banded.planning import BandedPlan
    from bench_core.ridge.banded.variance import SpaceScores


class Banded(Strategy):
    """One process, a penalty for every feature space; chosen for all targets, or for each.

    Parameters
    ----------
    alphas, fit_intercept : as for every `Strategy`; space g gets the penalty α / γ_g.
    spaces : name → number of columns, or list of ranges [first, last + 1], in the order of X: see
        `bench_core.data.FeatureSpaces`. None for one space.
    candidates, refine, balanced, seed : see `bench_core.ridge.banded.BandedRidgeCV`.
    cv : number of contiguous folds, the run of every sample for folds by run, or None for
        leave-one-out.
    scoring, alpha_per_target, dtype, coef, memory_limit, device, progress : as for ``multitarget``;
        ``scoring`` None is "r2" with folds, the squared error with leave-one-out.

    Attributes
    ----------
    alpha_ : the chosen α, (s,) with ``alpha_per_target``.
    penalties_ : α / γ of every space (spaces,), or (spaces, s).
    cv_results_ : ``alphas``, ``weights`` (n, spaces), ``mean_scores`` (n, r), ``best_score``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, noise = rng.standard_normal((60, 40)), rng.standard_normal((60, 3))
    >>> Y = X[:, :20] @ rng.standard_normal((20, 3)) + noise
    >>> model = Banded([1.0, 10.0, 100.0], spaces={"signal": 20, "noise": 20}).fit(X, Y)
    >>> sorted(model.penalties_by_space(), key=model.penalties_by_space().get)
    ['signal', 'noise']
    """

    name = "banded"
    summary = "a penalty for every feature space, from one t × t factorisation a candidate; 5-fold"
    penalty_scope = "all"
    supports = frozenset(
        {
            "alpha_per_target",
            "coef",
            "cv",
            "device",
            "dtype",
            "memory_limit",
            "progress",
            "scoring",
            "spaces",
        }
    )

    def __init__(
        self,
        alphas: Sequence[float] = THESIS_ALPHAS,
        *,
        fit_intercept: bool = True,
        cluster: Cluster | None = None,
        spaces: Mapping[str, Any] | None = None,
        candidates: Any = 60,
        refine: int = 20,
        balanced: bool = True,
        cv: Any = 5,
        scoring: str | None = None,
        alpha_per_target: bool = False,
        dtype: str | None = None,
        coef: Any = "memory",
        memory_limit: int | None = None,
        device: str = "cpu",
        seed: int = 0,
        progress: Progress | None = None,
    ) -> None:
        super().__init__(alphas, fit_intercept=fit_intercept, cluster=cluster)
        self.spaces = spaces
        self.candidates = candidates
        self.refine = refine
        self.balanced = balanced
        self.cv = cv
        self.scoring = scoring
        self.alpha_per_target = alpha_per_target
        self.dtype = dtype
        self.coef = coef
        self.memory_limit = memory_limit
        self.device = device
        self.seed = seed
        self.progress = progress

    def check_options(self, t: int) -> None:
        """Check the options; see `Strategy.check_options`."""
        p = 1 if self.spaces is None else FeatureSpaces.of(self.spaces).p
        self._estimator(t, p).plan_shape(t, p, 1, np.float64)

    @classmethod
    def bytes_needed(cls, t: int, p: int, s: int, dtype: DTypeLike, nodes: int) -> int:
        """Return the bytes of X, Y and of the plan for the default options."""
        own = cls().plan(t, p, s, np.dtype(dtype).name).peak_bytes
        return (t * p + t * s) * np.dtype(dtype).itemsize + own

    def plan(self, t: int, p: int, s: int, dtype: str = "float64", nodes: int = 1) -> FitPlan:
        """Return what `fit` would do with arrays of these shapes."""
        return self._common(self._estimator(t, p).plan_shape(t, p, s, dtype))

    def carried_out(self) -> FitPlan:
        """Return the plan that `fit` carried out."""
        return self._common(self._model.plan_)

    def fit_checked(self, X: NDArray[Any], Y: NDArray[Any], alphas: NDArray[np.float64]) -> None:
        """Fit in this process; see `Strategy.fit_checked`."""
        model = self._estimator(*X.shape).fit(X, Y)
        self._model = model
        self.__dict__.pop("coef_", None)
        if hasattr(model, "coef_"):
            self.coef_ = model.coef_
        self.intercept_ = model.intercept_
        self.alpha_, self.penalties_ = model.alpha_, model.penalties_
        self.cv_results_ = {**model.cv_results_, "best_score": model.best_score_}

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return predictions (t, s) for X (t, p); see `Strategy.predict`."""
        if hasattr(self, "coef_"):
            return super().predict(X)
        predicted: NDArray[Any] = self._model.predict(X)
        return predicted

    def feature_scales(self, targets: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return √γ of every feature and target (p, n); see `Strategy.feature_scales`."""
        weights = np.atleast_2d(self.chosen_weights().T).T
        own = weights[:, targets] if self.alpha_per_target else np.repeat(weights, len(targets), 1)
        numbers = FeatureSpaces.of_features(self.spaces, self.n_features_in_).numbers()
        found: NDArray[np.float64] = np.sqrt(own)[numbers]
        return found

    def chosen_weights(self) -> NDArray[np.float64]:
        """Return γ of every space (spaces,), or of every space and target (spaces, s)."""
        weights: NDArray[np.float64] = self._model.weights_
        return weights

    def space_scores(self, X: ArrayLike, Y: ArrayLike) -> SpaceScores:
        """Return what every space explains of held-out Y (n, s) at X (n, p)."""
        return self._model.space_scores(X, Y)

    def penalties_by_space(self) -> dict[str, Any]:
        """Return the penalty of every space by its name: numbers, or (s,) with one per target."""
        names = FeatureSpaces.of_features(self.spaces, self.n_features_in_).names
        values = self.penalties_.tolist() if self.penalties_.ndim == 1 else list(self.penalties_)
        return dict(zip(names, values, strict=True))

    def held_out_results(self, X: ArrayLike, Y: ArrayLike) -> dict[str, NDArray[Any]]:
        """Return the spaces' penalties and what each explains of held-out rows, by name of array.

        ``space_penalty``, ``space_r``, ``space_r2``, ``space_unique`` (spaces, s) and
        ``shared_r2`` (s,): see `bench_core.ridge.banded.variance`.
        """
        scores = self.space_scores(X, Y)
        penalties = self.penalties_ if self.alpha_per_target else self.penalties_[:, None]
        return {
            "space_penalty": np.array(np.broadcast_to(penalties, scores.r.shape)),
            "space_r": scores.r,
            "space_r2": scores.r2,
            "space_unique": scores.unique,
            "shared_r2": scores.shared,
        }

    def held_out_names(self) -> tuple[str, ...]:
        """Return the names of the spaces, in the order of the rows of `held_out_results`."""
        return FeatureSpaces.of_features(self.spaces, self.n_features_in_).names

    def _warn_at_edge(self) -> None:
        """Leave it to the estimator, which has warned."""

    def _common(self, plan: BandedPlan) -> FitPlan:
        return FitPlan(
            strategy=self.name,
            nodes=1,
            form="dual",
            flops=plan.flops,
            useful_flops=None,
            peak_bytes=plan.peak_bytes,
            settings=plan.to_dict(),
            text=str(plan),
        )

    def _estimator(self, t: int, p: int) -> BandedRidgeCV:
        spaces = None if self.spaces is None else FeatureSpaces.of_features(self.spaces, p)
        return BandedRidgeCV(
            self.alphas,
            spaces=None if spaces is None else spaces.numbers(),
            candidates=self.candidates,
            refine=self.refine,
            balanced=self.balanced,
            fit_intercept=self.fit_intercept,
            cv=own_cv(self.cv, t),
            scoring=default_scoring(self.scoring, self.cv),
            alpha_per_target=self.alpha_per_target,
            dtype=self.dtype,
            coef=self.coef,
            memory_limit=self.memory_limit,
            device=self.device,
            seed=self.seed,
            progress=self.progress,
        )


STRATEGY = Banded
