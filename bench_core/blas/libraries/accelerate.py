"""Accelerate: the BLAS of macOS."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from bench_core.blas.libraries._base import BlasLibrary


class Accelerate(BlasLibrary):
    """Apple's Accelerate; part of the system, so nothing is ever relinked to it."""

    name = "accelerate"
    title = "Accelerate"
    conda_spec = "libblas=*=*accelerate"
    install_hint = "part of macOS; numpy's wheels for macOS 14 and later use it"
    thread_variables = ("VECLIB_MAXIMUM_THREADS",)

    def recognises(self, path: Path, exported: Collection[str]) -> bool:
        return "Accelerate.framework" in str(path)

    def candidates(self) -> Iterable[Path]:
        return ()


LIBRARY = Accelerate()
