"""Seconds of a tall fit with eigenvectors and without them, in turns in one process.

Run as ``python -m tests.measure.tall_problems`` on a machine that does little else. The problem
is made (``--problem``, ``--scale``), or read from X.npy and Y.npy of a folder that ``ridgebench
problem make`` wrote (``--folder``). The first nine tenths of the samples are fitted, without
coefficients.
Every line has the seconds of a fit, the processor time of all its threads, and the seconds of its
phases; the last one compares scores and predictions.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from bench_core.data.factory import make
from bench_core.penalties import THESIS_ALPHAS
from bench_core.phases import Phases
from bench_core.ridge import MultiTargetRidgeCV

WAYS = {"eigenvectors": False, "block-tridiagonal": True}


def fit(X: Any, Y: Any, *, tridiagonal: bool | None, **options: Any) -> tuple[Any, float, float]:
    """Return the fitted model, its seconds and its processor time."""
    model = MultiTargetRidgeCV(THESIS_ALPHAS, coef=None, **options)
    model._tridiagonal, model.phases = tridiagonal, Phases()
    began, used = time.perf_counter(), time.process_time()
    model.fit(X, Y)
    seconds, processor = time.perf_counter() - began, time.process_time() - used
    assert tridiagonal is None or model.plan_.tridiagonal == tridiagonal
    return model, seconds, processor


def main() -> None:
    """Fit in turns and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problem", default="parcels")
    parser.add_argument("--scale", type=float, default=0.125)
    parser.add_argument("--folder", type=Path, help="of X.npy and Y.npy, instead of --problem")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--per-target", action="store_true")
    given = parser.parse_args()
    if given.folder is not None:
        X, Y = (np.load(given.folder / name, mmap_mode="r") for name in ("X.npy", "Y.npy"))
    else:
        problem = make(given.problem, scale=given.scale)
        X, Y = problem.X.astype(given.dtype), problem.Y.astype(given.dtype)
    rows = slice(0, 9 * len(X) // 10)
    options = {"alpha_per_target": given.per_target, "dtype": given.dtype}
    times: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    found: dict[str, tuple[Any, Any]] = {}
    with threadpool_limits(given.threads, user_api="blas"):
        for number in range(given.rounds):
            for way in list(WAYS)[:: -1 if number % 2 else 1]:
                model, *took = fit(X[rows], Y[rows], tridiagonal=WAYS[way], **options)
                times[way].append((took[0], took[1]))
                parts = {a: round(b, 2) for a, b in model.phases.seconds.items() if b > 0.01}
                print(f"{way:<18}{took[0]:8.2f} s, processor {took[1]:8.2f} s: {parts}", flush=True)
                found[way] = model.cv_results_["mean_scores"], model.predict(X[rows.stop :][:500])
                del model
    old, new = (found[way] for way in WAYS)
    ratios = [median(a[k] for a in times["eigenvectors"]) for k in (0, 1)]
    ratios = [
        one / median(a[k] for a in times["block-tridiagonal"]) for k, one in enumerate(ratios)
    ]
    size = f"{rows.stop} × {X.shape[1]} × {Y.shape[1]}, {given.dtype}, {given.threads} threads"
    print(
        f"{size}: {ratios[0]:.2f} times as fast on the clock, {ratios[1]:.2f} in processor time; "
        f"scores differ by {np.abs(new[0] / old[0] - 1).max():.1e}, "
        f"predictions by {np.abs(new[1] - old[1]).max() / old[1].std():.1e}"
    )


if __name__ == "__main__":
    main()
