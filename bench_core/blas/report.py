"""Report of `detect`: the library behind numpy and the one behind scipy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bench_core.errors import RidgebenchError


class BlasMismatchError(RidgebenchError):
    """Another BLAS is loaded than the declared one: no figure may be recorded.

    Examples
    --------
    >>> from bench_core.blas import detect, require
    >>> other = "blis" if detect().numpy.name != "blis" else "mkl"
    >>> try:
    ...     require(other)
    ... except BlasMismatchError as error:
    ...     other in str(error)
    True
    """


@dataclass(frozen=True)
class Library:
    """One BLAS as it runs in this process.

    Attributes
    ----------
    name : "openblas", "mkl", "blis", "netlib", "accelerate", or "unknown".
    version : as the library reports it.
    architecture : the kernels it dispatched to on this CPU, in the library's names.
    threading_layer : "pthreads", "openmp", "intel", "gnu", "tbb", "sequential" or None.
    threads : threads that it would use now.
    file : the mapped file that holds the function called.
    interface : width of its integers at the call: "lp64" (32 bits) or "ilp64" (64 bits).

    Examples
    --------
    >>> Library("mkl", "2026.2", "avx512", "intel", 2, "/lib/libmkl_rt.so.3", "ilp64").interface
    'ilp64'
    """

    name: str
    version: str | None
    architecture: str | None
    threading_layer: str | None
    threads: int | None
    file: str | None
    interface: str | None


@dataclass(frozen=True)
class BlasReport:
    """The library behind `numpy` and the one behind `scipy`, after a real call of each.

    Examples
    --------
    >>> from bench_core.blas import detect
    >>> sorted(detect().to_dict())
    ['numpy', 'scipy']
    """

    numpy: Library
    scipy: Library

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return ``{"numpy": {...}, "scipy": {...}}`` ready for JSON."""
        return asdict(self)
