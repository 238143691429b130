"""Rate of matrix products in this environment: a quick estimate, not a benchmark.

Run as ``python -m bench_core.blas.rate SECONDS``, it prints the rate.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping

from bench_core.blas.environment import thread_environment
from bench_core.errors import RidgebenchError
from bench_core.processes import answer_channel, describe_end

_SIZE = 1024


class ProductFailedError(RidgebenchError):
    """A matrix product ended its process; the message says how.

    Examples
    --------
    >>> str(ProductFailedError("a product of order 1024 fails: it was killed by SIGSEGV"))
    'a product of order 1024 fails: it was killed by SIGSEGV'
    """

    exit_code = 1


def gemm_rate(environment: Mapping[str, str] | None = None, seconds: float = 0.7) -> float:
    """Return the best rate of dgemm on one thread, in GFLOP/s, in a fresh process.

    ``environment`` adds variables to this process's own; 1024 × 1024 matrices, 2n³ operations.

    Raises
    ------
    ProductFailedError : the process died.
    """
    done = subprocess.run(
        [sys.executable, "-m", "bench_core.blas.rate", str(seconds)],
        env={**os.environ, **thread_environment(1), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ProductFailedError(
            f"a matrix product of order {_SIZE} fails here: "
            f"{describe_end(done.returncode, done.stderr)}"
        )
    return float(done.stdout)


def _best_rate(seconds: float) -> float:
    import numpy as np

    a = np.random.default_rng(0).standard_normal((_SIZE, _SIZE))
    b = a.T.copy()
    np.matmul(a, b)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        np.matmul(a, b)
        best = min(best, time.perf_counter() - start)
    return float(2 * _SIZE**3 / best / 1e9)


if __name__ == "__main__":
    channel = answer_channel()
    print(_best_rate(float(sys.argv[1])), file=channel)
