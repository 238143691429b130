"""Detection of the BLAS that torch calls, which is never the one of numpy and scipy.

Wheels for x86-64 hold oneMKL inside ``libtorch_cpu.so``; other builds call a library of their own.
On Linux the answer is exact: either ``libtorch_cpu.so`` exports gemm itself, or the slot that the
linker filled with gemm's address shows the file (`bench_core.blas.detection`). On a GPU it is the
mapped cuBLAS. Imports torch.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import platform
import re
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench_core.blas import elf
from bench_core.blas.detection import bound_files, describe, mappings
from bench_core.blas.report import Library
from bench_core.machine.gpu import cublas_version

GEMM = ("dgemm_", "sgemm_", "cblas_dgemm", "cblas_sgemm")
UNKNOWN = Library("unknown", None, None, None, None, None, None)

_MKL = re.compile(r"(?:oneMKL|Math Kernel Library Version) (\d+\.\d+)(?: Update (\d+))?")
_KERNELS = (("AVX-512", "avx512"), ("AVX2", "avx2"), ("AVX", "avx"), ("Architecture", "def"))


def cpu_library() -> Library:
    """Return the BLAS that torch calls on the processor; its name is "unknown" where unproven."""
    import torch

    if platform.system() != "Linux":
        return UNKNOWN
    threads = int(torch.get_num_threads())
    for file in _cores({region.file for region in mappings()}):
        binary = elf.read(file)
        inside = [name for name in GEMM if name in binary.exported]
        if inside:
            return replace(_inside(file, binary.exported), threads=threads, interface="lp64")
        bound = bound_files(file, [name for name in GEMM if name in binary.undefined])
        for library in bound.values():
            if library not in ("", file):
                found = describe(library, 32)
                return found if found.threads else replace(found, threads=threads)
    return UNKNOWN


def gpu_library(
    capability: tuple[int, int],
    mapped: Collection[str],
    version: Callable[[str], str | None] = cublas_version,
) -> Library:
    """Return the cuBLAS among the ``mapped`` files; "unknown" where there is none.

    Parameters
    ----------
    capability : of the GPU, for which kernels were chosen.
    version : returns that of a library's file.
    """
    file = next((one for one in sorted(mapped) if re.search(r"libcublas\.so", one)), None)
    if file is None:
        return UNKNOWN
    return replace(
        UNKNOWN,
        name="cublas",
        version=version(file),
        architecture="sm_{}{}".format(*capability),
        file=file,
    )


def build(torch: Any = None) -> dict[str, str]:
    """Return what torch says that it was built with: BLAS, LAPACK, MKL, CUDA, kernels.

    >>> "cpu kernels" in build()
    True
    """
    torch = torch or importlib.import_module("torch")
    text = torch.__config__.show()
    found = {"torch": str(torch.__version__)}
    for name, pattern in (
        ("blas", r"\bBLAS_INFO=(\w+)"),
        ("lapack", r"\bLAPACK_INFO=(\w+)"),
        ("mkl", r"Math Kernel Library Version ([\w.-]+)"),
        ("cpu kernels", r"CPU capability usage: (\S+)"),
    ):
        if (hit := re.search(pattern, text)) is not None:
            found[name] = hit.group(1)
    if torch.version.cuda is not None:
        found["cuda"] = str(torch.version.cuda)
    if getattr(torch.version, "hip", None) is not None:
        found["rocm"] = str(torch.version.hip)
    return found


def mkl_kernels(printed: str) -> str | None:
    """Return the kernels that the first line of MKL's verbose output names; None without one.

    >>> mkl_kernels("MKL_VERBOSE oneMKL 2024.0 for Intel(R) 64 architecture Intel(R) Advanced "
    ...             "Vector Extensions 512 (Intel(R) AVX-512) enabled processors, Lnx")
    'avx512'
    """
    hit = re.search(r"MKL_VERBOSE .* 64 architecture (.+?) processors,", printed)
    if hit is None:
        return None
    return next((name for word, name in _KERNELS if word in hit.group(1)), None)


def _cores(mapped: Collection[str]) -> list[str]:
    """Return the mapped files in which torch's own calls of BLAS are."""
    return sorted(file for file in mapped if Path(file).name.startswith("libtorch_cpu."))


def _inside(file: str, exported: Collection[str]) -> Library:
    """Describe the BLAS that is linked into torch's own library."""
    if "MKL_Get_Version_String" in exported:
        threading = next((name for name, mark in _MKL_LAYERS if mark in exported), None)
        return replace(
            UNKNOWN, name="mkl", version=_mkl_version(file), threading_layer=threading, file=file
        )
    if any(name.startswith("openblas_get_config") for name in exported):
        return replace(UNKNOWN, name="openblas", file=file)
    return replace(UNKNOWN, file=file)


#: Symbols that only MKL's layer for that threading runtime has.
_MKL_LAYERS = (("gnu", ".gomp_critical_user_mkl_blas_dgemm_omp_acopy_la_cs"),)


def _mkl_version(file: str) -> str | None:
    buffer = ctypes.create_string_buffer(512)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(file).MKL_Get_Version_String(buffer, len(buffer))
    hit = _MKL.search(buffer.value.decode("utf-8", "replace"))
    return None if hit is None else hit.group(1)
