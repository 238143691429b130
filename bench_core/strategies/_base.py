"""Base class of strategies: the contract between a way to fit and whatever runs it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from bench_core.checks import check_alphas, check_held_out, check_xy, kept, row_blocks, unmasked
from bench_core.cluster import forget_pages
from bench_core.data import THESIS_ALPHAS
from bench_core.errors import InputError
from bench_core.phases import NO_PHASES, Phases
from bench_core.records.fit_plan import FitPlan
from bench_core.records.phases import PhaseSeconds, PhasesRecord
from bench_core.ridge.formulas.scores import pearson
from bench_core.ridge.penalty_grid import warn_at_edge
from bench_core.scaling.operations import FitCost

if TYPE_CHECKING:
    from bench_core.cluster import Cluster
    from bench_core.cluster.timeline import FitLog

COMMON_OPTIONS = frozenset(
    {
        "alpha_per_target",
        "coef",
        "cv",
        "device",
        "dtype",
        "extend_alphas",
        "memory_limit",
        "progress",
        "scoring",
        "solver",
        "spaces",
    }
)
"""Constructor options that have one meaning in all strategies that list them in ``supports``."""

PREDICTED_BYTES = 256 * 2**20
"""Bytes of mapped coefficients that are read at a time."""


class Strategy(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """One way to fit Y ≈ X Bᵀ + b with a ridge penalty chosen from candidates.

    A strategy overrides `fit_checked` and `bytes_needed`, describes itself in its class
    attributes, and may override `plan` and `skip`. Parameters are keyword arguments of
    ``__init__``, stored as they come. `bench_core.strategies.check_strategy` tests a class
    against this contract.

    Parameters
    ----------
    alphas : r candidate penalties, added to the squared singular values of X.
    fit_intercept : fit b; otherwise it is 0.
    cluster : where a distributed strategy runs.

    Attributes
    ----------
    name, summary : the strategy's name, and its method in one line.
    penalty_scope : "all", "batch" or "target": the targets that share one chosen penalty, unless
        ``alpha_per_target`` is set.
    claims_ridgecv : True promises the answer of scikit-learn's RidgeCV, penalty included.
    distributed : True needs a cluster.
    phased : True where the code says which phase of the fit it is in, by ``phases``, and by
        `bench_core.cluster.task_phases` in tasks on nodes.
    phases : timer of the next fit, a `bench_core.phases.Phases` to be set; by default none.
    supports : names of constructor options with their common meaning, out of "coef" (a path for
        coefficients, None for none), "memory_limit" (bytes beyond X and Y), "progress" (a
        `bench_core.progress.Progress`), "device", "dtype" (of products with Y), "cv" (None,
        number of folds, run of every sample), "scoring", "solver", "alpha_per_target" (a penalty
        for every target), "extend_alphas" (decades beyond the candidates) and "spaces" (feature
        spaces, as `bench_core.data.FeatureSpaces.of` takes them).
    solvers : values of the option "solver" where the strategy has its own, as himalaya's have;
        empty for the common ones.
    coef_ : B (s, p), perhaps memory-mapped. ``intercept_`` : b (s,).
    alpha_ : the chosen penalty, or that of every target (s,).
    cv_results_ : what the choice was made from; see the strategy.
    n_features_in_, n_targets_ : p, s.

    Examples
    --------
    >>> import numpy as np
    >>> from bench_core import strategies
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((60, 8))
    >>> Y = X @ rng.standard_normal((8, 3)) + rng.standard_normal((60, 3))
    >>> model = strategies.get("ridgecv")(alphas=(1.0, 100.0, 10_000.0)).fit(X, Y)
    >>> model.chosen_alphas()
    array([1., 1., 1.])
    >>> model.predict(X[:5]).shape
    (5, 3)
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    penalty_scope: ClassVar[Literal["all", "batch", "target"]]
    claims_ridgecv: ClassVar[bool] = False
    distributed: ClassVar[bool] = False
    phased: ClassVar[bool] = False
    supports: ClassVar[frozenset[str]] = frozenset()
    solvers: ClassVar[tuple[str, ...]] = ()

    phases: Phases = NO_PHASES
    _log: FitLog | None = None

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
        self.alphas = kept(alphas)
        self.fit_intercept = fit_intercept
        self.cluster = cluster

    @classmethod
    def option_names(cls) -> frozenset[str]:
        """Return the names of the strategy's own options: parameters less the common three."""
        return frozenset(cls._get_param_names()) - {"alphas", "fit_intercept", "cluster"}

    @classmethod
    def is_default_cv(cls, cv: str | int | None) -> bool:
        """Return True for "loo" where the strategy chooses so without ``cv``: it is one case."""
        return cv == "loo" and "cv" in cls.option_names() and getattr(cls(), "cv", None) is None

    @classmethod
    def skip(cls, t: int, p: int, s: int, nodes: int, threads: int) -> str | None:
        """Return why t × p to t × s cannot be fitted so, or None if it can."""
        if nodes > 1 and not cls.distributed:
            return f"{cls.name} runs in one process: nodes must be 1, not {nodes}"
        return None

    def check_options(self, t: int) -> None:
        """Check the options that ``fit`` would refuse for t samples; nothing is read.

        Called before anything runs. A strategy with options of its own overrides it. Raises
        `InputError` or `UnknownNameError` as `fit` does.
        """

    def plan(
        self, t: int, p: int, s: int, dtype: str = "float64", nodes: int = 1
    ) -> FitPlan | None:
        """Return what `fit` would do with t × p to t × s of ``dtype``; None without a plan.

        Raises `ResourceError` when no plan fits the option ``memory_limit``.
        """
        return None

    def cost(
        self, t: int, p: int, s: int, dtype: str = "float64", nodes: int = 1
    ) -> FitCost | None:
        """Return the work of fitting t × p to t × s with these options; None where unknown.

        `bench_core.scaling` predicts times from it. Raises `ResourceError` as `plan` does.
        """
        return None

    def sent_bytes(
        self, t: int, p: int, s: int, dtype: str = "float64", nodes: int = 1
    ) -> int | None:
        """Return the bytes that a fit sends where nodes do not see the files of X and Y.

        X goes to every node that works with it, Y is divided among nodes, and coefficients come
        back. None for a strategy of one process. Where nodes see the files, none of it is sent.
        """
        if not self.distributed:
            return None
        return (min(nodes, s) * t * p + t * s + s * p) * np.dtype(dtype).itemsize

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
        with self.phases.whole(), self._timed_tasks():
            alphas, X, Y = self._checked(X, Y)
            self.fit_checked(X, Y, alphas)
            self.n_features_in_, self.n_targets_ = X.shape[1], Y.shape[1]
            self._warn_at_edge()
        return self

    @contextmanager
    def _timed_tasks(self) -> Iterator[None]:
        """Take the times of the fit's tasks on nodes, too, where times are taken."""
        self._log = None
        if not self.phases.taken or not self.distributed:
            yield
            return
        with self.running_cluster().timed(self.phases) as self._log:
            yield

    def phases_record(self, fit_s: float) -> PhasesRecord | None:
        """Return the phases of the last fit, None where they were not taken, or lost.

        Nodes are asked for theirs, so call it after the fit's own time is read, while the cluster
        runs. The timer starts anew with the next fit.

        Parameters
        ----------
        fit_s : time of the fit by the caller's clock.
        """
        if not self.phases.taken:
            return None
        if self._log is not None:
            return self.running_cluster().phases_record(self._log, fit_s)
        main = PhaseSeconds("main", **self.phases.seconds)
        return PhasesRecord(fit_s, replace(main, process="critical path"), (main,))

    @property
    def scope(self) -> Literal["all", "batch", "target"]:
        """Targets that share one chosen penalty with these options: "all", "batch" or "target"."""
        return "target" if getattr(self, "alpha_per_target", False) else self.penalty_scope

    def tried_alphas(self) -> NDArray[np.float64]:
        """Return the candidates that were compared (r,): with ``extend_alphas`` those it added."""
        check_is_fitted(self, "alpha_")
        results = getattr(self, "cv_results_", {})
        return np.asarray(results.get("alphas", self.alphas), np.float64)

    def _warn_at_edge(self) -> None:
        """Warn where a chosen penalty is the smallest or the largest candidate."""
        if not hasattr(self, "alpha_"):  # a plug-in's choice of its own
            return
        warn_at_edge(
            self.tried_alphas(),
            self.chosen_alphas(),
            extended=bool(getattr(self, "extend_alphas", 0)),
            extends="extend_alphas" in self.supports,
            stacklevel=3,
        )

    def fit_score(
        self, X: ArrayLike, Y: ArrayLike, X_test: ArrayLike, Y_test: ArrayLike
    ) -> NDArray[np.float64]:
        """Fit, and return Pearson's r (s,) of held-out targets (n, s) with their predictions.

        NaN where a target or its prediction is constant. A strategy may override it to score
        while it solves. Raises `InputError` as `fit`, and for fewer than 3 held-out samples.
        """
        Y_test = unmasked("Y_test", Y_test)
        check_held_out(len(Y_test))
        self.fit(X, Y)
        r: NDArray[np.float64] = pearson(Y_test, self.predict(X_test))
        return r

    def _checked(
        self, X: ArrayLike, Y: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[Any]]:
        """Return the penalties and both arrays; raise what `fit` raises."""
        alphas = check_alphas(self.alphas)
        check_xy(X, Y, finite=False)
        if self.distributed:
            self.running_cluster()
        if not self.distributed and self.cluster is not None:
            raise InputError(f"{self.name} runs in this process: leave cluster out")
        return alphas, unmasked("X", X), unmasked("Y", Y)

    def fit_checked(self, X: NDArray[Any], Y: NDArray[Any], alphas: NDArray[np.float64]) -> None:
        """Set ``coef_``, ``intercept_``, ``alpha_`` and ``cv_results_``.

        Called by `fit`, and overridden by every strategy. Shapes and penalties are checked,
        values are not: raise `InputError` where X or Y is not finite.
        """
        former = getattr(self, "_fit", None)
        if former is None:
            raise NotImplementedError
        warnings.warn(
            f"{type(self).__name__}._fit is now fit_checked; the old name goes with the next "
            "release",
            DeprecationWarning,
            stacklevel=3,
        )
        former(X, Y, alphas)

    @property
    def torch_device(self) -> str | None:
        """Where torch computes with these options, "cpu" or "cuda:0" and so on; None for numpy.

        Taken from the option ``device``. A strategy that computes in torch without one overrides
        it: the record then names torch's library, and is invalid where none of its products are
        seen there.
        """
        return torch_name(str(getattr(self, "device", "cpu")))

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables that a process needs before Python starts to fit so; none here.

        A measurement's process is given them. A strategy whose packages read some overrides it.
        """
        return {}

    def running_cluster(self) -> Cluster:
        """Return the cluster of a distributed strategy; `fit` has checked that there is one."""
        if self.cluster is None:
            raise InputError(f"{self.name} runs on a cluster: pass cluster=local(nodes, threads)")
        return self.cluster

    def carried_out(self) -> FitPlan | None:
        """Return the plan that `fit` carried out, None for a strategy without plans.

        It is not that of `plan` where the data asked for a more exact way.
        """
        return None

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return X Bᵀ + b (t, s) for X (t, p).

        Raises `InputError` for another number of features.
        """
        check_is_fitted(self, "coef_")
        X = unmasked("X", X)
        p = self.coef_.shape[1]
        if X.ndim != 2 or X.shape[1] != p:
            raise InputError(f"X has shape {X.shape}: the fit had {p} features, so give (t, {p})")
        return predict_in_blocks(X, self.coef_, self.intercept_)

    def chosen_alphas(self) -> NDArray[np.float64]:
        """Return the chosen penalty of every target (s,).

        scikit-learn's Ridge with these penalties must give the same predictions.
        """
        check_is_fitted(self, "alpha_")
        return np.array(np.broadcast_to(self.alpha_, self.n_targets_), dtype=np.float64)

    def feature_scales(self, targets: NDArray[np.intp]) -> NDArray[np.float64] | None:
        """Return what every feature is multiplied by for some targets (p, n); None for 1.

        scikit-learn's Ridge with `chosen_alphas` must give the same predictions on features scaled
        so. A strategy with several penalties for the features of a target overrides it.
        """
        return None

    def held_out_results(self, X: ArrayLike, Y: ArrayLike) -> dict[str, NDArray[Any]]:
        """Return further results of a fit from held-out X (n, p) and Y (n, s), by name of array.

        Their last axis is the targets'. The rows of two-dimensional ones are what `held_out_names`
        says.
        """
        return {}

    def held_out_names(self) -> tuple[str, ...]:
        """Return the names of the rows of `held_out_results`."""
        return ()


def torch_name(device: str) -> str | None:
    """Return torch's name of the option ``device``, None for numpy's "cpu".

    >>> torch_name("cpu"), torch_name("torch"), torch_name("cuda")
    (None, 'cpu', 'cuda:0')
    """
    names = {"cpu": None, "torch": "cpu", "cuda": "cuda:0"}
    return names.get(device, device)


def predict_in_blocks(X: NDArray[Any], coef: NDArray[Any], intercept: NDArray[Any]) -> NDArray[Any]:
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
