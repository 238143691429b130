"""oneMKL: Intel's library, through its single dynamic library libmkl_rt."""

from __future__ import annotations

import ctypes
import re
import sys
import sysconfig
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from bench_core.blas.libraries._base import BlasLibrary, Runtime, existing

_KERNELS = re.compile(r"libmkl_(def|mc3?|avx[0-9]*|avx512_mic)\.so")


class Mkl(BlasLibrary):
    """oneMKL; 32-bit and 64-bit integers in one file, told apart by the name called."""

    name = "mkl"
    title = "oneMKL"
    conda_spec = "libblas=*=*mkl"
    install_hint = "pip install mkl"
    thread_variables = ("MKL_NUM_THREADS",)
    # By default MKL may take fewer threads than it is told: never more than physical cores.
    fixed_variables: ClassVar[Mapping[str, str]] = {"MKL_DYNAMIC": "FALSE"}
    priority = 20

    def recognises(self, path: Path, exported: Collection[str]) -> bool:
        return "mkl_get_version_string" in exported or "MKL_Get_Version_String" in exported

    def candidates(self) -> Iterable[Path]:
        folders = [
            Path(sys.prefix, "lib"),
            Path(sysconfig.get_path("data"), "lib"),
            Path("/opt/intel/oneapi/mkl/latest/lib"),
            Path("/opt/intel/oneapi/mkl/latest/lib/intel64"),
        ]
        return existing(
            folder / name
            for folder in dict.fromkeys(folders)
            for name in ("libmkl_rt.so.3", "libmkl_rt.so.2", "libmkl_rt.so")
        )

    def spellings(self, routine: str, cblas: bool, bits: int) -> list[str]:
        stem = f"cblas_{routine}" if cblas else routine
        if bits == 64:
            return [f"{stem}_64"]
        return [stem] if cblas else [f"{routine}_", routine]

    def runtime(self, path: str, mapped: Collection[str], info: Mapping[str, Any]) -> Runtime:
        kernels = {hit.group(1) for file in mapped if (hit := _KERNELS.search(file))}
        return Runtime(
            info.get("version"),
            "+".join(sorted(kernels)) or None,
            info.get("threading_layer"),
            _max_threads(path, info.get("num_threads")),
        )


def _max_threads(path: str, told: int | None) -> int | None:
    """Ask MKL for its thread count, which `told` has from the same function when it has it."""
    if told is not None:
        return told
    ask = ctypes.CDLL(path).MKL_Get_Max_Threads
    return int(ask())


LIBRARY = Mkl()
