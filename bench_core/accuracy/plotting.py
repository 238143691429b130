"""Figures of one brain map, drawn with nilearn: slices, glass brain, cortical surface.

All show r as it is, negative values included, on one symmetric colour scale that ends at the
largest |r|. Nothing is downloaded: the MNI template and the fsaverage5 surface come with nilearn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

COLOURS = "RdBu_r"
_DPI = 130
_DEPTHS = 5


def save_figure(figure: Any, path: Path, *, dpi: int = _DPI) -> None:
    """Write a figure to ``path`` in the format of its suffix; the same figure, the same file."""
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "ridgebench"}):
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        figure.savefig(path, dpi=dpi, format=path.suffix[1:], metadata=metadata)


def draw_slices(image: Any, path: Path, title: str, mni: bool) -> None:
    """Write axial slices through ``image`` to ``path``, over the MNI template if it is in MNI."""
    from nilearn import plotting

    figure = _figure((11, 2.8))
    filled, limit = _filled(image)
    common = {"display_mode": "z", "figure": figure, "title": title, **_scale(limit)}
    if mni:
        display = plotting.plot_stat_map(filled, cut_coords=7, symmetric_cbar=True, **common)
    else:
        display = plotting.plot_img(filled, cut_coords=slice_heights(image), **common)
    _save(display, figure, path)


def draw_glass_brain(image: Any, path: Path, title: str) -> None:
    """Write the projections of ``image``, in MNI space, onto a transparent brain."""
    from nilearn import plotting

    figure = _figure((11, 3))
    filled, limit = _filled(image)
    display = plotting.plot_glass_brain(
        filled,
        plot_abs=False,
        symmetric_cbar=True,
        display_mode="lyrz",
        figure=figure,
        title=title,
        **_scale(limit),
    )
    _save(display, figure, path)


def draw_surface(image: Any, path: Path, title: str, label: str = "r") -> None:
    """Write ``image``, in MNI space, on the inflated fsaverage5 cortex, from four sides.

    label : of the colour scale.
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from nilearn.datasets import fetch_surf_fsaverage
    from nilearn.plotting import plot_surf_stat_map

    meshes = fetch_surf_fsaverage("fsaverage5")
    limit = _limit(image)
    figure = _figure((11, 3.2))
    for place, (side, view) in enumerate(
        [("left", "lateral"), ("left", "medial"), ("right", "medial"), ("right", "lateral")]
    ):
        axes = figure.add_subplot(1, 4, place + 1, projection="3d")
        values = sample_surface(image, meshes[f"pial_{side}"], meshes[f"white_{side}"])
        plot_surf_stat_map(
            meshes[f"infl_{side}"],
            np.nan_to_num(values),  # 0 is below the threshold: the cortex shows
            bg_map=meshes[f"sulc_{side}"],
            hemi=side,
            view=view,
            engine="matplotlib",
            cmap=COLOURS,
            vmin=-limit,
            vmax=limit,
            threshold=limit * 1e-6,
            colorbar=False,
            axes=axes,
            figure=figure,
        )
        axes.set_box_aspect(None, zoom=1.5)
        axes.set_title(f"{side} {view}", fontsize=9)
    figure.subplots_adjust(left=0, right=0.9, bottom=0, top=0.85, wspace=0)
    scale = ScalarMappable(Normalize(-limit, limit), colormaps[COLOURS])
    figure.colorbar(scale, cax=figure.add_axes((0.92, 0.2, 0.012, 0.5)), label=label)
    figure.suptitle(title, fontsize=11)
    _save(None, figure, path)


def sample_surface(image: Any, outer: Any, inner: Any) -> NDArray[np.float64]:
    """Return the mean of ``image`` through the cortex at every vertex, NaN where it has no value.

    The voxels nearest to five points between the ``outer`` and the ``inner`` mesh are averaged.
    Voxels without a value do not count, so that the surroundings of a map do not lower its edge.
    """
    from nilearn.surface import load_surf_mesh

    volume = np.asarray(image.dataobj, dtype=np.float64)
    ends = [np.asarray(load_surf_mesh(mesh).coordinates) for mesh in (outer, inner)]
    inverse = np.linalg.inv(image.affine)
    samples = np.full((_DEPTHS, len(ends[0])), np.nan)
    for sample, depth in zip(samples, np.linspace(0, 1, _DEPTHS), strict=True):
        points = (1 - depth) * ends[0] + depth * ends[1]
        voxels = np.rint(points @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
        inside = ((voxels >= 0) & (voxels < volume.shape)).all(axis=1)
        sample[inside] = volume[tuple(voxels[inside].T)]
    known = np.isfinite(samples)
    total = np.where(known, samples, 0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(1, known.sum(axis=0)), np.nan)


def _figure(size: tuple[float, float]) -> Any:
    import matplotlib.pyplot as plt

    return plt.figure(figsize=size)


def _save(display: Any, figure: Any, path: Path) -> None:
    import matplotlib.pyplot as plt

    figure.savefig(path, dpi=_DPI, facecolor="white")
    if display is not None:
        display.close()
    plt.close(figure)


def _filled(image: Any) -> tuple[Any, float]:
    """Return ``image`` with 0 for NaN, which nilearn's figures leave out, and its limit."""
    from nilearn.image import new_img_like

    return new_img_like(image, np.nan_to_num(np.asarray(image.dataobj))), _limit(image)


def _scale(limit: float) -> dict[str, Any]:
    """Return the options that give every volume the colours of −``limit`` … ``limit``.

    Both ends are given: nilearn begins the scale at 0 where no value is negative. The nearest voxel
    is drawn, as a spline would add values of the other sign around a map's edge.
    """
    return {
        "cmap": COLOURS,
        "vmin": -limit,
        "vmax": limit,
        "threshold": limit * 1e-6,
        "colorbar": True,
        "cbar_tick_format": "%.2f",
        "resampling_interpolation": "nearest",
    }


def _limit(image: Any) -> float:
    values = np.asarray(image.dataobj)
    largest = float(np.nanmax(np.abs(values)))
    return largest if largest > 0 else 1.0


def slice_heights(image: Any) -> list[float]:
    """Return up to seven heights in millimetres that have values, evenly spaced."""
    inside = np.argwhere(np.isfinite(np.asarray(image.dataobj)))
    heights = np.unique(inside @ image.affine[2, :3] + image.affine[2, 3])
    chosen = np.linspace(0, len(heights) - 1, min(7, len(heights))).round().astype(int)
    return [float(height) for height in heights[chosen]]
