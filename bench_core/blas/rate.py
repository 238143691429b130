"""Rate of matrix products in this environment: a quick estimate, not a benchmark."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

from bench_core.blas.environment import thread_environment
from bench_core.errors import RidgebenchError

_PROGRAM = """
import time
import numpy as np
n = 1024
a = np.random.default_rng(0).standard_normal((n, n))
b = a.T.copy()
np.matmul(a, b)
best, end = float("inf"), time.perf_counter() + {seconds}
while time.perf_counter() < end:
    start = time.perf_counter()
    np.matmul(a, b)
    best = min(best, time.perf_counter() - start)
print(2 * n**3 / best / 1e9)
"""


def gemm_rate(environment: Mapping[str, str] | None = None, seconds: float = 0.7) -> float:
    """Return the best rate of dgemm on one thread, in GFLOP/s, in a fresh process.

    ``environment`` adds variables to this process's own; 1024 × 1024 matrices, 2n³ operations.
    """
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(seconds=seconds)],
        env={**os.environ, **thread_environment(1), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RidgebenchError(f"matrix products fail here: {done.stderr.strip()[-500:]}")
    return float(done.stdout)
