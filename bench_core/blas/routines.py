"""Names of BLAS and LAPACK routines, and their spellings as linker symbols.

A routine has one name in the reference documentation ("dgemm") and many as a linker symbol:
with an underscore (Fortran), behind ``cblas_`` (the C interface), with a prefix so that two
libraries can live in one process (``scipy_``), with ``64_`` or ``_64`` where integers have 64
bits.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

PREFIX = "scipy_"
_SYMBOL = re.compile(rf"(?:{PREFIX})?(cblas_)?([a-z][a-z0-9_]*?)(_64_|64_|_64|_)?")

# Functions whose value is a complex number: compilers disagree on how it travels. gfortran
# returns it by value; Intel's compiler and f2c write it through a hidden first argument. Called
# the wrong way they give wrong numbers or write into the caller's data.
COMPLEX_FUNCTIONS = frozenset({"cdotu", "cdotc", "zdotu", "zdotc", "cladiv", "zladiv"})


@dataclass(frozen=True)
class Routine:
    """One routine as its caller needs it.

    Attributes
    ----------
    name : "dgemm", "zdotu_sub", "dgesdd", …
    cblas : called through the C interface.
    bits : width of the integers that the caller passes, 32 or 64.
    """

    name: str
    cblas: bool
    bits: int

    @property
    def complex_function(self) -> bool:
        """True if it returns a complex number through Fortran's calling convention."""
        return not self.cblas and self.name in COMPLEX_FUNCTIONS

    @property
    def is_blas(self) -> bool:
        """True if it belongs to BLAS proper, which a library without LAPACK must have too."""
        return self.cblas or self.name in BLAS


@dataclass(frozen=True)
class Style:
    """One way to spell symbols: patterns with ``{}`` for the routine's name."""

    fortran: str
    cblas: str

    def spell(self, routine: Routine) -> str:
        """Return the symbol for ``routine``, whatever its integer width."""
        return (self.cblas if routine.cblas else self.fortran).format(routine.name)


STYLES = (
    Style("{}_", "cblas_{}"),
    Style("{}_64_", "cblas_{}64_"),
    Style("{}_64", "cblas_{}_64"),
    Style(PREFIX + "{}_", PREFIX + "cblas_{}"),
    Style(PREFIX + "{}_64_", PREFIX + "cblas_{}64_"),
)


def parse(symbol: str) -> Routine:
    """Return the routine that a wheel's ``symbol`` calls.

    >>> parse("scipy_cblas_dgemm64_"), parse("scipy_dgesdd_")
    (Routine(name='dgemm', cblas=True, bits=64), Routine(name='dgesdd', cblas=False, bits=32))
    """
    hit = _SYMBOL.fullmatch(symbol)
    if hit is None:
        raise ValueError(f"{symbol!r} is no BLAS or LAPACK symbol")
    return Routine(hit.group(2), bool(hit.group(1)), 64 if "64" in (hit.group(3) or "") else 32)


def missing(wanted: Collection[Routine], style: Style, exported: Collection[str]) -> list[str]:
    """Return the sorted symbols, spelt in ``style``, that ``exported`` lacks."""
    return sorted({style.spell(r) for r in wanted} - set(exported))


def _blas() -> frozenset[str]:
    """Return the routines of the reference BLAS, levels 1 to 3 (netlib's quick reference)."""
    real = "rotg rotmg rot rotm swap scal copy axpy dot nrm2 asum gemv gbmv symv sbmv spmv trmv "
    real += "tbmv tpmv trsv tbsv tpsv ger syr spr syr2 spr2 gemm symm syrk syr2k trmm trsm"
    cplx = "rotg swap scal copy axpy dotu dotc gemv gbmv hemv hbmv hpmv trmv tbmv tpmv trsv tbsv "
    cplx += "tpsv geru gerc her hpr her2 hpr2 gemm symm hemm syrk herk syr2k her2k trmm trsm"
    names = {p + n for p in "sd" for n in real.split()} | {
        p + n for p in "cz" for n in cplx.split()
    }
    mixed = "sdsdot dsdot csscal zdscal scnrm2 dznrm2 scasum dzasum csrot zdrot dcabs1 scabs1"
    return frozenset(names | {f"i{p}amax" for p in "sdcz"} | set(mixed.split()))


BLAS = _blas()
