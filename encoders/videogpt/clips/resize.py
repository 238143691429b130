"""Frames to the square size that the models see."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

# Part of every key under which something derived from resized frames is stored.
RECIPE = "stretched to a square, bilinear with antialiasing, uint8"


def resize(frames: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return ``frames`` (n, h, w, 3) stretched to (n, side, side, 3).

    Bilinear with antialiasing; the same for training clips and for feature extraction. The
    picture's shape is not kept: the published models see the whole screen as a square.
    """
    if frames.shape[1:3] == (side, side):
        return np.ascontiguousarray(frames)
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).movedim(-1, 1)
    small = F.interpolate(pixels, size=(side, side), mode="bilinear", antialias=True)
    return small.movedim(1, -1).contiguous().numpy()
