"""Training frames: windows inside runs, and random subsets of a given size.

The published subsets of 10 K to 6 M frames add one subject after the other, so that size and
subjects change together. Here each run contributes the same share at every size, and a smaller
subset is contained in every larger one of the same seed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.deprecated import renamed
from bench_core.errors import InputError, ResourceError
from encoders.videogpt.clips.store import ClipStore


@dataclass(frozen=True)
class Subset:
    """A selection of frames of a store.

    Parameters
    ----------
    segments : (k, 3) run, first frame and one past the last; segments do not overlap.
    seed, wanted : seed and number of frames of the selection; None for all frames.
    subjects : subject → number of frames.

    Examples
    --------
    >>> subset = Subset(np.array([[0, 0, 10], [1, 5, 9]]), None, None, {"sub-01": 14})
    >>> subset.frames, subset.windows(4, 4).tolist()
    (14, [[0, 0], [0, 4], [1, 5]])
    """

    segments: NDArray[np.int64]
    seed: int | None
    wanted: int | None
    subjects: dict[str, int]

    @property
    def frames(self) -> int:
        """Number of frames."""
        return int((self.segments[:, 2] - self.segments[:, 1]).sum())

    def windows(self, count: int, stride: int) -> NDArray[np.int64]:
        """Return (n, 2), run and first frame, of windows of ``count`` frames.

        Windows start at multiples of ``stride`` from their segment's start and end within it.

        Raises `ResourceError` if every segment is shorter than a window.
        """
        if count < 1 or stride < 1:
            raise InputError(
                f"windows of {count} frames every {stride} frames: give 1 or more for both"
            )
        found = [
            np.column_stack([np.full(len(starts), run), starts])
            for run, first, last in self.segments
            if len(starts := np.arange(first, last - count + 1, stride))
        ]
        if not found:
            raise ResourceError(
                f"no stretch has {count} frames or more: record longer runs or use shorter clips"
            )
        return np.concatenate(found).astype(np.int64)

    def sizes(self, clip_frames: int) -> dict[str, Any]:
        """Return the subset's sizes for the record, in frames and in clips of ``clip_frames``.

        A sample of the GPT is two consecutive clips. Incomplete clips and samples do not count.
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


def all_frames(store: ClipStore) -> Subset:
    """Return the subset of all frames of a store."""
    return _subset(store, store.segments(), None, None)


def draw_subset(store: ClipStore, frames: int, *, block: int, seed: int) -> Subset:
    """Return a random subset of ``frames`` frames (rounded down to blocks) of all runs.

    Parameters
    ----------
    block : consecutive frames that are drawn together; at least one sample of the GPT (32 for the
        thesis), more for training on overlapping windows.
    seed : of the choice of blocks; smaller subsets are contained in larger ones.

    Raises `InputError` for fewer frames than a block, and `ResourceError` if the store has fewer
    whole blocks.
    """
    if frames < block:
        raise InputError(f"{frames} frames are fewer than one block of {block}: draw more")
    blocks = all_frames(store).windows(block, block)
    if frames > len(blocks) * block:
        raise ResourceError(
            f"{frames} frames: the {len(store.runs)} runs have {len(blocks) * block} in blocks of "
            f"{block}; prepare more runs or draw fewer"
        )
    generator = np.random.default_rng(seed)
    place = np.empty(len(blocks))
    for run in np.unique(blocks[:, 0]):
        mine = np.flatnonzero(blocks[:, 0] == run)
        # Evenly spaced places in [0, 1): those below x are a share x of every run.
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


__getattr__ = renamed(__name__, {"draw": "encoders.videogpt.clips.subsets:draw_subset"})
