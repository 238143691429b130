"""How often each null calls pure noise significant, for docs/accuracy.md.

Run as ``python -m tests.accuracy.false_positives``; some minutes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.accuracy import HeldOutShifts, Permutations, held_out_null, ridge_null, shifted_rows
from tests.accuracy.autoregressive import Unrelated, unrelated

RECORD = Path(__file__).parents[2] / "docs" / "false-positives.json"
RATE = 0.05
PERMUTATIONS = 199
TARGETS = 40
SEEDS = 100
CASES = ((50, 4), (100, 1), (100, 4), (300, 1), (300, 2), (600, 1), (600, 2))
"""Samples of a run, and runs that are held out; four more train."""


def p_values(made: Unrelated, seed: int) -> dict[str, NDArray[np.float64]]:
    """Return p (s,) of every target by every null."""
    train = made.runs[~made.test]
    parts = made.X[~made.test], made.Y[~made.test], made.X[made.test], made.Y[made.test]
    shifts = HeldOutShifts(made.runs[made.test], PERMUTATIONS, seed=seed)
    held_out = held_out_null(parts[3], made.predictions(), shifts)
    long = [shifted_rows(train, seed=seed * 1000 + k, least=10) for k in range(PERMUTATIONS)]
    nulls = {
        "shifts": Permutations("shifts", PERMUTATIONS, train, seed=seed),
        "shifts of 10 samples or more": long,
        "rows": Permutations("rows", PERMUTATIONS, train, seed=seed),
    }
    found = {name: ridge_null(*parts, 100.0, rows).p_values() for name, rows in nulls.items()}
    return {"held-out": held_out.p_values(), "held-out, largest r": held_out.p_max(), **found}


def rates(length: int, held: int) -> dict[str, float]:
    """Return the part of targets, or of families, with p at most the stated rate."""
    every: dict[str, list[NDArray[np.float64]]] = {}
    for seed in range(SEEDS):
        made = unrelated(seed, length=length, runs=held + 4, held=held, s=TARGETS)
        for name, p in p_values(made, seed).items():
            every.setdefault(name, []).append(p)
    found = {}
    for name, p in every.items():
        low = np.array(p) <= RATE
        found[name] = float((low.any(axis=1) if "largest" in name else low).mean())
    return found


def main() -> None:
    """Write the rates of every case."""
    rows: dict[str, Any] = {
        "rate": RATE,
        "permutations": PERMUTATIONS,
        "targets": TARGETS,
        "seeds": SEEDS,
        "numpy": np.__version__,
        "cases": [],
    }
    for length, held in CASES:
        rows["cases"].append({"samples": length, "held_out_runs": held, **rates(length, held)})
        print(rows["cases"][-1], flush=True)
    RECORD.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
