"""Figures whose history is watched, each with the scale that a change of it is judged on."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

Scale = Literal["ratio", "difference", "decades"]


@dataclass(frozen=True)
class Figure:
    """A figure and its scale.

    Parameters
    ----------
    name, unit : in words.
    higher_is_better : whether an increase is an improvement.
    scale : changes count as ratios, as differences, or in powers of ten.
    least : smallest change that is reported: a ratio minus 1, a difference, decades.
    sd : noise, on the scale, where a history is too short to tell.
    least_sd : noise that is not gone below.
    spikes : whether a single value may be far off by chance.

    Examples
    --------
    >>> TIME.change_text(math.log(1.2))
    '+20.0 %'
    >>> R.change_text(-0.07)
    '-0.070'
    """

    name: str
    unit: str
    higher_is_better: bool = False
    scale: Scale = "ratio"
    least: float = 0.05
    sd: float = 0.05
    least_sd: float = 1e-3
    spikes: bool = True

    @property
    def least_change(self) -> float:
        """Smallest change on the scale on which steps are sought."""
        return math.log1p(self.least) if self.scale == "ratio" else self.least

    @property
    def drift(self) -> float:
        """Most drift from one commit to the next, on that scale."""
        return self.least_change / 10

    def to_scale(self, value: float) -> float | None:
        """Return ``value`` on the scale, None where it has no place there."""
        if not math.isfinite(value):
            return None
        if self.scale == "difference":
            return value
        if value <= 0:
            return None
        return math.log(value) if self.scale == "ratio" else math.log10(value)

    def from_scale(self, value: float) -> float:
        """Return a value of the scale in the figure's unit."""
        if self.scale == "difference":
            return value
        return math.exp(value) if self.scale == "ratio" else 10.0**value

    def change_text(self, size: float) -> str:
        """Return the size of a change on the scale in words."""
        if self.scale == "difference":
            return f"{size:+.3f}"
        if self.scale == "decades":
            return f"×{10.0**size:.1e}"
        return f"{math.expm1(min(size, 700.0)):+.1%}".replace("%", " %")


TIME = Figure("time", "s")
INVERSE_SU = Figure("inverse speed-up", "of the 1-thread time")
INVERSE_DSU = Figure("inverse distributed speed-up", "of ridgecv's 1-thread time")
MEMORY = Figure("memory", "bytes", sd=0.02, least_sd=0.005)
GFLOPS = Figure("GFLOP/s", "GFLOP/s", higher_is_better=True)
R = Figure(
    "mean r",
    "Pearson's r",
    higher_is_better=True,
    scale="difference",
    least=0.01,
    sd=0.002,
    least_sd=0.002,
    spikes=False,
)
"""The same data and seeds give the same r but for rounding, so a fall counts at once."""

DISAGREEMENT = Figure(
    "disagreement",
    "relative difference",
    scale="decades",
    least=1.0,
    sd=0.15,
    least_sd=0.1,
    spikes=False,
)
"""Rounding differs by small factors: a power of ten is the least that counts."""

ROUNDING = 1e-4
"""Part of the tolerance below which every disagreement is the same: 1e-12 of 1e-8."""

_HIGHER = re.compile(r"track_(gflops|fraction_of_gemm|r_m)")
"""Benchmarks of earlier commits; of what `benchmarks` hands asv now, less is always better."""


def asv_figure(benchmark: str, unit: str) -> Figure:
    """Return the figure of an asv benchmark, by its name; lower is better unless it says more."""
    return Figure(benchmark, unit, higher_is_better=bool(_HIGHER.search(benchmark)))
