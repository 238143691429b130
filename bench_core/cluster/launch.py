"""Start of a node's Python with the variables of its BLAS, on the node's own host.

``python -m bench_core.cluster.launch THREADS KERNELS BLAS ARGUMENTS…`` becomes
``python ARGUMENTS…`` in an environment in which the threads and the kernels are chosen as
everywhere (`bench_core.blas.build_environment`), before any BLAS is loaded. Which kernels a
processor can run is asked where the processor is. Dask's launchers of workers take it as the name
of a Python: they append ``-m distributed.cli…``.
"""

from __future__ import annotations

import os
import shlex
import sys

from bench_core.blas import build_environment, kernel_environment
from bench_core.errors import RidgebenchError

#: The statistical profiler wakes every 10 ms and would be measured.
_DASK = {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}


def launcher(python: str, threads: int, kernels: str, blas: str | None) -> str:
    """Return the words that stand for a Python in a shell's command line.

    >>> launcher("python3", 2, "default", None)
    'python3 -m bench_core.cluster.launch 2 default -'
    """
    words = [python, "-m", "bench_core.cluster.launch", str(threads), kernels, blas or "-"]
    return shlex.join(words)


def main() -> None:
    """Replace this process by the Python that its arguments ask for."""
    threads, kernels, blas, *arguments = sys.argv[1:]
    try:
        built = build_environment(
            int(threads), kernel_environment(kernels), blas=None if blas == "-" else blas
        )
    except RidgebenchError as error:
        sys.exit(f"ridgebench: {error}")
    os.execve(sys.executable, [sys.executable, *arguments], {**built.variables, **_DASK})


if __name__ == "__main__":
    main()
