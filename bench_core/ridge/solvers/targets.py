"""Targets as a solver reads them, and what it adds up over their blocks."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from bench_core.phases import NO_PHASES, Phases
from bench_core.progress import Progress, silent
from bench_core.ridge.arrays.backend import Array, Device, cast, to_numpy
from bench_core.ridge.arrays.target_blocks import Block, Centring, ColumnBlocks
from bench_core.ridge.formulas.joint_folds import FoldSums
from bench_core.ridge.formulas.primal import ErrorSums
from bench_core.ridge.formulas.scores import spread


@dataclass(frozen=True)
class TargetColumns:
    """Targets Y (t, s), or one node's share of them, read block by block on a device.

    Parameters
    ----------
    width : columns per block.
    dtype : precision of the blocks.
    centre : take off large means; False without an intercept.
    view_file : map a file of targets into the process instead of reading it.
    phases : timer; waiting for a block is "reading".
    """

    Y: NDArray[Any]
    width: int
    dtype: np.dtype[Any]
    device: Device
    centre: bool = True
    view_file: bool = False
    progress: Progress = silent
    phases: Phases = NO_PHASES

    def blocks(self, what: str, centring: Centring = "shift") -> Iterator[Block]:
        """Yield the blocks in order and report progress as ``what``."""
        blocks = ColumnBlocks(
            self.Y,
            self.width,
            dtype=self.dtype,
            centring=centring if self.centre else "none",
            device=self.device,
            view_file=self.view_file,
            phases=self.phases,
        )
        coming = iter(blocks)
        for done in range(len(blocks)):
            with self.phases("reading"):
                block = next(coming)
            self.progress(what, done, len(blocks))
            yield block
        coming.close()
        self.progress(what, len(blocks), len(blocks))

    def some(self, columns: NDArray[np.intp]) -> TargetColumns:
        """Return some of the targets, copied, whose passes are not reported."""
        Y = np.take(np.asarray(self.Y), columns, axis=1)
        return replace(self, Y=Y, progress=silent)


@dataclass
class TargetSums:
    """Sums over targets from which every penalty is scored; disjoint parts add up in any order.

    total : Y Yᵀ (t, t), of which only the lower triangle counts, `ErrorSums` or `FoldSums`.
    targets : number of targets. defined : number of targets that are not constant, where they are
    scaled for r2.
    """

    total: Array | ErrorSums | FoldSums
    targets: int
    defined: int = 0

    def __iadd__(self, other: TargetSums) -> TargetSums:
        """Add another part in place."""
        self.total = operator.iadd(self.total, other.total)
        self.targets += other.targets
        self.defined += other.defined
        return self

    def on_host(self) -> TargetSums:
        """Return the sums as numpy arrays, to be sent."""
        return self._moved(to_numpy)

    def on(self, device: Device) -> TargetSums:
        """Return the sums on a device."""
        return self if device.is_numpy else self._moved(device.put)

    def _moved(self, move: Any) -> TargetSums:
        total = self.total
        if isinstance(total, ErrorSums):
            moved: Any = ErrorSums(move(total.cross), move(total.squares), move(total.B))
        elif isinstance(total, FoldSums):
            moved = total.moved(move)
        else:
            moved = move(total)
        return TargetSums(moved, self.targets, self.defined)


@dataclass
class TargetScores:
    """Scores (r, s) of every penalty and target; parts are joined in the order of targets.

    squares, gained : (r,) sums over targets as in `BlockScores`. own : the sum of squared
    targets, not finite when a value of Y is not. errors : (r,) as in `Validation`.
    """

    scores: NDArray[np.float64]
    squares: NDArray[np.float64]
    gained: NDArray[np.float64]
    own: float
    errors: NDArray[np.float64]

    def __iadd__(self, other: TargetScores) -> TargetScores:
        """Append the targets of another part."""
        self.scores = np.concatenate([self.scores, other.scores], axis=1)
        self.squares = self.squares + other.squares
        self.gained = self.gained + other.gained
        self.own += other.own
        return self

    def on_host(self) -> TargetScores:
        """Return itself: it is made of numpy arrays."""
        return self


@dataclass
class FoldScores:
    """Scores of every target in all folds, from one pass over the targets: a part for each fold."""

    folds: list[TargetScores]

    def __iadd__(self, other: FoldScores) -> FoldScores:
        """Append the targets of another part."""
        for mine, more in zip(self.folds, other.folds, strict=True):
            mine += more
        return self

    def on_host(self) -> FoldScores:
        """Return itself: it is made of numpy arrays."""
        return self


Sums = TargetSums | TargetScores | FoldScores


def scaled(Y: Array, rows: Array | None = None) -> tuple[Array, int]:
    """Return Y / √SST, the sums of squares over ``rows``, and how many targets vary there."""
    xp = array_namespace(Y)
    _, squares = spread(Y if rows is None else xp.take(Y, rows, axis=0))
    weight = xp.where(squares > 0, 1 / xp.sqrt(xp.where(squares > 0, squares, 1.0)), 0.0)
    return Y * cast(weight, to_numpy(Y[:0]).dtype), int(xp.sum(xp.astype(squares > 0, xp.int64)))
