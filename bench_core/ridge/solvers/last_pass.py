"""The pass over the targets that forms coefficients and intercepts, and scores held-out rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.phases import Phases
from bench_core.ridge.arrays.backend import to_numpy
from bench_core.ridge.arrays.coef_file import CoefFile
from bench_core.ridge.formulas.scores import pearson
from bench_core.ridge.solvers.solution import Solution
from bench_core.ridge.solvers.targets import TargetColumns


def solve_targets(
    solution: Solution,
    targets: TargetColumns,
    p: int,
    *,
    coefficients: NDArray[Any] | None,
    file: CoefFile | None,
    held_out: tuple[NDArray[Any], NDArray[Any]] | None,
    phases: Phases,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return intercepts (s,), 0 without, and Pearson's r (s,) of held-out rows, NaN without.

    Parameters
    ----------
    p : number of features.
    coefficients, file : where the coefficients (s, p) go; both None: they are not formed.
    held_out : X (n, p) and Y (n, s) to predict and to compare with.
    """
    s, device = targets.Y.shape[1], targets.device
    intercept = np.zeros(s)
    r = np.full(s, np.nan)
    wanted = coefficients is not None or file is not None
    buffer = np.empty((0, p), targets.dtype)
    if file is not None and device.is_numpy:
        # One for all blocks: fresh memory costs page faults.
        buffer = np.empty((min(targets.width, s), p), targets.dtype)
    with phases("solution"):
        origin = solution.predictor(np.zeros((1, p)))
    predict = None
    if held_out is not None:
        with phases("predictions"):
            predict = solution.predictor(held_out[0])
    for block in targets.blocks("solving"):
        columns = block.columns
        rows = None
        with phases("solution"):
            if coefficients is not None and coefficients.dtype == targets.dtype:
                rows = solution.coefficients(block, coefficients[columns])
            elif wanted:
                b = columns.stop - columns.start
                rows = solution.coefficients(block, buffer[:b] if len(buffer) else None)
            if targets.centre:
                intercept[columns] = block.means() + to_numpy(origin(block, rows))[0]
        if predict is not None and held_out is not None:
            with phases("predictions"):
                expected = device.put(np.ascontiguousarray(held_out[1][:, columns]), targets.dtype)
                r[columns] = to_numpy(pearson(expected, predict(block, rows)))
        if rows is not None:
            with phases("transfers"):
                host = to_numpy(rows)
                if file is not None:
                    file.write(host)
                elif coefficients is not None and not np.shares_memory(host, coefficients):
                    coefficients[columns] = host
    return intercept, r
