"""The most memory that a fit holds at one time, phase by phase, from its shape alone.

The counts follow what the code of each phase allocates; tests hold them against what numpy does.
"""

from __future__ import annotations

from bench_core.ridge import target_batches
from bench_core.ridge.backend import GRAM_ROWS, at_once
from bench_core.ridge.costs import Form, Selection, Work, keeps_coordinates
from bench_core.ridge.dual import COLUMNS
from bench_core.ridge.primal import CROSSED, IN_CACHE
from bench_core.ridge.quadratic import PANEL, ROWS, TOGETHER
from bench_core.ridge.streaming import BUFFERS

OVERHEAD = 2**20
"""Bytes for all that does not grow with the problem."""


def peak_bytes(work: Work, form: Form, selection: Selection, width: int) -> int:
    """Return the bytes that a fit needs beyond X and Y (on the GPU where there is one).

    ``width`` is the number of targets per block.
    """
    phases = _dual(work, selection, width) if form == "dual" else _primal(work, selection, width)
    t, s, r = work.t, work.s, work.r
    small = 8 * (3 * s + 4 * r * t)
    if selection == "each":
        small += 5 * 8 * r * s
    return max(phases) + small + OVERHEAD


def _diagonals(rows: int, m: int, r: int) -> int:
    """Return the work space of `quadratic_diagonals`: products of near pairs, and masks."""
    together = min(r, TOGETHER)
    near = 8 * PANEL * (together * (m + max(m, min(rows, ROWS))) + 4 * m)
    return max(near, 8 * min(rows, ROWS) * m)


def _gram(n: int, itemsize: int) -> int:
    """Return the bytes of the largest product that `add_gram` holds beside its sum."""
    return itemsize * max(min(n, GRAM_ROWS), n - n // 2) ** 2


def _scored(work: Work, width: int) -> int:
    """Return the columns that `block_scores` predicts at once."""
    return max(width, min(target_batches.TOGETHER, work.r * width))


def _dual(work: Work, selection: Selection, b: int) -> list[int]:
    t, p, r, z = work.t, work.p, work.r, work.itemsize
    X, square = z * t * p, 8 * t * t
    single = z == 4
    chunk = 2 * 8 * t * min(p, COLUMNS) if single else 0
    buffers = BUFFERS * z * t * b
    coef = z * p * (work.s if work.coef == "memory" else b)
    shared = selection == "shared"
    kept = X + (square if work.folds else 0) * (2 if shared else 1)
    test = max((n for _, n in work.folds), default=t)
    phases = [
        X + square + 8 * t * min(p, at_once(t)) + _gram(t, 8),
        kept + 3 * square,  # eigendecomposition: the matrix, and a work space of two
        2 * X + 3 * square + chunk,  # solution
        2 * X + 2 * square + buffers + coef + (2 * z * t * b if work.per_target else 0),
    ]
    if shared:
        copies = 3 * z * t * b if work.scaled else 0
        phases.append(X + 2 * square + _gram(t, z) + buffers + copies)
        # Beside G and V their casts and two products of them, or in float64 those products alone.
        own = kept + 4 * square + 3 * 8 * test * t if work.folds else X + 4 * square
        phases.append(own + _diagonals(test, t, r))
    else:
        phases.append(kept + 3 * square + buffers + 9 * z * t * b + 2 * z * t * _scored(work, b))
    return phases


def _primal(work: Work, selection: Selection, b: int) -> list[int]:
    t, p, r, z = work.t, work.p, work.r, work.itemsize
    X, square = z * t * p, 8 * p * p
    single = z == 4
    chunk = 8 * min(t, at_once(p)) * p
    buffers = BUFFERS * z * t * b
    coef = z * p * (work.s if work.coef == "memory" else b)
    cast = square // 2 if single else 0
    kept = X + square  # Q takes the place of X
    held = 2 * X if work.folds else 0  # rows of a fold, its U and its projection
    test = max((n for _, n in work.folds), default=t)
    phases = [
        X + held + square + _gram(p, 8) + (chunk if single else 0),
        X + held + 3 * square,  # eigendecomposition: the matrix, and a work space of two
        kept + held + cast + chunk,
        kept + 2 * 8 * min(t, IN_CACHE) * p,  # leverages
        kept + cast + buffers + coef + 3 * z * p * b,
    ]
    if selection == "shared":
        copies = (3 if work.scaled or work.folds else 1) * z * t * b
        block = 2 * 8 * min(test, CROSSED) * p + z * p * b
        phases.append(kept + held + buffers + copies + block + 2 * square + cast)
        coordinates = z * p * b if keeps_coordinates(work, selection, b) else 0
        scores = 2 * square + cast + _diagonals(test, p, r)
        phases.append(kept + held + coordinates + scores)
    else:
        wide = z * (t + 2 * p) * _scored(work, b)
        phases.append(kept + held + cast + buffers + 9 * z * t * b + wide)
    return phases
