"""Tasks of a ``banded-shared`` fit: functions that run on nodes, each for its own targets.

What a node prepares, the kernels of the features, is a Dask result that stays there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.cluster import ArrayRef, RowFile, forget_pages
from bench_core.cluster.delivery import SentArray
from bench_core.ridge.arrays.backend import find_device, full_float32_products, to_numpy
from bench_core.ridge.arrays.target_blocks import fits_in_memory
from bench_core.ridge.banded.each_target import EachTarget
from bench_core.ridge.banded.features import PreparedFeatures
from bench_core.ridge.banded.kernels import Columns
from bench_core.ridge.banded.planning import BandedPlan
from bench_core.ridge.banded.scores import Candidates, SearchSettings
from bench_core.ridge.banded.search import SumsOverTargets, target_products
from bench_core.ridge.banded.solution import Choice, solve_blocks
from bench_core.ridge.banded.variance import SpaceScores, space_scores
from bench_core.ridge.solvers.targets import TargetColumns

Products = list[tuple[NDArray[np.float64], int]]
"""Sums over targets for every fold: see `bench_core.ridge.banded.search.target_products`."""


@dataclass(frozen=True)
class Job:
    """Arguments common to all tasks.

    Parameters
    ----------
    columns : of every feature space.
    plan : of one node.
    """

    X: ArrayRef | SentArray
    Y: ArrayRef | SentArray
    columns: list[Columns]
    settings: SearchSettings
    balanced: bool
    device: str
    plan: BandedPlan

    @property
    def dtype(self) -> np.dtype[Any]:
        """Precision of the products."""
        return np.dtype(self.plan.shape.dtype)

    def targets(self, columns: slice, width: int | None = None) -> TargetColumns:
        """Return columns of Y as they are read in blocks."""
        Y = self.Y.columns(columns.start, columns.stop)
        view_file = fits_in_memory(Y)
        return TargetColumns(
            Y,
            width or self.plan.width,
            self.dtype,
            find_device(self.device),
            centre=self.settings.intercept,
            view_file=view_file,
        )


def prepare(job: Job) -> PreparedFeatures:
    """Return the features with the kernels of their spaces."""
    device = find_device(job.device)
    X = job.X.open()
    with full_float32_products(device):
        found = PreparedFeatures.of(
            X,
            job.columns,
            job.dtype,
            device,
            intercept=job.settings.intercept,
            balanced=job.balanced,
        )
    forget_pages(X)
    return found


def products(job: Job, columns: slice) -> Products:
    """Return the sums over the node's targets."""
    device = find_device(job.device)
    with full_float32_products(device):
        found = target_products(job.targets(columns), job.settings)
        return [(to_numpy(total), defined) for total, defined in found]


def add(one: Products, other: Products) -> Products:
    """Return the sums of both parts; the first is overwritten."""
    found = []
    for (total, defined), (more, further) in zip(one, other, strict=True):
        total += more
        found.append((total, defined + further))
    return found


def score_sums(
    job: Job, features: PreparedFeatures, sums: Products, weights: NDArray[np.float64], s: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Return mean scores and what is unexplained of candidates (n · r,), and how many are lost.

    sums : over all s targets.
    """
    device = features.device
    found = Candidates.none(weights.shape[1], len(job.settings.alphas), 0)
    with full_float32_products(device):
        scorer = SumsOverTargets(features.ordered(job.settings.order), s, job.settings)
        # Copied: the sums may be used again, for candidates around these.
        scorer.take([(device.put(np.array(total)), defined) for total, defined in sums])
        means, unexplained = scorer.means(found, weights)
    return means, unexplained, found.lost


def score_targets(
    job: Job,
    features: PreparedFeatures,
    columns: slice,
    weights: NDArray[np.float64],
    first: int,
    best: NDArray[np.intp],
    score: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp], NDArray[np.float64], int]:
    """Predict the node's targets with candidates that follow the ``first`` ones.

    best, score : of the node's targets so far (s',).

    Returns the sums of scores and their numbers (n · r, folds), best and score, and how many are
    lost.
    """
    spaces, r = weights.shape[1], len(job.settings.alphas)
    found = Candidates(np.empty((first, spaces)), np.empty((first, r)), best.copy(), score.copy())
    with full_float32_products(features.device):
        kernels = features.ordered(job.settings.order)
        sums = EachTarget(kernels, job.targets(columns), job.settings).sums(found, weights)
    return sums.total, sums.count, found.best, found.score, found.lost


def solve(
    job: Job,
    features: PreparedFeatures,
    columns: slice,
    choice: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]],
    rows: RowFile,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Write the coefficients of the node's targets; return their intercepts and means (s',).

    choice : weights, alphas and index of `Choice`, the index of the node's targets.
    """
    solution = features.solution(Choice(*choice), job.plan.factors)

    def keep(block: slice, dual: Any) -> None:
        rows.write(columns.start + block.start, solution.coefficients(dual, block))

    with full_float32_products(features.device):
        along = features.along_means() if job.settings.intercept else None
        targets = job.targets(columns, job.plan.solved)
        dual = np.empty(targets.Y.shape, targets.dtype) if job.plan.whole else None
        return solve_blocks(solution, targets, along, keep, dual=dual)


def explain(
    job: Job,
    features: PreparedFeatures,
    columns: slice,
    choice: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]],
    means: NDArray[np.float64] | None,
    X_new: ArrayRef | SentArray,
    Y_new: ArrayRef | SentArray,
) -> SpaceScores:
    """Return what every space explains of held-out data of the node's targets."""
    solution = features.solution(Choice(*choice), job.plan.factors)
    held_out = Y_new.columns(columns.start, columns.stop)
    with full_float32_products(features.device):
        cross = features.cross(np.asarray(X_new.open()))
        return space_scores(solution, job.targets(columns), cross, held_out, means)
