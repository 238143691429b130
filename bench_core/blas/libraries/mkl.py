"""oneMKL: Intel's library, through its single dynamic library libmkl_rt."""

from __future__ import annotations

import re
import sys
import sysconfig
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from bench_core.blas.libraries._base import BlasLibrary, Runtime, existing

_KERNELS = re.compile(r"libmkl_(def|mc3?|avx[0-9]*|avx512_mic)\.so")


class Mkl(BlasLibrary):
    """oneMKL; one file with 32-bit and 64-bit integers under different names."""

    name = "mkl"
    title = "oneMKL"
    conda_spec = "libblas=*=*mkl"
    anaconda_spec = "blas=*=mkl"
    install_hint = "pip install mkl"
    thread_variables = ("MKL_NUM_THREADS",)
    # By default MKL may take fewer threads than it is told: never more than physical cores.
    fixed_variables: ClassVar[Mapping[str, str]] = {"MKL_DYNAMIC": "FALSE"}
    # Intel's processors only: on others MKL ignores it, and the fit's record is then invalid.
    kernel_variable = "MKL_ENABLE_INSTRUCTIONS"
    kernel_levels: ClassVar[Mapping[str, str]] = {"AVX512": "avx512", "AVX2": "avx2"}
    priority = 20

    def recognises(self, path: Path, exported: Collection[str]) -> bool:
        return path.name.startswith("libmkl_")

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

    def kernels_in(self, exported: Collection[str]) -> frozenset[str]:
        return frozenset(self.kernel_levels)

    def is_part(self, file: Path, library: Path) -> bool:
        # libmkl_rt loads its other parts globally, so modules imported after the first call are
        # bound to those.
        return file.name.startswith("libmkl_") and file.parent == library.resolve().parent

    def conflict(self, environment: Mapping[str, str]) -> str | None:
        layer = environment.get("MKL_INTERFACE_LAYER", "")
        if "ILP64" in layer.upper():
            return (
                f"MKL_INTERFACE_LAYER={layer} makes oneMKL read 64-bit integers where scipy passes "
                "32-bit ones; unset it (numpy's 64-bit calls have names of their own)"
            )
        return None

    def runtime(self, path: str, mapped: Collection[str], info: Mapping[str, Any]) -> Runtime:
        kernels = {hit.group(1) for file in mapped if (hit := _KERNELS.search(file))}
        return Runtime(
            info.get("version"),
            "+".join(sorted(kernels)) or None,
            info.get("threading_layer"),
            info.get("num_threads"),
        )


LIBRARY = Mkl()
