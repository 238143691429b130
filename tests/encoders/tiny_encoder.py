"""A network small enough to check by hand, an encoder around it, and videos for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from encoders.base import TorchEncoder
from encoders.protocol import Frames, InputSpec
from encoders.synthetic import numbered, read_number, write_video
from encoders.weights import random_info


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Linear(4, 2)
        self.unused = nn.Linear(1, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.act(self.conv(images)).mean(dim=(2, 3)))


class Tiny(TorchEncoder):
    """Gives random features of 8 x 16 pixels, and counts its own passes."""

    name = "tiny"
    summary = "a convolution and a matrix"

    def __init__(
        self, weights=None, *, seed=0, device="cpu", input_spec=None, preprocessing="thumbnail"
    ):
        torch.manual_seed(seed)
        network = Net()
        self.passes = 0
        self.samples = 0
        super().__init__(
            network,
            input_spec=input_spec or InputSpec("images", (8, 16)),
            preprocessing=preprocessing,
            weights=random_info(network),
            device=device,
            aliases={"activation": "act"},
        )

    def preprocess(self, frames: Frames) -> Tensor:
        small = frames.pixels[:, 0, ::6, ::8].astype(np.float32) / 255
        return torch.from_numpy(small).permute(0, 3, 1, 2)

    def run(self, batch: Tensor) -> Tensor:
        self.passes += 1
        self.samples += len(batch)
        return self.network(batch)


class Numbers(Tiny):
    """Its only feature is the number that a frame shows: a wrong frame shows."""

    name = "numbers"

    def __init__(self, weights=None, **options) -> None:
        super().__init__(weights, preprocessing="number", **options)
        self.network.conv = nn.Identity()

    def preprocess(self, frames: Frames) -> Tensor:
        numbers = [[read_number(frame) for frame in clip] for clip in frames.pixels]
        return torch.tensor(numbers, dtype=torch.float32)[:, :, None, None]

    def run(self, batch: Tensor) -> Tensor:
        self.passes += 1
        self.samples += len(batch)
        return self.network.conv(batch)


def video(path: Path, times, first: int = 0) -> Path:
    """Write a video whose frame k shows the number ``first`` + k from ``times[k]`` on."""
    write_video(path, (numbered(first + k) for k in range(len(times))), times)
    return path


def irregular(count: int, seed: int = 0) -> np.ndarray:
    """Return ``count`` ascending times from 0, 15 to 120 ms apart, in whole 90 kHz ticks."""
    gaps = np.random.default_rng(seed).integers(1350, 10_800, count)
    return np.concatenate([[0], np.cumsum(gaps)])[:count] / 90_000
