"""BLAS libraries that ridgebench knows: one module each, with a ``LIBRARY``.

A new library is one more module here; `BlasLibrary` is its interface.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from bench_core.blas.libraries._base import BlasLibrary, Runtime
from bench_core.plugins import Registry

LIBRARIES = Registry("BLAS", "bench_core.blas.libraries", "LIBRARY")

__all__ = ["LIBRARIES", "BlasLibrary", "Runtime", "all_libraries", "identify"]


def all_libraries() -> list[BlasLibrary]:
    """Return every known library, the most specific to recognise first."""
    known = [LIBRARIES.get(name) for name in LIBRARIES.names()]
    return sorted(known, key=lambda library: (-library.priority, library.name))


def identify(path: Path, exported: Collection[str]) -> BlasLibrary | None:
    """Return the library in the file at ``path``, from the names it exports; None if unknown."""
    return next((lib for lib in all_libraries() if lib.recognises(path, exported)), None)
