"""Start of a node's Python where somebody else starts it: its variables, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys

from bench_core.cluster.launch import launcher


def started(*arguments: str, watch: bool = False, **variables: str) -> subprocess.Popen[str]:
    command = launcher(sys.executable, 2, "default", "openblas", watch=watch).split()
    return subprocess.Popen(
        [*command, *arguments],
        env={**os.environ, "PYTHONUNBUFFERED": "1", **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_threads_and_blas_are_in_the_environment_and_others_are_not() -> None:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_THREAD_LIMIT", "RIDGEBENCH_BLAS")
    printing = f"import os; print([os.environ.get(name) for name in {names}])"
    process = started("-c", printing, OMP_THREAD_LIMIT="1", OMP_NUM_THREADS="7")
    printed, _ = process.communicate(timeout=120)
    assert printed.strip() == str(["2", "2", None, "openblas"])


def test_a_watched_process_ends_with_its_connection() -> None:
    process = started("-m", "http.server", "--bind", "127.0.0.1", "0", watch=True)
    assert process.stdout is not None
    assert process.stdin is not None
    assert "127.0.0.1" in process.stdout.readline()
    assert process.poll() is None
    process.stdin.close()
    assert process.wait(timeout=60) == 1
    process.stdout.close()
