"""OpenBLAS: bundled with numpy's and scipy's wheels, and packaged by every distribution."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from bench_core.blas import elf
from bench_core.blas.libraries._base import BlasLibrary, system_files
from bench_core.machine import Cpu

_KERNEL = re.compile(r"(?:scipy_)?dgemm_kernel_([A-Z][A-Z0-9]+)(?:64_|_64)?")


class OpenBlas(BlasLibrary):
    """OpenBLAS as the system installed it (the wheels' own is called ``bundled``)."""

    name = "openblas"
    title = "OpenBLAS"
    conda_spec = "libblas=*=*openblas"
    anaconda_spec = "blas=*=openblas"
    install_hint = (
        "on Debian or Ubuntu: apt-get install libopenblas0-pthread libopenblas64-0-pthread"
    )
    thread_variables = ("OPENBLAS_NUM_THREADS",)
    kernel_variable = "OPENBLAS_CORETYPE"
    may_choose_low = True
    # The plain AVX-512 kernels come first: those for bfloat16 share them in both precisions.
    kernel_levels: ClassVar[Mapping[str, str]] = {
        "SKYLAKEX": "avx512",
        "COOPERLAKE": "avx512_bf16",
        "SAPPHIRERAPIDS": "amx_bf16",
        "ZEN": "avx2",
        "HASWELL": "avx2",
        "SANDYBRIDGE": "avx",
        "BULLDOZER": "avx",
        "PILEDRIVER": "avx",
        "STEAMROLLER": "avx",
        "EXCAVATOR": "avx2",
    }
    priority = 10

    def recognises(self, path: Path, exported: Collection[str]) -> bool:
        return any("openblas_get_config" in name for name in exported)

    def integer_bits(self, path: str) -> int | None:
        name = next(n for n in elf.read(path).exported if "openblas_get_config" in n)
        ask = getattr(ctypes.CDLL(path), name)
        ask.restype = ctypes.c_char_p
        return 64 if b"USE64BITINT" in ask() else 32

    def kernels_in(self, exported: Collection[str]) -> frozenset[str]:
        # A build with run-time dispatch exports dgemm_kernel_<CORE>; one without has one set.
        hits = (_KERNEL.fullmatch(name) for name in exported if "dgemm_kernel" in name)
        return frozenset(hit.group(1) for hit in hits if hit)

    def kernel_order(self, processor: Cpu) -> list[str]:
        order = super().kernel_order(processor)
        if processor.vendor != "AuthenticAMD":
            order = [core for core in order if core != "ZEN"]
        return order

    def candidates(self) -> Iterable[Path]:
        return system_files(
            "openblas-pthread/libopenblas.so.0",
            "openblas-openmp/libopenblas.so.0",
            "openblas-serial/libopenblas.so.0",
            "libopenblasp.so.0",
            "libopenblas.so.0",
            "openblas64-pthread/libopenblas64.so.0",
            "openblas64-openmp/libopenblas64.so.0",
            "openblas64-serial/libopenblas64.so.0",
            "libopenblasp64_.so.0",
            "libopenblas64_.so.0",
        )


LIBRARY = OpenBlas()
