"""Peak memory of a fit, phase by phase, from its shape alone.

The counts follow what the code of each phase allocates; tests hold them against what numpy does.
"""

from __future__ import annotations

from dataclasses import replace

from bench_core.ridge.arrays.backend import GRAM_ROWS, at_once
from bench_core.ridge.arrays.target_blocks import BUFFERS
from bench_core.ridge.formulas import joint_folds, per_target_scores, residual_factors
from bench_core.ridge.formulas.dual import COLUMNS
from bench_core.ridge.formulas.primal import CROSSED, IN_CACHE
from bench_core.ridge.formulas.quadratic_forms import PANEL, ROWS, TOGETHER
from bench_core.ridge.planning.flops import (
    FitShape,
    Form,
    Phase,
    Selection,
    coordinates_serve,
)

OVERHEAD = 2**20
"""Bytes for all that does not grow with the problem."""


def peak_bytes(
    shape: FitShape,
    form: Form,
    selection: Selection,
    width: int,
    *,
    triangles: bool = False,
    joint: bool = False,
) -> int:
    """Return the bytes that a fit needs beyond X and Y (on the GPU where there is one).

    ``width`` is the number of targets per block.
    """
    phases = phase_bytes(shape, form, selection, width, triangles=triangles, joint=joint)
    every_fold = joint and selection == "each" and not triangles
    return max(phases.values()) + small_bytes(shape, selection, every_fold=every_fold)


def small_bytes(shape: FitShape, selection: Selection, *, every_fold: bool = False) -> int:
    """Return the bytes of vectors, scores, and all that does not grow with the problem.

    every_fold : scores of every target in all folds are held together.
    """
    t, s, r = shape.t, shape.s, shape.r
    small = 8 * (3 * s + 4 * r * t)
    if selection == "each":
        small += (5 + (len(shape.folds) if every_fold else 0)) * 8 * r * s
    return small + OVERHEAD


def phase_bytes(
    shape: FitShape,
    form: Form,
    selection: Selection,
    width: int,
    *,
    triangles: bool = False,
    joint: bool = False,
) -> dict[Phase, int]:
    """Return the bytes held in every phase, without those of `small_bytes`."""
    if joint and form == "dual":
        found = _joint_dual(shape, selection, width, triangles)
    elif joint:
        found = _joint_primal(shape, selection, width)
    elif form == "dual":
        found = _dual(shape, selection, width, triangles)
    else:
        found = _primal(shape, selection, width)
    return _exact(shape, found) if shape.exact else found


def factor_bytes(shape: FitShape, form: Form) -> int:
    """Return the bytes of X, centred or rotated, and of the square matrix that it makes."""
    n = shape.t if form == "dual" else shape.p
    return shape.itemsize * shape.t * shape.p + 8 * n * n


def buffer_bytes(shape: FitShape, width: int) -> int:
    """Return the bytes of the blocks into which targets are read."""
    return BUFFERS * shape.itemsize * shape.t * width


def _coefficient_bytes(shape: FitShape, b: int) -> int:
    """Return the bytes of coefficients where the fit computes: all of them, or a block's."""
    whole = shape.coef == "memory" and not shape.on_gpu
    return shape.itemsize * shape.p * (shape.s if whole else b)


def _diagonals(rows: int, m: int, r: int) -> int:
    """Return the work space of `quadratic_diagonals`: products of near pairs, and masks."""
    together = min(r, TOGETHER)
    near = 8 * PANEL * (together * (m + max(m, min(rows, ROWS))) + 4 * m)
    return max(near, 8 * min(rows, ROWS) * m)


