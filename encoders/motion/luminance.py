"""Luminance of pictures on a small grid: CIE L* of sRGB pixels, averaged over area."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

# Luminance of linear sRGB primaries (IEC 61966-2-1; ITU-R BT.709).
_PRIMARIES = (0.2126, 0.7152, 0.0722)


def lightness(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return CIE 1976 L* / 100 of a picture, in 0 … 1, of ``size`` (height, width) in float32.

    The picture is cropped around its centre to the aspect ratio of ``size``, so that nothing is
    stretched. sRGB values are made linear (IEC 61966-2-1) and averaged over the area of each new
    pixel before L* is taken: a fine pattern has the lightness of the grey that it looks like.

    Parameters
    ----------
    pixels : (height, width, 3) uint8, red, green, blue.

    Examples
    --------
    >>> grey = np.full((90, 160, 3), 119, np.uint8)
    >>> lightness(grey, (2, 2)).round(3).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    shown = pixels[crop(pixels.shape[:2], size)]
    linear = np.take(_linear(), shown) @ np.array(_PRIMARIES, dtype=np.float32)
    rows, columns = (area_average(n, to) for n, to in zip(shown.shape[:2], size, strict=True))
    averaged = rows @ linear @ columns.T
    # CIE 15: cube root above (6/29)³, a line of slope (29/3)³ / 100 below.
    bright = averaged > (6 / 29) ** 3
    curved = np.float32(1.16) * np.cbrt(averaged) - np.float32(0.16)
    found: NDArray[np.float32] = np.where(
        bright, curved, np.float32((29 / 3) ** 3 / 100) * averaged
    )
    return found


def crop(shape: tuple[int, ...], size: tuple[int, int]) -> tuple[slice, slice]:
    """Return the largest part around a picture's centre with the aspect ratio of ``size``.

    >>> crop((90, 160), (2, 2))
    (slice(0, 90, None), slice(35, 125, None))
    """
    height, width = shape[:2]
    if width * size[0] >= height * size[1]:
        kept = height, max(1, round(height * size[1] / size[0]))
    else:
        kept = max(1, round(width * size[0] / size[1])), width
    top, left = (height - kept[0]) // 2, (width - kept[1]) // 2
    return slice(top, top + kept[0]), slice(left, left + kept[1])


@cache
def area_average(length: int, to: int) -> NDArray[np.float32]:
    """Return the matrix (``to``, ``length``) that averages pixels over the area of each new one.

    >>> area_average(4, 2).tolist()
    [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]
    """
    edges = np.linspace(0, length, to + 1)[:, None]
    pixel = np.arange(length)
    overlap = np.minimum(edges[1:], pixel + 1) - np.maximum(edges[:-1], pixel)
    weights = np.clip(overlap, 0, None) * (to / length)
    return weights.astype(np.float32)


@cache
def _linear() -> NDArray[np.float32]:
    """Return the linear light (256,) in 0 … 1 of each sRGB value."""
    value = np.arange(256) / 255
    curved = ((value + 0.055) / 1.055) ** 2.4
    return np.where(value <= 0.04045, value / 12.92, curved).astype(np.float32)
