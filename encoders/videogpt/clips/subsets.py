"""Which frames to train on: windows inside runs, and subsets of a wanted size drawn by a seed.

The published subsets of 10 K to 6 M frames take subjects one after the other, so that size and
subject change together. Here every run gives its share at every size, and a smaller subset of
one seed is part of every larger one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError, ResourceError
from encoders.videogpt.clips.store import ClipStore


@dataclass(frozen=True)
class Subset:
    """Stretches of frames drawn from a store.

    ``segments`` is (k, 3): run, first frame, one past the last; none overlap.
    """

    segments: NDArray[np.int64]
    seed: int | None
    wanted: int | None
    subjects: dict[str, int]

    @property
    def frames(self) -> int:
        """Frames in the subset."""
        return int((self.segments[:, 2] - self.segments[:, 1]).sum())

    def windows(self, count: int, stride: int) -> NDArray[np.int64]:
        """Return (n, 2), run and first frame, of windows of ``count`` frames.

        Windows start at multiples of ``stride`` from their segment's start and end within it.
        Raises `ResourceError` if no segment holds one.
        """
        if count < 1 or stride < 1:
            raise InputError(f"windows of {count} frames every {stride}: both must be 1 or more")
        found = [
            np.column_stack([np.full(len(starts), run), starts])
            for run, first, last in self.segments
            if len(starts := np.arange(first, last - count + 1, stride))
        ]
        if not found:
            raise ResourceError(f"no stretch of frames is as long as {count}: record longer runs")
        return np.concatenate(found).astype(np.int64)

    def sizes(self, clip_frames: int) -> dict[str, Any]:
        """Return the subset's sizes for the record, in frames and in clips of ``clip_frames``.

        A GPT sample is two neighbouring clips; only whole ones count.
        """
        lengths = self.segments[:, 2] - self.segments[:, 1]
        return {
            "wanted_frames": self.wanted,
            "frames": self.frames,
            "clips": int((lengths // clip_frames).sum()),
            "samples": int((lengths // (2 * clip_frames)).sum()),
            "runs": len(np.unique(self.segments[:, 0])),
            "frames_per_subject": self.subjects,
            "seed": self.seed,
        }


def everything(store: ClipStore) -> Subset:
    """Return all frames of a store."""
    return _subset(store, store.segments(), None, None)


def draw(store: ClipStore, frames: int, *, block: int, seed: int) -> Subset:
    """Return ``frames`` frames (rounded down to blocks) drawn across subjects and runs.

    Parameters
    ----------
    block : frames drawn together without a gap; at least one sample of the GPT (32 for the
        thesis), more to train on overlapping windows too.
    seed : decides which blocks; smaller subsets are contained in larger ones.

    Raises `ResourceError` if the store has fewer whole blocks.
    """
    if frames < block:
        raise InputError(f"{frames} frames are less than one block of {block}: draw more")
    blocks = everything(store).windows(block, block)
    if frames > len(blocks) * block:
        raise ResourceError(
            f"{frames} frames wanted, but the {len(store.runs)} runs hold {len(blocks) * block} in "
            f"blocks of {block}: prepare more runs or draw fewer"
        )
    generator = np.random.default_rng(seed)
    place = np.empty(len(blocks))
    for run in np.unique(blocks[:, 0]):
        mine = np.flatnonzero(blocks[:, 0] == run)
        # Evenly spread places in [0, 1): the first x of them hold a share x of every run.
        places = (np.arange(len(mine)) + generator.random()) / len(mine)
        place[mine] = generator.permutation(places)
    chosen = blocks[np.sort(np.argsort(place, kind="stable")[: frames // block])]
    segments = np.column_stack([chosen, chosen[:, 1] + block])
    return _subset(store, segments, seed, frames)


def _subset(
    store: ClipStore, segments: NDArray[np.int64], seed: int | None, wanted: int | None
) -> Subset:
    subjects: Counter[str] = Counter()
    for run, first, last in segments:
        subjects[store.runs[run].subject] += int(last - first)
    return Subset(segments, seed, wanted, dict(sorted(subjects.items())))
