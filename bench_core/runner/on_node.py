"""A strategy of one process, fitted on the first node of a cluster whose nodes are elsewhere.

The reference of every distributed speed-up is one of these: it is measured on the processor of the
nodes, not on the one of the machine that asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench_core import strategies
from bench_core.cluster.arrays import ArrayRef

if TYPE_CHECKING:
    from distributed import Future

    from bench_core.cluster import Cluster


class OnNode:
    """An estimator that does what a strategy of one process does, on node 0.

    Its fit's time includes one message there and back. Coefficients stay on the node until they
    are asked for.

    Parameters
    ----------
    cluster : where node 0 is.
    strategy : name of the strategy.
    parameters : of its constructor.
    """

    def __init__(self, cluster: Cluster, strategy: str, parameters: Mapping[str, Any]) -> None:
        self.cluster = cluster
        self.strategy = strategy
        # Reports would wake this process, and a file for coefficients need not be seen there.
        unset: dict[str, str | None] = {"progress": None}
        if isinstance(parameters.get("coef"), str) and parameters["coef"] != "memory":
            unset["coef"] = "memory"
        self.parameters = {
            name: unset.get(name, value) for name, value in parameters.items() if value is not None
        }
        if "coef" in parameters and parameters["coef"] is None:
            self.parameters["coef"] = None
        self._known: dict[str, Any] = {}
        self._model: Future | None = None

    @property
    def torch_device(self) -> str | None:
        """Where torch computes with these options; see `Strategy.torch_device`."""
        found: str | None = strategies.get(self.strategy)(**self.parameters).torch_device
        return found

    def fit(self, X: ArrayLike, Y: ArrayLike) -> OnNode:
        """Fit on node 0; raises what the strategy's own fit raises."""
        with self.cluster.shared(X, Y, nodes=[0]) as refs:
            self._model = self.cluster.submit(0, _fit, self.strategy, self.parameters, *refs)
            self.cluster.wait([self._model])
        self._known = {}
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the node's predictions for X (t, p) → (t, s)."""
        with self.cluster.shared(X, nodes=[0]) as (ref,):
            task = self.cluster.submit(0, _predict, self._model, ref)
            found: NDArray[Any] = self.cluster.gather([task])[0]
        return found

    def chosen_alphas(self) -> NDArray[np.float64]:
        """Return the chosen penalty of every target (s,)."""
        found: NDArray[np.float64] = self._of_model("chosen_alphas()")
        return found

    def tried_alphas(self) -> NDArray[np.float64]:
        """Return the candidates that were compared (r,)."""
        found: NDArray[np.float64] = self._of_model("tried_alphas()")
        return found

    def carried_out(self) -> Any:
        """Return the plan that was carried out, None without one."""
        return self._of_model("carried_out()")

    def feature_scales(self, targets: NDArray[np.intp]) -> NDArray[np.float64] | None:
        """Return what features are multiplied by; see `Strategy.feature_scales`."""
        task = self.cluster.submit(0, _feature_scales, self._model, targets)
        found: NDArray[np.float64] | None = self.cluster.gather([task])[0]
        return found

    def held_out_results(self, X: ArrayLike, Y: ArrayLike) -> dict[str, NDArray[Any]]:
        """Return further results from held-out X and Y; see `Strategy.held_out_results`."""
        with self.cluster.shared(X, Y, nodes=[0]) as refs:
            task = self.cluster.submit(0, _held_out_results, self._model, *refs)
            found: dict[str, NDArray[Any]] = self.cluster.gather([task])[0]
        return found

    def held_out_names(self) -> tuple[str, ...]:
        """Return the names of the rows of `held_out_results`."""
        found: tuple[str, ...] = self._of_model("held_out_names()")
        return found

    @property
    def scope(self) -> Any:
        """Targets that share one penalty; see `Strategy.scope`."""
        return self._of_model("scope")

    @property
    def intercept_(self) -> NDArray[Any]:
        """Intercepts (s,)."""
        found: NDArray[Any] = self._of_model("intercept_")
        return found

    @property
    def coef_(self) -> NDArray[Any]:
        """Coefficients (s, p), fetched when they are first asked for."""
        found: NDArray[Any] = self._of_model("coef_")
        return found

    def _of_model(self, name: str) -> Any:
        if name not in self._known:
            task = self.cluster.submit(0, _ask, self._model, name)
            self._known[name] = self.cluster.gather([task])[0]
        return self._known[name]


def _fit(strategy: str, parameters: Mapping[str, Any], X: ArrayRef, Y: ArrayRef) -> Any:
    return strategies.get(strategy)(**parameters).fit(X.open(), Y.open())


def _predict(model: Any, X: ArrayRef) -> NDArray[Any]:
    return np.asarray(model.predict(X.open()))


def _feature_scales(model: Any, targets: NDArray[np.intp]) -> NDArray[np.float64] | None:
    found: NDArray[np.float64] | None = model.feature_scales(targets)
    return found


def _held_out_results(model: Any, X: ArrayRef, Y: ArrayRef) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = model.held_out_results(X.open(), Y.open())
    return found


def _ask(model: Any, name: str) -> Any:
    found = getattr(model, name.removesuffix("()"))
    return found() if name.endswith("()") else found
