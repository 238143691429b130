"""Figures of r: its histogram, and maps where the problem says where its targets lie."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench_core.data import Problem
from bench_core.errors import counted, install_command

FORMATS = ("png", "svg")


def draw(problem: Problem, r: NDArray[np.float64], folder: Path) -> dict[str, str]:
    """Draw r (s,) into ``folder``; return what was left out, with the reason."""
    left_out: dict[str, str] = {}
    if find_spec("matplotlib") is None:
        left_out["histogram"] = f"matplotlib is not installed: {install_command('report')}"
    else:
        histogram(r, folder, title=f"{problem.name}, held-out samples")
    if problem.space is None:
        return left_out
    if find_spec("nilearn") is None:
        missing = f"nilearn is not installed: {install_command('brain')}"
        return left_out | {"brain map": missing}
    from bench_core.accuracy.maps import write_maps

    return left_out | write_maps(problem, r, folder, name="r-map").not_drawn


def draw_rows(
    problem: Problem,
    arrays: Mapping[str, NDArray[np.float64]],
    rows: Sequence[str],
    folder: Path,
) -> None:
    """Write every row of ``arrays`` (rows, s) as a map, a NIfTI file and a figure of slices.

    They are called ``ARRAY-ROW-map``, with all but letters and digits of a row's name as -. Nothing
    is drawn of a problem without places, or without nilearn: `draw` says so.
    """
    if problem.space is None or find_spec("nilearn") is None:
        return
    from bench_core.accuracy.maps import to_image
    from bench_core.accuracy.plotting import draw_slices

    mni = (problem.space.template or "").upper().startswith("MNI")
    for name, values in arrays.items():
        for row, own in zip(rows, values, strict=True):
            stem = f"{name}-{re.sub('[^A-Za-z0-9]+', '-', row)}-map"
            image = to_image(problem.space, own)
            image.to_filename(folder / f"{stem}.nii.gz")
            if np.isfinite(own).any():
                title = f"{name.replace('_', ' ')}, {row}"
                draw_slices(image, folder / f"{stem}.png", title, mni)


def histogram(r: NDArray[np.float64], folder: Path, *, title: str) -> None:
    """Write the histogram of the defined r as ``r-histogram.png`` and ``.svg``."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    from bench_core.accuracy.plotting import save_figure

    defined = r[np.isfinite(r)]
    figure, axis = plt.subplots(figsize=(6, 3.6))
    low, high = (defined.min(), defined.max()) if defined.size else (-1.0, 1.0)
    bins = np.linspace(np.floor(low * 20) / 20, np.ceil(high * 20) / 20 + 1e-9, 61)
    axis.hist(defined, bins=bins, color="tab:blue")
    if defined.size:
        for value, style, name in (
            (float(np.median(defined)), "-", "median"),
            (float(np.percentile(defined, 95)), "--", "95th percentile"),
        ):
            axis.axvline(value, color="black", linestyle=style, label=f"{name} {value:.3f}")
        axis.legend(frameon=False, fontsize=8)
    undefined = f", {r.size - defined.size:,} undefined" if defined.size < r.size else ""
    axis.set(
        xlabel="Pearson r of held-out data and prediction",
        ylabel="targets",
        title=f"{title}: {counted(defined.size, 'target')}{undefined}",
    )
    figure.tight_layout()
    for suffix in FORMATS:
        save_figure(figure, folder / f"r-histogram.{suffix}", dpi=150)
    plt.close(figure)
