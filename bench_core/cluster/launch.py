"""Start of a node's Python with the variables of its BLAS, on the node's own host.

``python -m bench_core.cluster.launch THREADS KERNELS BLAS ARGUMENTS…`` becomes
``python ARGUMENTS…`` in an environment in which the threads and the kernels are chosen as
everywhere (`bench_core.blas.build_environment`), before any BLAS is loaded. Which kernels a
processor can run is asked where the processor is. Dask's launchers of workers take it as the name
of a Python: they append ``-m distributed.cli…``.

With ``--watch`` before the arguments, which are then ``-m MODULE …``, the process ends when its
standard input does: that is how a host notices that an SSH connection is gone. Otherwise a
scheduler, and with it its workers, would outlive whoever started it.
"""

from __future__ import annotations

import os
import runpy
import shlex
import sys
import threading

from bench_core.blas import build_environment, kernel_environment
from bench_core.errors import RidgebenchError

#: The statistical profiler wakes every 10 ms and would be measured.
_DASK = {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}


NODE = "RIDGEBENCH_NODE"
"""Variable of a node's number, where its launcher was told it."""


def launcher(
    python: str,
    threads: int,
    kernels: str,
    blas: str | None,
    *,
    watch: bool = False,
    node: int | None = None,
) -> str:
    """Return the words that stand for a Python in a shell's command line.

    watch : end with standard input. node : number that `launched_as` returns there.

    >>> launcher("python3", 2, "default", None)
    'python3 -m bench_core.cluster.launch 2 default -'
    >>> launcher("python3", 2, "default", None, node=1)
    'env RIDGEBENCH_NODE=1 python3 -m bench_core.cluster.launch 2 default -'
    """
    words = [] if node is None else ["env", f"{NODE}={node}"]
    words += [python, "-m", "bench_core.cluster.launch", str(threads), kernels, blas or "-"]
    return shlex.join([*words, *(["--watch"] if watch else [])])


def launched_as() -> int | None:
    """Return the number of the node that this process was launched as; None without one.

    >>> launched_as() is None
    True
    """
    number = os.environ.get(NODE)
    return None if number is None else int(number)


def main() -> None:
    """Replace this process by the Python that its arguments ask for."""
    if sys.argv[1:2] == ["--watched"]:
        _run_watched(sys.argv[2:])
        return
    threads, kernels, blas, *arguments = sys.argv[1:]
    try:
        built = build_environment(
            int(threads), kernel_environment(kernels), blas=None if blas == "-" else blas
        )
    except RidgebenchError as error:
        sys.exit(f"ridgebench: {error}")
    if arguments[:1] == ["--watch"]:
        arguments = ["-m", "bench_core.cluster.launch", "--watched", *arguments[1:]]
    os.execve(sys.executable, [sys.executable, *arguments], {**built.variables, **_DASK})


def _run_watched(arguments: list[str]) -> None:
    """Run ``-m MODULE …`` in this process, and end it with its standard input."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=watch, name="connection watch", daemon=True).start()
    flag, module, *rest = arguments
    assert flag == "-m"
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
