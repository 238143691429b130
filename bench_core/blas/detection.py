"""Detection of the BLAS that numpy and scipy call, from this process after a real call of each.

On Linux the answer is exact. The linker writes the address of every function that an extension
module calls into a slot of that module. The slot of gemm is read, and the mapped file that holds
the address is the library, whatever LD_PRELOAD, relinking or stray copies suggest. Elsewhere
threadpoolctl's list of loaded libraries is used.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_core.blas import elf
from bench_core.blas.libraries import LIBRARIES, identify
from bench_core.blas.report import BlasMismatchError, BlasReport, Library
from bench_core.errors import RidgebenchError

_GEMM = re.compile(r"(?:scipy_)?(?:cblas_)?dgemm_?(64_|_64|)$")


MAPS = Path("/proc/self/maps")


@dataclass(frozen=True)
class Region:
    """One line of /proc/self/maps that names a file."""

    start: int
    end: int
    offset: int
    file: str


def mappings() -> list[Region]:
    """Return the files mapped into this process, by address.

    Raises `RidgebenchError` where the system does not list them: nothing can be proven there.
    """
    found = []
    if not MAPS.is_file():
        raise RidgebenchError(
            f"{platform.system()} has no {MAPS}, which shows the BLAS that answers: measure on "
            "Linux"
        )
    for line in MAPS.read_text().splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5].startswith("/"):
            start, end = (int(part, 16) for part in fields[0].split("-"))
            found.append(Region(start, end, int(fields[2], 16), fields[5]))
    return found


def bound_files(module_file: str, names: Iterable[str]) -> dict[str, str]:
    """Return the file that each of ``names``, called by a loaded module, is bound to.

    Names that the module does not call are omitted. A name that the linker has not resolved yet
    gives the module's own file or "" (Python resolves all at import, others at the first call).
    """
    regions = mappings()
    path = Path(module_file).resolve()
    binary = elf.read(path)
    offset, address = binary.first_load
    page = offset & ~0xFFF
    start = next((r.start for r in regions if r.file == str(path) and r.offset == page), None)
    if start is None:
        return {}
    bias = start - (address - (offset - page))
    found = {}
    for name, slot in binary.slots(set(names)).items():
        target = ctypes.c_size_t.from_address(bias + slot).value
        found[name] = next((r.file for r in regions if r.start <= target < r.end), "")
    return found


def detect() -> BlasReport:
    """Return the libraries behind numpy and scipy, after a matrix product through each."""
    numpy_module, scipy_module = _call()
    if platform.system() == "Linux":
        return BlasReport(_linux(numpy_module), _linux(scipy_module))
    return BlasReport(_elsewhere("numpy"), _elsewhere("scipy"))


def require(name: str) -> BlasReport:
    """Return `detect`'s report if numpy and scipy both run on the BLAS called ``name``.

    Raises
    ------
    BlasMismatchError : another library is called, or the environment makes this one give wrong
        results.
    UnknownNameError : no BLAS has that name.
    """
    wanted = LIBRARIES.get(name)
    conflict = wanted.conflict(os.environ)
    if conflict:
        raise BlasMismatchError(conflict)
    report = detect()
    for package, found in (("numpy", report.numpy), ("scipy", report.scipy)):
        if found.name != wanted.name:
            raise BlasMismatchError(
                f"{package} runs on {found.name} ({found.file}), not on the {name} asked for; "
                f"`ridgebench blas use {name}` changes that, `ridgebench blas show` says more"
            )
    return report


def _call() -> tuple[str, str]:
    """Multiply matrices through numpy and scipy; return the files of the modules that did."""
    import numpy as np
    from scipy.linalg import blas

    a = np.arange(64 * 64, dtype=np.float64).reshape(64, 64)
    b = np.ones((64, 64))
    np.matmul(a, b)
    blas.dgemm(1.0, a, b)
    core = importlib.import_module(
        "numpy._core._multiarray_umath" if np.__version__ >= "2" else "numpy.core._multiarray_umath"
    )
    return str(core.__file__), str(sys.modules["scipy.linalg._fblas"].__file__)


def _linux(module_file: str) -> Library:
    binary = elf.read(module_file)
    gemm = [name for name in binary.undefined if _GEMM.fullmatch(name)]
    bound = bound_files(module_file, gemm)
    bound = {name: file for name, file in bound.items() if file not in ("", module_file)}
    if not bound:
        return Library("unknown", None, None, None, None, None, None)
    name, file = next(iter(bound.items()))
    hit = _GEMM.fullmatch(name)
    assert hit is not None
    return describe(file, 64 if hit.group(1) else 32)


def describe(file: str, bits: int) -> Library:
    """Return the BLAS that is loaded from ``file`` and called with integers of so many bits."""
    library = identify(Path(file), elf.read(file).exported)
    if library is not None:
        bits = library.integer_bits(file) or bits
    interface = "ilp64" if bits == 64 else "lp64"
    if library is None:
        return Library("unknown", None, None, None, None, file, interface)
    runtime = library.runtime(file, {m.file for m in mappings()}, _threadpool(file, library.name))
    return Library(
        name=library.name,
        version=runtime.version,
        architecture=runtime.architecture,
        threading_layer=runtime.threading_layer,
        threads=runtime.threads,
        file=file,
        interface=interface,
        backend=runtime.backend,
    )


def _threadpool(file: str, name: str) -> Mapping[str, Any]:
    """Return threadpoolctl's entry for ``file``, or for the only library called ``name``."""
    from threadpoolctl import threadpool_info

    entries = [info for info in threadpool_info() if info["internal_api"] == name]
    same = [info for info in entries if Path(info["filepath"]).resolve() == Path(file).resolve()]
    if same or len(entries) == 1:
        return (same or entries)[0]
    return {}


def _elsewhere(package: str) -> Library:
    """Describe, off Linux, the loaded BLAS that lies nearest to ``package``."""
    import numpy as np
    import scipy
    from threadpoolctl import threadpool_info

    loaded = [info for info in threadpool_info() if info["user_api"] == "blas"]
    loaded.sort(key=lambda info: f"{package}." not in info["filepath"])
    if loaded:
        found = loaded[0]
        return Library(
            found["internal_api"],
            found.get("version"),
            found.get("architecture"),
            found.get("threading_layer"),
            found["num_threads"],
            found["filepath"],
            None,
        )
    # Accelerate is part of the system's shared cache and invisible to threadpoolctl: only the
    # package's own record of its build is left.
    module = np if package == "numpy" else scipy
    built = module.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]
    return Library(str(built).lower(), None, None, None, None, None, None)
