"""Reference BLAS of netlib: plain Fortran, one thread."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from bench_core.blas.libraries._base import BlasLibrary, Runtime, system_files


class Netlib(BlasLibrary):
    """Reference BLAS; every library with gemm that is no other."""

    name = "netlib"
    title = "the reference BLAS"
    conda_spec = "libblas=*=*netlib"
    install_hint = "on Debian or Ubuntu: apt-get install libblas3 libblas64-3"
    lapack = False
    priority = -10

    def recognises(self, path: Path, exported: Collection[str]) -> bool:
        return any(name in exported for name in ("dgemm_", "dgemm_64_", "cblas_dgemm"))

    def candidates(self) -> Iterable[Path]:
        return system_files("blas/libblas.so.3", "blas64/libblas64.so.3")

    def runtime(self, path: str, mapped: Collection[str], info: Mapping[str, Any]) -> Runtime:
        return Runtime(None, "generic", "sequential", 1)


LIBRARY = Netlib()
