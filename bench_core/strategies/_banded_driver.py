"""A ``banded-shared`` fit as the driver sees it: tasks on nodes, and what they add up to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench_core.cluster import RowFile
from bench_core.progress import Progress
from bench_core.ridge.banded.planning import BandedShape
from bench_core.ridge.banded.rounds import Chosen, Draws, choose, search
from bench_core.ridge.banded.scores import Candidates, FoldSums
from bench_core.ridge.banded.variance import SpaceScores
from bench_core.strategies import _banded_nodes as on_node
from bench_core.strategies._banded_nodes import Job
from bench_core.strategies._node_sums import summed

if TYPE_CHECKING:
    from distributed import Future

    from bench_core.cluster import Cluster


Arrays = tuple[NDArray[Any], ...]

_SCORES = "scores"
"""Name in a ledger of the scores of all candidates, which are most of the work."""


@dataclass(frozen=True)
class FitOnNodes:
    """What a fit on nodes gives beside the coefficients."""

    chosen: Chosen
    candidates: Candidates
    intercept: NDArray[np.float64]
    mean: NDArray[np.float64]


@dataclass
class NodesFit:
    """One fit on nodes.

    Parameters
    ----------
    shares : the targets of every node. shape : of the whole fit.
    """

    cluster: Cluster
    job: Job
    shares: list[slice]
    draws: Draws
    shape: BandedShape
    progress: Progress

    def run(self, rows: RowFile) -> FitOnNodes:
        """Return the choice and the intercepts; the coefficients are in ``rows``.

        Where the cluster has a ledger, the scores of all candidates and every node's targets whose
        coefficients are written are kept in it, and not found again.
        """
        settings, progress = self.job.settings, self.progress
        every = range(len(self.shares))
        kept = self._find(_SCORES)
        parts = {node: self._find(f"{node}") if kept is not None else None for node in every}
        left = [node for node in every if parts[node] is None]
        progress("multiplying features", 0, 1)
        features = {
            node: self.submit(node, on_node.prepare) for node in (every if kept is None else left)
        }
        self.cluster.wait(list(features.values()))
        if kept is None:
            kept = self._scores(list(features.values()))
            self._keep(_SCORES, kept)
        weights, means, best, score, lost, scales = kept
        found = Candidates(weights, means, best, score, int(lost))
        chosen = choose(
            found,
            settings.alphas,
            scales,
            per_target=settings.per_target,
            scoring=settings.scoring,
        )
        progress("solving", 0, 1)
        tasks = [
            self.submit(
                node,
                on_node.solve,
                features[node],
                self.shares[node],
                _of(chosen, self.shares[node]),
                rows,
            )
            for node in left
        ]
        for place, result in self._finished(tasks):
            parts[left[place]] = result
            self._keep(f"{left[place]}", result)
        intercepts, means = zip(*(parts[node] for node in every), strict=True)
        progress("solving", 1, 1)
        return FitOnNodes(chosen, found, np.concatenate(intercepts), np.concatenate(means))

    def _scores(self, features: list[Future]) -> Arrays:
        """Return the arrays of `Candidates`, and the scales of the kernels."""
        plan = replace(self.job.plan, shape=self.shape)
        found = search(
            partial(_Sums, self, features), partial(_Each, self, features), plan, self.draws
        )
        # The kernels' scales are the same on every node.
        scales = self.cluster.gather([self.cluster.submit(0, _scales, features[0])])[0]
        lost = np.asarray(found.lost)
        return found.weights, found.mean_scores, found.best, found.score, lost, scales

    def _find(self, name: str) -> Arrays | None:
        recovery = self.cluster.recovery
        return None if recovery is None else recovery.ledger.find(name)

    def _keep(self, name: str, result: Arrays) -> None:
        if self.cluster.recovery is not None:
            self.cluster.recovery.ledger.keep(name, result)

    def _finished(self, tasks: list[Future]) -> Iterator[tuple[int, Arrays]]:
        """Return places and results of all tasks: as they are done, where results are kept."""
        if self.cluster.recovery is None:
            return enumerate(self.cluster.gather(tasks))
        return self.cluster.finished(tasks)

    def submit(self, node: int, function: Any, *arguments: Any) -> Future:
        """Start a task of `bench_core.strategies._banded_nodes` on a node."""
        return self.cluster.submit(node, function, self.job, *arguments)


class _Sums:
    """Scores of all targets together: products summed over nodes, candidates divided among them."""

    def __init__(self, fit: NodesFit, features: list[Future]) -> None:
        self.fit, self.features = fit, features
        self.unexplained = np.empty(0)
        parts = {
            node: fit.submit(node, on_node.products, own) for node, own in enumerate(fit.shares)
        }
        self._sums = summed(fit.cluster, parts, on_node.add)
        fit.cluster.wait([self._sums])

    def score(self, found: Candidates, weights: NDArray[np.float64]) -> None:
        """Add the candidates of ``weights`` with every penalty to ``found``."""
        fit, r = self.fit, len(self.fit.job.settings.alphas)
        nodes = min(len(self.features), len(weights))
        fit.progress("comparing candidates", 0, 1)
        tasks = [
            fit.submit(
                node,
                on_node.score_sums,
                self.features[node],
                self._sums,
                weights[node::nodes],
                fit.shape.s,
            )
            for node in range(nodes)
        ]
        means, unexplained = np.empty((2, len(weights), r))
        for node, part in enumerate(fit.cluster.gather(tasks)):
            means[node::nodes] = part[0].reshape(-1, r)
            unexplained[node::nodes] = part[1].reshape(-1, r)
            found.lost += part[2]
        self.unexplained = np.concatenate([self.unexplained, unexplained.ravel()])
        found.add(weights, means)
        fit.progress("comparing candidates", 1, 1)


class _Each:
    """Scores of every target, each predicted by the node that has it."""

    def __init__(self, fit: NodesFit, features: list[Future]) -> None:
        self.fit, self.features = fit, features

    def score(self, found: Candidates, weights: NDArray[np.float64]) -> None:
        """Add the candidates of ``weights`` with every penalty to ``found``."""
        fit, first = self.fit, len(found.weights)
        fit.progress("comparing candidates", 0, 1)
        tasks = [
            fit.submit(
                node,
                on_node.score_targets,
                self.features[node],
                own,
                weights,
                first,
                found.best[own],
                found.score[own],
            )
            for node, own in enumerate(fit.shares)
        ]
        size = len(weights) * len(fit.job.settings.alphas), len(fit.job.settings.folds)
        sums = FoldSums(np.zeros(size), np.zeros(size))
        lost = 0
        for own, part in zip(fit.shares, fit.cluster.gather(tasks), strict=True):
            total, count, found.best[own], found.score[own], lost = part
            sums += FoldSums(total, count)
        found.lost += lost  # of the kernels, which are the same on every node
        found.add(weights, sums.means())
        fit.progress("comparing candidates", 1, 1)


def _scales(features: Any) -> NDArray[np.float64]:
    scales: NDArray[np.float64] = features.kernels.scales
    return scales


def _of(
    chosen: Chosen, own: slice
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Return the choice of a node's targets, as `on_node.solve` takes it."""
    choice = chosen.choice
    return choice.weights, choice.alphas, choice.index[own]


def explained(
    cluster: Cluster,
    job: Job,
    shares: list[slice],
    chosen: Chosen,
    means: NDArray[np.float64] | None,
    X_new: Any,
    Y_new: Any,
) -> list[SpaceScores]:
    """Return what spaces explain of held-out data, for the targets of every node."""
    features = [cluster.submit(node, on_node.prepare, job) for node in range(len(shares))]
    tasks = [
        cluster.submit(
            node,
            on_node.explain,
            job,
            features[node],
            own,
            _of(chosen, own),
            None if means is None else means[own],
            X_new,
            Y_new,
        )
        for node, own in enumerate(shares)
    ]
    found: list[SpaceScores] = cluster.gather(tasks)
    return found
