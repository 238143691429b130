"""Reference BLAS of netlib: plain Fortran, one thread."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from bench_core.blas import elf
from bench_core.blas.libraries._base import BlasLibrary, Runtime, system_files

# What a wrapper needs to find the library that it passes calls to.
_LOADING = {"dlopen", "dlsym", "dlmopen"}


class Netlib(BlasLibrary):
    """Reference BLAS: a library with gemm that is no other and loads no other."""

    name = "netlib"
    title = "the reference BLAS"
    conda_spec = "libblas=*=*netlib"
    install_hint = "on Debian or Ubuntu: apt-get install libblas3 libblas64-3"
    lapack = False
    priority = -10

    def recognises(self, path: Path, exported: Collection[str]) -> bool:
        if not any(name in exported for name in ("dgemm_", "dgemm_64_", "cblas_dgemm")):
            return False
        return not _LOADING & set(elf.read(path).undefined)

    def candidates(self) -> Iterable[Path]:
        return system_files("blas/libblas.so.3", "blas64/libblas64.so.3")

    def runtime(self, path: str, mapped: Collection[str], info: Mapping[str, Any]) -> Runtime:
        return Runtime(None, "generic", "sequential", 1)


LIBRARY = Netlib()
