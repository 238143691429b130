"""Colours of maps: those of one symmetric scale, in every figure, whatever the signs of the map."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.image import imread

from bench_core.accuracy import plotting

LIMIT = 0.6
MAPS = {"positive": (0.2, 0.6), "negative": (-0.2, -0.6), "both": (0.2, -0.6)}


def two_halves(low: float, high: float):
    """Give a map in MNI space: ``low`` in the left hemisphere, ``high`` in the right."""
    shape = (46, 55, 46)
    affine = np.array([[4.0, 0, 0, -90], [0, 4, 0, -126], [0, 0, 4, -72], [0, 0, 0, 1]])
    i, j, k = np.indices(shape)
    x, y, z = (n * 4.0 + affine[axis, 3] for axis, n in enumerate((i, j, k)))
    inside = (x / 80) ** 2 + ((y + 18) / 100) ** 2 + ((z - 10) / 65) ** 2 < 1
    values = np.where(inside, np.where(x < 0, low, high), np.nan).astype(np.float32)
    return nibabel.Nifti1Image(values, affine)


def colour(value: float):
    """Give matplotlib's own colour (r, g, b) of ``value`` on the scale −0.6 … 0.6."""
    return np.array(colormaps[plotting.COLOURS]((value + LIMIT) / (2 * LIMIT))[:3])


def share(pixels, value: float) -> float:
    """Give the part of the picture that has ``value``'s colour."""
    return float((np.abs(pixels - colour(value)).max(axis=-1) < 0.02).mean())


def picture(path):
    pixels = imread(path)[..., :3]
    return pixels[:, : int(pixels.shape[1] * 0.88)]  # the rest is the colour bar


DRAW = {
    "slices over the template": lambda *a: plotting.draw_slices(*a, "t", True),
    "slices": lambda *a: plotting.draw_slices(*a, "t", False),
    "glass brain": lambda *a: plotting.draw_glass_brain(*a, "t"),
}


@pytest.mark.parametrize("signs", MAPS)
@pytest.mark.parametrize("figure", DRAW)
def test_a_value_has_its_colour_on_the_symmetric_scale(figure, signs, tmp_path):
    low, high = MAPS[signs]
    DRAW[figure](two_halves(low, high), tmp_path / "r.png")
    pixels = picture(tmp_path / "r.png")
    assert share(pixels, low) > 0.01
    assert share(pixels, high) > 0.01
    for absent in {-low, -high} - {low, high}:
        assert share(pixels, absent) < 1e-3


@pytest.mark.parametrize("signs", MAPS)
def test_the_surface_has_the_hue_of_the_sign(signs, tmp_path):
    """The cortex is shaded, so that only the hue of its colours is known."""
    low, high = MAPS[signs]
    plotting.draw_surface(two_halves(low, high), tmp_path / "r.png", "t")
    pixels = picture(tmp_path / "r.png")
    quarter = pixels.shape[1] // 4  # the lateral views, where no hemisphere crosses the midline
    for side, value in ((pixels[:, :quarter], low), (pixels[:, -quarter:], high)):
        redder = side[..., 0] - side[..., 2]
        right, wrong = redder * np.sign(value) > 0.1, redder * np.sign(value) < -0.1
        assert right.mean() > 0.02
        assert wrong.mean() < 1e-3


@pytest.mark.parametrize("figure", DRAW)
def test_no_value_no_colour(figure, tmp_path):
    """Only one small cube has a value: nothing around it is coloured, of either sign."""
    image = two_halves(0.2, 0.6)
    values = np.asarray(image.dataobj).copy()
    cube = np.zeros(values.shape, dtype=bool)
    cube[18:28, 20:30, 15:28] = True
    values[~cube] = np.nan
    DRAW[figure](nibabel.Nifti1Image(values, image.affine), tmp_path / "r.png")
    pixels = picture(tmp_path / "r.png")
    coloured = np.ptp(pixels, axis=-1) > 0.05
    known = np.zeros(coloured.shape, dtype=bool)
    for value in (0.2, 0.6):
        known |= np.abs(pixels - colour(value)).max(axis=-1) < 0.02
    assert known.mean() > 0.001
    # Edges, and the outline of the glass brain, are a mixture with the background.
    assert (coloured & ~known).sum() < 0.5 * known.sum()
    blue = pixels[..., 2] - pixels[..., 0] > 0.05
    assert not blue.any()
