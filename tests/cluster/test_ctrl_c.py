"""dask-jobqueue replaces the handler of Ctrl-C as it is imported: it must be put back."""

import subprocess
import sys

import pytest

from bench_core.interruption import sigint_kept

CODE = """
import shutil, signal
shutil.which = lambda name: name
from bench_core.cluster.kinds import slurm
before = signal.getsignal(signal.SIGINT)
assert slurm._jobqueue().__name__ == "dask_jobqueue"
assert signal.getsignal(signal.SIGINT) == before, signal.getsignal(signal.SIGINT)
"""


def test_ctrl_c_stays_an_interruption_with_slurm() -> None:
    with sigint_kept():
        pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is the slurm extra")
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
