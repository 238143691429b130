"""The sizes of the thesis's problems, by name and subject, and how they shrink.

S. Ahmadi, "Scaling up Machine Learning Models for fMRI Brain Encoding" (Concordia University,
2025), tables 3.1 and 3.2: samples t, features p = 4096 VGG16 features × 4 delays, targets s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench_core.errors import InputError, unknown

DELAYS: tuple[int, ...] = (1, 2, 3, 4)
"""The thesis's delays: every sample sees the features of the 4 samples before it."""

HAXBY = "haxby2001"
HAXBY_RUNS = 12
"""Runs of that problem, all of one length."""

SMALLEST_T = 20
"""No scale leaves fewer samples than this: a split by run needs a few runs of a few samples."""

_WHOLE_BRAIN = {
    "sub-01": 264_805,
    "sub-02": 266_126,
    "sub-03": 261_880,
    "sub-04": 266_391,
    "sub-05": 263_574,
    "sub-06": 281_532,
}
_T = 69_202
_BASE_FEATURES = 4_096
_SYNTHETIC: dict[str, tuple[int, int | dict[str, int]]] = {
    "parcels": (_T, 444),
    "roi": (_T, 6_728),
    "whole-brain": (_T, _WHOLE_BRAIN),
    "whole-brain-bmor": (10_000, _WHOLE_BRAIN),
    "whole-brain-mor": (1_000, 2_000),
}
SUBJECTS: tuple[str, ...] = tuple(_WHOLE_BRAIN)


@dataclass(frozen=True)
class Shape:
    """Size of one named problem: t samples, p features, s targets, before any split.

    Examples
    --------
    >>> size = shape("parcels", scale=1 / 8)
    >>> size.t, size.p, size.s
    (8650, 2048, 55)
    """

    name: str
    subject: str
    scale: float
    t: int
    p: int
    s: int

    def nbytes(self, dtype: str = "float64") -> int:
        """Return the bytes of X and Y together."""
        return self.t * (self.p + self.s) * (4 if dtype == "float32" else 8)


def names() -> list[str]:
    """Return the names that `shape` and `make` know, the thesis's first, in its order."""
    return [*_SYNTHETIC, HAXBY]


def shape(name: str, *, scale: float = 1.0, subject: str = "sub-01") -> Shape:
    """Return the size of problem ``name`` with t, p and s shrunk together by ``scale``.

    Every count is rounded down: t to at least 20, s to at least 1, and p to a multiple of 4 (the
    features under 4 delays), at least 4. The real problem ``haxby2001`` has one size only.

    Raises `UnknownNameError` for a name or subject that is not known, `InputError` for a scale
    outside 0 < scale ≤ 1.
    """
    if name not in names():
        raise unknown("problem", name, names())
    if not 0 < scale <= 1:
        raise InputError(f"scale {scale!r} is not in 0 < scale ≤ 1: 1 is the thesis's own size")
    if name == HAXBY:
        if scale != 1:
            raise InputError(f"{HAXBY} is real data of one size: scale must be 1, not {scale!r}")
        if subject != "sub-01":
            raise unknown("subject", subject, ["sub-01"])
        return Shape(name, subject, 1.0, t=1_452, p=32, s=530)
    if subject not in SUBJECTS:
        raise unknown("subject", subject, SUBJECTS)
    t, targets = _SYNTHETIC[name]
    s = targets if isinstance(targets, int) else targets[subject]
    return Shape(
        name,
        subject,
        float(scale),
        t=max(SMALLEST_T, _shrunk(t, scale)),
        p=len(DELAYS) * max(1, _shrunk(_BASE_FEATURES, scale)),
        s=max(1, _shrunk(s, scale)),
    )


def _shrunk(count: int, scale: float) -> int:
    # The small addition undoes products such as 0.29 * 100 = 28.999…96.
    return math.floor(count * scale + 1e-9)
