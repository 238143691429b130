"""Resizing of frames to the square input of the models."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

# Part of the key of everything that is stored and derived from resized frames.
RECIPE = "stretched to a square, bilinear with antialiasing, uint8"


def resize(frames: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return ``frames`` (n, h, w, 3) stretched to (n, side, side, 3).

    The interpolation is bilinear with antialiasing, for training clips and for feature extraction.
    The aspect ratio is not preserved: the published models stretch the screen to a square.
    """
    if frames.shape[1:3] == (side, side):
        return np.ascontiguousarray(frames)
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).movedim(-1, 1)
    small = F.interpolate(pixels, size=(side, side), mode="bilinear", antialias=True)
    return small.movedim(1, -1).contiguous().numpy()
