"""BLIS and AMD's version of it: a BLAS without a LAPACK."""

from __future__ import annotations

import ctypes
from collections.abc import Collection, Iterable
from pathlib import Path

from bench_core.blas.libraries._base import BlasLibrary, system_files


class Blis(BlasLibrary):
    """BLIS; LAPACK calls stay with the bundled library.

    BLIS_ARCH_TYPE selects kernels, but its numbers change between releases: none is suggested.
    """

    name = "blis"
    title = "BLIS"
    conda_spec = "libblas=*=*blis"
    install_hint = "on Debian or Ubuntu: apt-get install libblis4-pthread libblis64-4-pthread"
    thread_variables = ("BLIS_NUM_THREADS",)
    lapack = False
    priority = 10

    def recognises(self, path: Path, exported: Collection[str]) -> bool:
        return "bli_info_get_version_str" in exported

    def integer_bits(self, path: str) -> int | None:
        return int(ctypes.CDLL(path).bli_info_get_blas_int_type_size())

    def candidates(self) -> Iterable[Path]:
        return system_files(
            "blis-pthread/libblis.so.4",
            "blis-openmp/libblis.so.4",
            "blis-serial/libblis.so.4",
            "libblis-mt.so.4",
            "libblis.so.4",
            "blis64-pthread/libblis64.so.4",
            "blis64-openmp/libblis64.so.4",
            "blis64-serial/libblis64.so.4",
        )


LIBRARY = Blis()
