"""``ridgecv``: scikit-learn's RidgeCV, the multithreaded baseline of the thesis (section 3.2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bench_core.data import THESIS_ALPHAS
from bench_core.errors import InputError
from bench_core.scaling.costs import ridgecv as costs
from bench_core.scaling.operations import FitCost
from bench_core.strategies._array_api import needed_variables
from bench_core.strategies._base import Strategy
from bench_core.strategies._ridgecv import (
    fit_ridgecv,
    gcv_form,
    gcv_shape,
    release,
    scored_options,
)

if TYPE_CHECKING:
    from bench_core.cluster import Cluster


class RidgeCVStrategy(Strategy):
    """One process, one factorisation of X, one penalty for all targets, or one for each.

    Parameters
    ----------
    alphas, fit_intercept : as for every `Strategy`.
    gcv_mode : how leave-one-out factorises X: None or "auto", "eigen", "svd".
    cv : None for leave-one-out, a number of contiguous folds, the run of every sample (t,) for
        folds by run, or a scikit-learn splitter.
    scoring : "neg_mean_squared_error" or "r2"; None for what scikit-learn takes: the first for
        leave-one-out, "r2" for folds.
    alpha_per_target : choose the best penalty of every target; by leave-one-out only.
    device : "cpu" (numpy), or by leave-one-out "torch" (torch on the processor), "cuda" and so on:
        scikit-learn on torch arrays, which needs SCIPY_ARRAY_API=1 before Python starts. The record
        then names torch's library.

    Attributes
    ----------
    alpha_ : the chosen penalty, (s,) with ``alpha_per_target``.
    cv_results_ : ``alphas`` (r,) and ``best_score``: minus the mean squared leave-one-out error
        at the chosen penalty, or with ``cv`` the mean R² over folds and targets; (s,) with
        ``alpha_per_target``.
    """

    name = "ridgecv"
    summary = "scikit-learn's RidgeCV in one process; one penalty for all targets"
    supports = frozenset({"cv", "scoring", "alpha_per_target", "device"})
    penalty_scope = "all"
    claims_ridgecv = True
    phased = True

    def __init__(
        self,
        alphas: Sequence[float] = THESIS_ALPHAS,
        *,
        fit_intercept: bool = True,
        cluster: Cluster | None = None,
        gcv_mode: str | None = None,
        cv: Any = None,
        scoring: str | None = None,
        alpha_per_target: bool = False,
        device: str = "cpu",
    ) -> None:
        super().__init__(alphas, fit_intercept=fit_intercept, cluster=cluster)
        self.gcv_mode = gcv_mode
        self.cv = cv
        self.scoring = scoring
        self.alpha_per_target = alpha_per_target
        self.device = device

    @property
    def variables(self) -> dict[str, str]:
        """Variables of the process; see `Strategy.variables`."""
        return needed_variables(self.device)

    def _options(self, t: int) -> dict[str, Any]:
        options = scored_options(
            self.gcv_mode,
            self.cv,
            t,
            scoring=self.scoring,
            alpha_per_target=self.alpha_per_target,
        )
        if self.device != "cpu" and "cv" in options:
            raise InputError(
                f"device = {self.device!r} with folds: scikit-learn's RidgeCV computes in torch by "
                "leave-one-out only; leave cv out, or use multitarget"
            )
        return options

    def check_options(self, t: int) -> None:
        """Check the options; see `Strategy.check_options`."""
        self._options(t)

    def cost(self, t: int, p: int, s: int, dtype: str = "float64", nodes: int = 1) -> FitCost:
        """Return the work of a fit; see `Strategy.cost`."""
        shape = gcv_shape(t, p, s, len(self.alphas), self.cv, dtype, each=self.alpha_per_target)
        return costs.ridgecv(shape, form=gcv_form(shape, self.gcv_mode), release=release())

    @classmethod
    def bytes_needed(cls, t: int, p: int, s: int, dtype: DTypeLike, nodes: int) -> int:
        """Return the bytes of X, Y and of a leave-one-out fit of all targets at once."""
        return cls().cost(t, p, s, np.dtype(dtype).name).peak_bytes

    def fit_checked(self, X: NDArray[Any], Y: NDArray[Any], alphas: NDArray[np.float64]) -> None:
        """Fit; see `Strategy.fit_checked`."""
        options = self._options(len(X))
        fitted = fit_ridgecv(X, Y, alphas, self.fit_intercept, options, self.phases, self.device)
        self.coef_ = fitted.coef
        self.intercept_ = fitted.intercept
        self.alpha_ = fitted.alpha
        self.cv_results_ = {"alphas": alphas, "best_score": fitted.best_score}


STRATEGY = RidgeCVStrategy
