"""Report of `detect`: the library behind numpy and the one behind scipy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
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
    name : "openblas", "mkl", "blis", "netlib", "accelerate", "flexiblas", or "unknown".
    version : as the library reports it.
    architecture : the kernels it dispatched to on this CPU, in the library's names.
    threading_layer : "pthreads", "openmp", "intel", "gnu", "tbb", "sequential" or None.
    threads : threads that it would use now.
    file : the mapped file that holds the function called.
    interface : width of its integers at the call: "lp64" (32 bits) or "ilp64" (64 bits).
    backend : library that a wrapper such as FlexiBLAS passes calls to, "unknown" where it does
        not say; None for a library that computes itself.

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
    backend: str | None = None


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

    def mixture(self) -> str | None:
        """Return why numpy and scipy do not run on one library, None if they do.

        Two builds of one library for integers of two widths are one library, and so are the two
        that the wheels bundle. A relinked package beside a bundled one is not, whatever their
        names: so it is after ``pip install`` of one of two relinked packages.
        """
        pair = self.numpy, self.scipy
        if (self.numpy.name, self.numpy.backend) != (self.scipy.name, self.scipy.backend):
            found = " and ".join(
                f"{package} on {library.name}{_behind(library)}"
                for package, library in zip(("numpy", "scipy"), pair, strict=True)
            )
        elif _is_bundled(self.numpy) != _is_bundled(self.scipy):
            found = " and ".join(
                f"{package} on the {library.name} {library.version} "
                f"{'that its wheel bundles' if _is_bundled(library) else 'at ' + str(library.file)}"
                for package, library in zip(("numpy", "scipy"), pair, strict=True)
            )
        else:
            return None
        return (
            f"two libraries in one environment: {found}; `ridgebench blas use NAME` puts both on "
            "one (it is needed again after `pip install` of numpy or scipy)"
        )

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return ``{"numpy": {...}, "scipy": {...}}`` ready for JSON."""
        return asdict(self)


def _is_bundled(library: Library) -> bool:
    """Return whether a library lies in the folder of a wheel's own libraries."""
    return library.file is not None and Path(library.file).parent.name.endswith(".libs")


def _behind(library: Library) -> str:
    return "" if library.backend is None else f", which calls {library.backend}"
