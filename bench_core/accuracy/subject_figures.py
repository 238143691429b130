"""Pictures of several subjects: r of regions and subjects, and correlations between their maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench_core.accuracy.plotting import COLOURS

if TYPE_CHECKING:
    from bench_core.accuracy.subjects import SubjectsComparison

MOST_NAMES = 40
"""Regions whose names are written; of more, every n-th one."""


def regions_figure(found: SubjectsComparison) -> Any:
    """Return the figure of mean r of regions × subjects, trained beside shuffled; None without.

    Regions are in the order of their mean r over subjects, the largest first. One colour scale,
    symmetric about 0, holds for both panels (thesis, figure 3.7).
    """
    from matplotlib.figure import Figure

    table = found.regions
    if table is None or not np.isfinite(table.trained).any():
        return None
    panels = {"trained": table.trained}
    if table.shuffled is not None:
        panels["shuffled"] = table.shuffled
    order = np.argsort(-_means(table.trained), kind="stable")
    limit = max(float(np.nanmax(np.abs(values))) for values in panels.values()) or 1.0
    rows, columns = table.trained.shape
    figure = Figure(
        figsize=(3.4 + len(panels) * (0.9 + 0.45 * columns), 2.2 + 0.13 * min(rows, 60)),
        layout="constrained",
    )
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    picture: Any = None
    for axis, (name, values) in zip(axes, panels.items(), strict=True):
        picture = axis.imshow(
            values[order],
            cmap=COLOURS,
            vmin=-limit,
            vmax=limit,
            aspect="auto",
            interpolation="nearest",
        )
        axis.set_title(name, fontsize=10)
        axis.set_xticks(range(columns), found.names, rotation=45, ha="right", fontsize=8)
    step = max(1, -(-rows // MOST_NAMES))
    places = range(0, rows, step)
    axes[0].set_yticks(places, [table.names[order[place]] for place in places], fontsize=6)
    axes[0].set_ylabel("region" if step == 1 else f"region (every {step}th is named)")
    figure.colorbar(picture, ax=list(axes), label="mean r, held-out samples")
    return figure


def between_figure(found: SubjectsComparison) -> Any:
    """Return the figure of correlations between the maps of subjects, with numbers; None without.

    The mean over pairs is the title (thesis, figure 3.12).
    """
    from matplotlib.figure import Figure

    from bench_core.accuracy.agreement import mean_between

    values = found.between
    if values is None:
        return None
    n = len(values)
    figure = Figure(figsize=(2.6 + 0.62 * n, 1.9 + 0.55 * n), layout="constrained")
    axis = figure.subplots()
    picture = axis.imshow(values, cmap=COLOURS, vmin=-1, vmax=1)
    for i in range(n):
        for j in range(n):
            if np.isfinite(values[i, j]):
                colour = "white" if abs(values[i, j]) > 0.6 else "black"
                text = f"{values[i, j]:.2f}"
                axis.text(j, i, text, ha="center", va="center", color=colour, fontsize=8)
    axis.set_xticks(range(n), found.names, rotation=45, ha="right", fontsize=8)
    axis.set_yticks(range(n), found.names, fontsize=8)
    axis.set_title(f"maps of r between subjects, mean {mean_between(values):.2f}", fontsize=10)
    figure.colorbar(picture, ax=axis, label="Pearson r of two maps")
    return figure


def _means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of every row's defined values, −1 without any."""
    defined = np.isfinite(values)
    count = defined.sum(axis=1)
    sums = np.where(defined, values, 0).sum(axis=1)
    found: NDArray[np.float64] = np.where(count > 0, sums / np.maximum(count, 1), -1.0)
    return found
