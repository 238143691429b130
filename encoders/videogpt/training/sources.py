"""Sources of training batches: frames for both models, cached codes for the GPT."""

from __future__ import annotations

import hashlib
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from encoders.videogpt.clips.store import ClipStore
from encoders.videogpt.codes import Codes

Batch = dict[str, Tensor]


class TrainingSource(Protocol):
    """Numbered training samples."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def batch(self, samples: NDArray[np.int64]) -> Batch:
        """Return the tensors of ``samples``, on the CPU."""

    def identity(self) -> str:
        """Return text that changes with the samples; checkpoints store it."""


class FrameSource:
    """Windows of a clip store, as ``frames`` (b, count, side, side, 3) uint8."""

    def __init__(self, store: ClipStore, windows: NDArray[np.int64], count: int) -> None:
        self.store = store
        self.windows = windows
        self.count = count

    def __len__(self) -> int:
        return len(self.windows)

    def batch(self, samples: NDArray[np.int64]) -> Batch:
        """Return the frames of ``samples``."""
        return {"frames": torch.from_numpy(self.store.windows(self.windows[samples], self.count))}

    def identity(self) -> str:
        """Return a digest of the frames and the windows, with the windows' number and length."""
        windows = np.ascontiguousarray(self.windows, dtype="<i8")
        found = hashlib.sha256(self.store.digest().encode() + windows.tobytes()).hexdigest()
        return f"{len(self.windows)} windows of {self.count} frames, sha256 {found}"


class CodeSource:
    """Cached codes, as ``before`` and ``codes`` (b, t, h, w) int64.

    >>> clips = np.arange(3, dtype=np.uint16).reshape(3, 1, 1, 1)
    >>> source = CodeSource(Codes(clips, samples=np.array([[0, 1], [1, 2]]), key=""))
    >>> {name: codes.flatten().tolist() for name, codes in source.batch(np.array([0])).items()}
    {'before': [0], 'codes': [1]}
    """

    def __init__(self, codes: Codes) -> None:
        self.codes = codes

    def __len__(self) -> int:
        return len(self.codes)

    def batch(self, samples: NDArray[np.int64]) -> Batch:
        """Return the codes of ``samples``."""
        before, codes = self.codes.pairs(samples)
        return {
            "before": torch.from_numpy(before.astype(np.int64)),
            "codes": torch.from_numpy(codes.astype(np.int64)),
        }

    def identity(self) -> str:
        """Return the key of the codes."""
        return self.codes.key
