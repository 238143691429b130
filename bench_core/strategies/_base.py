"""What every strategy is: an estimator that knows what it computes and what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from bench_core.checks import check_alphas, check_xy, row_blocks
from bench_core.cluster import Cluster, forget_pages
from bench_core.data import THESIS_ALPHAS, Shape
from bench_core.errors import InputError

PREDICTED_BYTES = 256 * 2**20
"""Bytes of mapped coefficients that are read at a time."""


class Strategy(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """One way to fit Y ≈ X Bᵀ + b with a ridge penalty chosen from candidates.

    A strategy overrides `_fit`, which sets the attributes below, and says in its class attributes
    what it is. Parameters are keyword arguments of ``__init__``, stored as they come.

    Parameters
    ----------
    alphas : r candidate penalties, added to the squared singular values of X.
    fit_intercept : whether to fit b; otherwise it is 0.
    cluster : where a distributed strategy runs.

    Attributes
    ----------
    name, summary : the strategy's name, and what it does in one line.
    penalty_scope : "all", "batch" or "target": the targets that share one chosen penalty.
    claims_ridgecv : whether it promises the answer of scikit-learn's RidgeCV, penalty included.
    distributed : whether it needs a cluster.
    coef_ : B (s, p), perhaps memory-mapped. ``intercept_`` : b (s,).
    alpha_ : the chosen penalty, or that of every target (s,).
    cv_results_ : what the choice was made from; see the strategy.
    n_features_in_, n_targets_ : p, s.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    penalty_scope: ClassVar[Literal["all", "batch", "target"]]
    claims_ridgecv: ClassVar[bool] = False
    distributed: ClassVar[bool] = False

    coef_: NDArray[Any]
    intercept_: NDArray[Any]
    alpha_: float | NDArray[np.float64]
    cv_results_: dict[str, Any]

    def __init__(
        self,
        alphas: Sequence[float] = THESIS_ALPHAS,
        *,
        fit_intercept: bool = True,
        cluster: Cluster | None = None,
    ) -> None:
        self.alphas = alphas
        self.fit_intercept = fit_intercept
        self.cluster = cluster

    @classmethod
    def skip(cls, shape: Shape, nodes: int, threads: int) -> str | None:
        """Return why a problem of this shape cannot be fitted so, or None if it can."""
        if nodes > 1 and not cls.distributed:
            return f"{cls.name} runs in one process: nodes must be 1, not {nodes}"
        return None

    @classmethod
    def bytes_needed(cls, t: int, p: int, s: int, dtype: DTypeLike, nodes: int) -> int:
        """Return the memory that a fit takes, all processes together, in bytes.

        X and Y are counted once, as if read whole; ``nodes`` is ignored where there is one
        process.
        """
        raise NotImplementedError

    def fit(self, X: ArrayLike, Y: ArrayLike) -> Strategy:
        """Fit X (t, p) and Y (t, s), in memory or memory-mapped.

        Raises
        ------
        InputError : penalties or data that no fit can use, or a cluster missing or superfluous.
        """
        alphas, X, Y = self._checked(X, Y)
        self._fit(X, Y, alphas)
        self.n_features_in_, self.n_targets_ = X.shape[1], Y.shape[1]
        return self

    def _checked(
        self, X: ArrayLike, Y: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[Any]]:
        """Return the penalties and both arrays; raise what `fit` raises."""
        alphas = check_alphas(self.alphas)
        check_xy(X, Y, finite=False)
        if self.distributed and self.cluster is None:
            raise InputError(f"{self.name} runs on a cluster: pass cluster=local(nodes, threads)")
        if not self.distributed and self.cluster is not None:
            raise InputError(f"{self.name} runs in this process: leave cluster out")
        return alphas, np.asanyarray(X), np.asanyarray(Y)

    def _fit(self, X: NDArray[Any], Y: NDArray[Any], alphas: NDArray[np.float64]) -> None:
        """Set the fitted attributes. Shapes and penalties are checked, values are not."""
        raise NotImplementedError

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return X Bᵀ + b (t, s) for X (t, p).

        Raises `InputError` for another number of features.
        """
        check_is_fitted(self, "coef_")
        X = np.asanyarray(X)
        p = self.coef_.shape[1]
        if X.ndim != 2 or X.shape[1] != p:
            raise InputError(f"X has shape {X.shape}: the fit had {p} features, so give (t, {p})")
        return predicted_in_blocks(X, self.coef_, self.intercept_)

    def definition_alphas(self) -> NDArray[np.float64]:
        """Return the chosen penalty of every target (s,), with which plain Ridge must agree."""
        check_is_fitted(self, "alpha_")
        return np.array(np.broadcast_to(self.alpha_, self.n_targets_), dtype=np.float64)


def predicted_in_blocks(
    X: NDArray[Any], coef: NDArray[Any], intercept: NDArray[Any]
) -> NDArray[Any]:
    """Return X coefᵀ + intercept (t, s).

    Coefficients that lie in a file are read in blocks of targets, and their pages given back:
    they may be larger than memory.
    """
    if not forget_pages(coef):
        predicted: NDArray[Any] = np.asarray(X @ coef.T)
        predicted += intercept
        return predicted
    dtype = np.result_type(X.dtype, coef.dtype)
    predicted = np.empty((len(X), len(coef)), dtype)
    for targets in row_blocks(len(coef), coef.shape[1] * coef.itemsize, PREDICTED_BYTES):
        predicted[:, targets] = X @ coef[targets].T
        predicted[:, targets] += intercept[targets]
        forget_pages(coef)
    return predicted


def node_cluster(strategy: Strategy) -> Cluster:
    """Return the cluster of a distributed strategy, which `Strategy.fit` has seen to be there."""
    assert strategy.cluster is not None
    return strategy.cluster
