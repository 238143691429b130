"""Which library every BLAS and LAPACK call of numpy and scipy really goes to.

Run in a process of its own. Python and ctypes load modules with RTLD_NOW, so that the linker has
resolved every call when the slots are read (see `bench_core.blas.detection`). LD_BIND_NOW would
not do: oneMKL's own libraries rest on some names that they never resolve.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bench_core.blas.detection import bound_files
from bench_core.errors import RidgebenchError


def bindings(folder: Path, calls: Mapping[str, list[str]]) -> dict[str, dict[str, str]]:
    """Return, for every file and symbol of ``calls``, the library file that it is bound to.

    ``calls`` maps the names of extension modules below ``folder`` to symbols that they take.
    A symbol that is bound to nothing is left out.
    """
    done = subprocess.run(
        [sys.executable, "-m", "bench_core.blas.bindings"],
        input=json.dumps({"folder": str(folder), "calls": calls}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode != 0:
        raise RidgebenchError(f"numpy and scipy do not load: {done.stderr.strip()[-2000:]}")
    answer: dict[str, dict[str, str]] = json.loads(done.stdout)
    return answer


def _main() -> None:
    asked = json.load(sys.stdin)
    # Loaded first, in the order of real use, since what is there already can change what the
    # linker finds for those that come later.
    import numpy.linalg
    import scipy.linalg

    numpy.linalg.eigvalsh(scipy.linalg.blas.dgemm(1.0, numpy.eye(2), numpy.eye(2)))
    found = {}
    for name, symbols in asked["calls"].items():
        path = Path(asked["folder"], name)
        ctypes.CDLL(str(path), mode=os.RTLD_NOW)
        found[name] = bound_files(str(path), symbols)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    _main()
