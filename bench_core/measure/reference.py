"""The penalty that scikit-learn's RidgeCV chooses, found once per problem.

Strategies that claim RidgeCV's answer have to choose its penalty. Leave-one-out errors need not
have a single minimum over the penalties, so looking at the chosen one and its neighbours would
not prove it, and the sum over targets cannot be had from fewer than all of them. The exact way is
one RidgeCV; it is run in a process of its own on all cores, after the measured fit, and its answer
is kept beside the cached problem: every later case of that problem, whatever its strategy, nodes,
threads or BLAS, reads it.

Run as ``python -m bench_core.measure.reference JOB.json OUT.json``.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench_core.errors import readable_bytes
from bench_core.measure.problems import Entry
from bench_core.measure.record import write_json


def reference_penalty(
    entry: Entry,
    alphas: tuple[float, ...],
    fit_intercept: bool,
    folds: int | None,
    size: tuple[int, int, int],
    dtype: str,
    timeout: float | None = None,
) -> tuple[float | None, str | None]:
    """Return RidgeCV's penalty for the cached problem, and None, or None and why there is none.

    Parameters
    ----------
    folds : RidgeCV's ``cv``; None for leave-one-out.
    size, dtype : t, p, s of the training problem, and its dtype.
    timeout : seconds that it may take.
    """
    from bench_core.blas import thread_environment
    from bench_core.machine import available_cores, available_memory
    from bench_core.strategies import get

    asked = {"alphas": list(alphas), "fit_intercept": fit_intercept, "cv": folds}
    chosen = json.dumps(asked)
    path = entry.folder / f"ridgecv-{hashlib.sha256(chosen.encode()).hexdigest()[:16]}.json"
    if path.is_file():
        return float(json.loads(path.read_text("utf-8"))["alpha"]), None
    needed = get("ridgecv").bytes_needed(*size, dtype, 1)
    if needed > (available := available_memory()):
        return None, (
            f"RidgeCV was not run for comparison: it needs about {readable_bytes(needed)} and "
            f"{readable_bytes(available)} are available"
        )
    with tempfile.TemporaryDirectory(prefix="ridgebench-") as folder:
        job, out = Path(folder, "job.json"), Path(folder, "out.json")
        write_json({"train": str(entry.train), **asked}, job)
        try:
            done = subprocess.run(
                [sys.executable, "-m", __name__, str(job), str(out)],
                env=os.environ | thread_environment(available_cores()),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None, f"RidgeCV was stopped after {timeout:.0f} s and not compared"
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            return None, f"RidgeCV failed and was not compared: {last}"
        found: dict[str, Any] = json.loads(out.read_text("utf-8"))
    write_json(found, path)
    return float(found["alpha"]), None


def main(job_path: str, out_path: str) -> None:
    """Run RidgeCV as the job file says and write the penalty it chose."""
    import numpy as np
    from sklearn.linear_model import RidgeCV

    from bench_core.data import Problem

    job = json.loads(Path(job_path).read_text("utf-8"))
    train = Problem.open(job["train"])
    fit = RidgeCV(alphas=job["alphas"], fit_intercept=job["fit_intercept"], cv=job["cv"])
    fit.fit(np.asarray(train.X), np.asarray(train.Y))
    write_json({"alpha": float(fit.alpha_), "by": "sklearn.linear_model.RidgeCV"}, Path(out_path))


if __name__ == "__main__":
    main(*sys.argv[1:3])
