"""Moving gratings as luminance and as films."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from encoders.synthetic import write_video


def grating(
    size: tuple[int, int],
    frequency: float,
    direction: float,
    cycles: np.ndarray,
    amplitude: np.ndarray | float = 0.1,
) -> np.ndarray:
    """Return frames (n, height, width) of a grating of mean 0.5.

    Parameters
    ----------
    frequency : cycles per picture height.
    direction : degrees, 0 to the right, 90 up.
    cycles : (n,) how far it has moved in each frame.
    amplitude : one, or (n,).
    """
    y, x = (np.arange(n) + 0.5 for n in size)
    angle = np.radians(direction)
    along = frequency * (x * np.cos(angle) - y[:, None] * np.sin(angle)) / size[0]
    moved = np.asarray(cycles)[:, None, None]
    return 0.5 + np.reshape(amplitude, (-1, 1, 1)) * np.cos(2 * np.pi * (along - moved))


def write_film(path: Path, frames: np.ndarray, times: Sequence[float]) -> Path:
    """Write frames (n, height, width) of 0 … 1 as a grey film."""
    pixels = np.repeat((255 * frames).round().astype(np.uint8)[..., None], 3, axis=3)
    write_video(path, pixels, times)
    return path
