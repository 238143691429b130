"""Figures of a comparison of layers: r of each, and the map of the preferred ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench_core.accuracy.plotting import save_figure, slice_heights

STATISTICS = {"r_mean": "mean", "r_p95": "95th percentile", "r_max": "largest"}
COLOURS = "tab10"


def draw_layers(name: str, rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write r of every layer to ``path``, with the bytes of its features and the fit's seconds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    places = np.arange(len(rows))
    for number, (column, words) in enumerate(STATISTICS.items()):
        values = [np.nan if row[column] is None else row[column] for row in rows]
        left.plot(places, values, "osD"[number] + "-", label=words)
    left.set(ylabel="Pearson r, held-out runs", title=name, xticks=places)
    left.legend(frameon=False, fontsize=8)
    seconds = [row["fit_s"] or 0.0 for row in rows]
    right.bar(places - 0.2, seconds, 0.4, color="tab:blue")
    right.set_ylabel("seconds of the fit", color="tab:blue")
    other = right.twinx()
    sizes = [row["stored_bytes"] / 2**20 for row in rows]
    other.bar(places + 0.2, sizes, 0.4, color="tab:orange")
    other.set_ylabel("MiB of stored features", color="tab:orange")
    right.set_xticks(places)
    for axis in (left, right):
        axis.set_xticklabels([row["layer"] for row in rows], rotation=30, ha="right", fontsize=8)
    save_figure(figure, path)


def draw_preferred(image: Any, layers: Sequence[str], title: str, mni: bool, path: Path) -> None:
    """Write axial slices of the image of layers' numbers, each layer in a colour of its own.

    They are at heights that have a layer, over the MNI template if the image is in MNI space.
    """
    import matplotlib.pyplot as plt
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch
    from nilearn import plotting
    from nilearn.image import new_img_like

    palette = plt.get_cmap(COLOURS)
    colours = [palette(number % palette.N) for number in range(len(layers))]
    numbers = np.nan_to_num(np.asarray(image.dataobj)).astype(np.int16)
    figure = plt.figure(figsize=(11, 3.2))
    display = plotting.plot_roi(
        new_img_like(image, numbers),
        display_mode="z",
        cut_coords=slice_heights(image),
        black_bg=False,
        alpha=1.0,
        cmap=ListedColormap(colours),
        vmin=1,
        vmax=max(2, len(layers)),
        colorbar=False,
        figure=figure,
        axes=(0, 0.12, 1, 0.78),
        resampling_interpolation="nearest",
        **({} if mni else {"bg_img": None}),
    )
    figure.suptitle(title, fontsize=11)
    handles = [
        Patch(color=colour, label=name) for colour, name in zip(colours, layers, strict=True)
    ]
    figure.legend(handles=handles, loc="lower center", ncols=min(6, len(layers)), fontsize=8)
    figure.savefig(path, dpi=130, facecolor="white", format="png")
    display.close()
    plt.close(figure)
