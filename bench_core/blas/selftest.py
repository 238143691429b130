"""Linear-algebra tests of numpy and scipy, run on the loaded BLAS."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from bench_core.errors import RidgebenchError

SUITES = ("numpy.linalg", "scipy.linalg")


def selftest(arguments: Sequence[str] = ()) -> int:
    """Run the test suites of numpy.linalg and scipy.linalg; return pytest's exit status."""
    for module in ("pytest", "hypothesis"):
        if importlib.util.find_spec(module) is None:
            raise RidgebenchError(f"{module} is not installed here: `pip install {module}`")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    # Away from any project whose pytest settings would apply.
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.call([*command, "--pyargs", *SUITES, *arguments], cwd=folder)
