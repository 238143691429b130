"""Candidate penalties: the thesis's, log-spaced ones, and how a command line names them."""

from __future__ import annotations

import math
from collections.abc import Sequence

THESIS_ALPHAS: tuple[float, ...] = (0.1, 1, 100, 200, 300, 400, 600, 800, 900, 1000, 1200)
"""The thesis's candidate penalties.

S. Ahmadi, "Scaling up Machine Learning Models for fMRI Brain Encoding" (Concordia University,
2025).
"""

FEWEST_SPACED = 4
"""Candidates from which FIRST:LAST:COUNT is shorter to read than all of them."""


def log_spaced(first: float, last: float, count: int) -> tuple[float, ...]:
    """Return ``count`` penalties from ``first`` to ``last``, a constant factor apart.

    The ends are as given; those between are rounded to 15 digits. Raises `ValueError` for ends that
    are not positive and finite, or fewer than 2.

    >>> log_spaced(0.01, 100.0, 5)
    (0.01, 0.1, 1.0, 10.0, 100.0)
    """
    if not (0 < first < math.inf and 0 < last < math.inf) or count < 2:
        raise ValueError(f"{first:g}:{last:g}:{count}")
    step = math.log10(last / first) / (count - 1)
    between = [float(f"{first * 10 ** (step * i):.15g}") for i in range(1, count - 1)]
    return (float(first), *between, float(last))


def penalties_text(alphas: Sequence[float]) -> str:
    """Return candidates as the option ``--alphas`` takes them, none of them rounded.

    >>> penalties_text([0.1, 1.0, 1200.0]), penalties_text([0.01, 0.1, 1.0, 10.0, 100.0])
    ('0.1,1,1200', '0.01:100:5')
    """
    values = tuple(map(float, alphas))
    if len(values) >= FEWEST_SPACED and min(values) > 0 and max(values) < math.inf:
        first, last = values[0], values[-1]
        if log_spaced(first, last, len(values)) == values:
            return f"{_number(first)}:{_number(last)}:{len(values)}"
    return ",".join(map(_number, values))


def _number(value: float) -> str:
    """Return the shortest text that is read as this number."""
    return repr(value).removesuffix(".0")
