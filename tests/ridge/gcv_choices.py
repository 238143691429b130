"""How often generalised cross-validation chooses leave-one-out's penalty, for docs/ridge.md.

Run as ``python -m tests.ridge.gcv_choices``; a few minutes.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from bench_core.data import THESIS_ALPHAS, make, random_split
from bench_core.ridge import GridEdgeWarning, MultiTargetRidgeCV

RECORD = Path(__file__).parents[2] / "docs" / "gcv-choices.json"
DECADES = tuple(10.0**k for k in range(-1, 7))
PROBLEMS = (("haxby2001", 1.0), ("whole-brain-bmor", 1 / 24), ("roi", 1 / 24), ("parcels", 1 / 8))
GRIDS = {"the thesis's 11": THESIS_ALPHAS, "8 decades": DECADES}


def compare(name: str, scale: float, alphas: tuple[float, ...]) -> dict[str, Any]:
    """Fit both criteria to the training samples; return shares of targets, and r of both."""
    problem = make(name, scale=scale)
    train, test = random_split(problem).apply(problem)
    found = []
    for cv in ("loo", "gcv"):
        model = MultiTargetRidgeCV(alphas, cv=cv, alpha_per_target=True)
        r = model.fit_score(train.X, train.Y, test.X, test.Y)
        index = np.searchsorted(np.sort(alphas), model.alpha_)
        found.append((index, float(np.nanmean(r))))
    (left_out, r_left_out), (general, r_general) = found
    steps = np.abs(left_out - general)
    return {
        "targets": int(train.s),
        "same": float(np.mean(steps == 0)),
        "within_one": float(np.mean(steps <= 1)),
        "r_leave_one_out": r_left_out,
        "r_gcv": r_general,
    }


def main() -> None:
    """Write the shares of every problem and grid."""
    warnings.simplefilter("ignore", GridEdgeWarning)
    rows = {}
    for name, scale in PROBLEMS:
        for grid, alphas in GRIDS.items():
            label = f"{name} {'' if scale == 1 else f'1/{round(1 / scale)}'}".strip()
            rows[f"{label}, {grid}"] = compare(name, scale, tuple(map(float, alphas)))
            print(label, grid, rows[f"{label}, {grid}"], flush=True)
    RECORD.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