def _gram(n: int, itemsize: int) -> int:
    """Return the bytes of the largest product that `add_gram` holds beside its sum."""
    return itemsize * max(min(n, GRAM_ROWS), n - n // 2) ** 2


def scored_columns(shape: FitShape, width: int) -> int:
    """Return the columns that `block_scores` predicts at once."""
    return max(width, min(per_target_scores.TOGETHER, shape.r * width))


def triangle_bytes(shape: FitShape) -> int:
    """Return the bytes of a triangle for every penalty, and of what forms one.

    Those are V with its rows scaled, their product, its factor and what LAPACK is given.
    """
    t = shape.t
    held = shape.r * shape.itemsize * t * (t + min(t, residual_factors.panel_rows(shape.r))) // 2
    return held + 4 * 8 * t * t


def _exact(shape: FitShape, phases: dict[Phase, int]) -> dict[Phase, int]:
    """Return the phases' bytes where X itself is decomposed, whole or the folds' training rows.

    LAPACK gets a copy, and returns right vectors of the same size; its work space is some squares
    of the smaller dimension.
    """
    t, p = shape.t, shape.p
    # The dual form needs all of its t left vectors.
    work = 3 * 8 * t * p + 8 * 8 * min(t, p) ** 2 + 3 * 8 * t * t
    if not shape.folds:
        return {**phases, "factorise": max(phases["factorise"], work)}
    rows = 3 * 8 * t * p  # X, and those of a fold
    found = {**phases, "validate": rows + work, "solution": max(phases.get("solution", 0), work)}
    for phase in ("sum", "select"):  # the folds' turn comes within these
        if phase in phases:
            found[phase] += work
    return found


def _dual(shape: FitShape, selection: Selection, b: int, triangles: bool) -> dict[Phase, int]:
    t, p, r, z = shape.t, shape.p, shape.r, shape.itemsize
    X, square = z * t * p, 8 * t * t
    single = z == 4
    chunk = 2 * 8 * t * min(p, COLUMNS) if single else 0
    buffers = buffer_bytes(shape, b)
    coef = _coefficient_bytes(shape, b)
    shared = selection == "shared"
    kept = X + (square if shape.folds else 0) * (2 if shared else 1)
    test = max((n for _, n in shape.folds), default=t)
    per_target = 2 * z * t * b if shape.per_target else 0
    # An eigendecomposition holds the matrix, and a work space of two.
    phases: dict[Phase, int] = {
        "factorise": max(
            X + square + 8 * t * min(p, at_once(t)) + _gram(t, 8),
            kept + 3 * square,
        ),
        "solution": 2 * X + 3 * square + chunk,
        "coefficients": 2 * X + 2 * square + buffers + coef + per_target,
    }
    if shared:
        copies = 3 * z * t * b if shape.scaled else 0
        phases["sum"] = X + 2 * square + _gram(t, z) + buffers + copies
        # Beside G and V their casts and two products of them, or in float64 those products alone.
        own = kept + 4 * square + 3 * 8 * test * t if shape.folds else X + 4 * square
        phases["select"] = own + _diagonals(test, t, r)
    else:
        wide = 9 * z * t * b + 2 * z * t * scored_columns(shape, b)
        if triangles:  # centred targets, their coordinates, squares of the former, a panel
            wide = z * b * (3 * t + r * residual_factors.panel_rows(r))
        elif shape.gcv:  # centred targets, their coordinates, squares of either, scores
            wide = z * b * (4 * t + 2 * r)
        phases["sum"] = kept + 3 * square + buffers + wide
        if triangles:
            phases["sum"] += triangle_bytes(shape)
    return phases


def _map_bytes(shape: FitShape, m: int, *, primal: bool) -> int:
    """Return the work space of the residual maps of some penalties of the largest fold."""
    n = max(held for _, held in shape.folds)
    rows = min(shape.r * n, max(n, joint_folds.ROWS))
    work = 8 * rows * (4 * m + 3 * n)
    return work + 8 * rows * (2 * n + m) if primal else work


def _kept_maps(shape: FitShape, m: int, *, primal: bool) -> int:
    """Return the bytes of the maps of all folds and penalties, those of the largest fold twice."""
    sizes = [n * (m + n if primal else m) for _, n in shape.folds]
    return shape.r * shape.itemsize * (sum(sizes) + max(sizes))


def _joint_dual(shape: FitShape, selection: Selection, b: int, triangles: bool) -> dict[Phase, int]:
    t, z = shape.t, shape.itemsize
    # All but the scores is as without folds.
    alike = _dual(replace(shape, folds=()), selection, b, triangles)
    X, square = z * t * shape.p, 8 * t * t
    maps = _map_bytes(shape, t, primal=False)
    if selection == "shared":
        # G, V, H and their casts or products.
        alike["select"] = X + 4 * square + maps
        return alike
    if triangles:
        rows = sum(n for _, n in shape.folds)
        alike["sum"] += maps + 3 * 8 * rows * t
        return alike
    largest = max(n for _, n in shape.folds)
    wide = 4 * z * t * b + 3 * z * max(largest, joint_folds.ROWS) * b + 6 * z * largest * b
    alike["sum"] = X + 3 * square + _kept_maps(shape, t, primal=False) + maps
    alike["sum"] += buffer_bytes(shape, b) + wide
    return alike


def _joint_primal(shape: FitShape, selection: Selection, b: int) -> dict[Phase, int]:
    t, p, z = shape.t, shape.p, shape.itemsize
    found = _primal(replace(shape, folds=()), selection, b)
    X, square = z * t * p, 8 * p * p
    cast = square // 2 if z == 4 else 0
    held = [n for _, n in shape.folds]
    parts = held if not shape.scaled else [max(held)]
    sums = 8 * sum(n * (n + p) for n in parts)
    maps = _map_bytes(shape, p, primal=True)
    coordinates = z * p * b
    buffers = buffer_bytes(shape, b)
    if selection == "shared":
        copies = (3 if shape.scaled else 1) * z * t * b + z * sum(parts) * b
        found["sum"] = X + 2 * square + cast + 2 * sums + buffers + copies + coordinates
        found["select"] = X + 3 * square + cast + sums + maps + coordinates
        found["select"] += 4 * 8 * max(max(held), joint_folds.ROWS) * p
        return found
    largest = max(held)
    wide = 4 * z * t * b + coordinates + 3 * z * max(largest, joint_folds.ROWS) * b
    found["sum"] = X + square + cast + _kept_maps(shape, p, primal=True) + maps
    found["sum"] += buffers + wide + 6 * z * largest * b + X
    return found


def _primal(shape: FitShape, selection: Selection, b: int) -> dict[Phase, int]:
    t, p, r, z = shape.t, shape.p, shape.r, shape.itemsize
    X, square = z * t * p, 8 * p * p
    single = z == 4
    chunk = 8 * min(t, at_once(p)) * p
    buffers = buffer_bytes(shape, b)
    coef = _coefficient_bytes(shape, b)
    cast = square // 2 if single else 0
    kept = X + square  # Q takes the place of X
    held = 2 * X if shape.folds else 0  # rows of a fold, its U and its projection
    test = max((n for _, n in shape.folds), default=t)
    phases: dict[Phase, int] = {
        "factorise": max(
            X + held + square + _gram(p, 8) + (chunk if single else 0),
            X + held + 3 * square,
            kept + held + cast + chunk,
        ),
        "coefficients": kept + cast + buffers + coef + 3 * z * p * b,
    }
    leverages = kept + 2 * 8 * min(t, IN_CACHE) * p
    if selection == "shared":
        copies = (3 if shape.scaled or shape.folds else 1) * z * t * b
        block = 2 * 8 * min(test, CROSSED) * p + z * p * b
        phases["sum"] = kept + held + buffers + copies + block + 2 * square + cast
        coordinates = z * p * b if coordinates_serve(shape, selection, b) else 0
        scores = 2 * square + cast + _diagonals(test, p, r)
        phases["select"] = max(leverages, kept + held + coordinates + scores)
    else:
        wide = z * (t + 2 * p) * scored_columns(shape, b)
        phases["sum"] = max(leverages, kept + held + cast + buffers + 9 * z * t * b + wide)
    return phases
