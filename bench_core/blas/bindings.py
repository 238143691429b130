"""Library that every BLAS and LAPACK call of numpy and scipy is bound to.

Read in a process of its own. Python and ctypes load modules with RTLD_NOW, so that the linker has
resolved every call when the slots are read (see `bench_core.blas.detection`). LD_BIND_NOW cannot
be used: oneMKL's own libraries refer to some names that they never resolve.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench_core.blas import elf
from bench_core.blas.detection import bound_files, mappings
from bench_core.blas.routines import STYLES
from bench_core.errors import RidgebenchError
from bench_core.processes import answer_channel, describe_end

Bindings = dict[str, dict[str, str]]


def bindings(folder: Path, calls: Mapping[str, list[str]] | None = None) -> Bindings:
    """Return, by file and symbol, the library file that each call is bound to.

    Parameters
    ----------
    folder : where numpy and scipy are installed.
    calls : names of extension modules below ``folder`` and the symbols that they import; an unbound
        symbol gets "". None: every call of numpy and scipy into a library with BLAS or LAPACK.

    Raises
    ------
    RidgebenchError : numpy or scipy cannot be loaded.
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
        raise RidgebenchError(
            "numpy and scipy do not load in a process of their own: "
            f"{describe_end(done.returncode, done.stderr[-2000:])}"
        )
    answer: Bindings = json.loads(done.stdout)
    return answer


def _main() -> None:
    channel = answer_channel()
    asked = json.load(sys.stdin)
    folder = Path(asked["folder"])
    # Called first, as a program would: libraries loaded by then affect how later modules are bound.
    import numpy.linalg
    import scipy.linalg

    numpy.linalg.eigvalsh(scipy.linalg.blas.dgemm(1.0, numpy.eye(2), numpy.eye(2)))
    found: Bindings = {}
    for name, symbols in (asked["calls"] or _all_calls(folder)).items():
        path = folder / name
        ctypes.CDLL(str(path), mode=os.RTLD_NOW)
        bound = bound_files(str(path), symbols)
        if bound:
            found[name] = bound
    json.dump(found, channel)
    channel.flush()


def _all_calls(folder: Path) -> dict[str, list[str]]:
    offered: set[str] = set()
    for file in {region.file for region in mappings()}:
        exported = _exported(file)
        if any(s.fortran.format(r) in exported for s in STYLES for r in ("dgemm", "dgesdd")):
            offered |= exported
    calls: dict[str, Any] = {}
    for package in ("numpy", "scipy"):
        for path in sorted((folder / package).rglob("*.so")):
            symbols = sorted(offered & set(elf.read(path).undefined))
            if symbols:
                calls[path.relative_to(folder).as_posix()] = symbols
    return calls


def _exported(file: str) -> frozenset[str]:
    try:
        return elf.read(file).exported
    except (elf.NotElfError, OSError):
        return frozenset()


if __name__ == "__main__":
    _main()
