"""Properties of a BLAS file found by calling it: integer width, and how it returns complex numbers.

Neither shows in a symbol table (Debian's 64-bit OpenBLAS exports plain ``dgemm_``), and a wrong
guess gives wrong numbers or a crash. So each spelling that a file exports is called in a process
of its own, with arguments that are harmless under every interpretation.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench_core.blas import elf
from bench_core.blas.libraries import identify
from bench_core.blas.routines import STYLES, Style
from bench_core.errors import RidgebenchError
from bench_core.processes import answer_channel


class UnusableLibraryError(RidgebenchError):
    """A file that cannot be the BLAS of this environment."""


@dataclass(frozen=True)
class Probe:
    """Properties of one BLAS file.

    Attributes
    ----------
    path : the file as given, links unresolved.
    name : name of the BLAS ("openblas", …).
    bits : integer width of every spelling that it exports.
    by_value : whether complex functions of that spelling return by value.
    """

    path: Path
    name: str
    bits: dict[Style, int]
    by_value: dict[Style, bool]


def probe(path: Path) -> Probe:
    """Return the properties of the library at ``path``; raise `UnusableLibraryError`."""
    if not path.is_file():
        raise UnusableLibraryError(f"{path} is not a file")
    return _probe(path.absolute(), path.stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _probe(path: Path, modified: int) -> Probe:
    exported = elf.read(path).exported
    library = identify(path, exported)
    if library is None:
        raise UnusableLibraryError(
            f"{path} exports no gemm: it is not a BLAS that ridgebench knows"
        )
    bits: dict[Style, int] = {}
    by_value: dict[Style, bool] = {}
    for style in STYLES:
        if style.fortran.format("ddot") not in exported:
            continue
        width = _ask(path, "bits", style)
        if width is None:
            continue
        bits[style] = int(width)
        if style.fortran.format("zdotu") in exported:
            # A crash counts as no: these functions then stay with the bundled library.
            by_value[style] = bool(_ask(path, "complex", style))
    if not bits:
        raise UnusableLibraryError(f"{path} could not be loaded and called: {_reason(path)}")
    return Probe(path, library.name, bits, by_value)


def _ask(path: Path, question: str, style: Style) -> Any:
    done = _child(path, question, style.fortran)
    return json.loads(done.stdout) if done.returncode == 0 else None


def _reason(path: Path) -> str:
    lines = _child(path, "bits", "{}_").stderr.strip().splitlines()
    return lines[-1] if lines else "it ended the process that called it"


def _child(path: Path, question: str, pattern: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench_core.blas.probe", str(path), question, pattern],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class _Complex(ctypes.Structure):
    """Two doubles, which travel as a C ``double _Complex`` does on x86-64 and on 64-bit Arm."""

    _fields_ = (("real", ctypes.c_double), ("imag", ctypes.c_double))


def _integer_bits(library: ctypes.CDLL, pattern: str) -> int:
    """Return the width, from ddot with a count that is 3 in 32 bits and negative in 64."""
    ddot = getattr(library, pattern.format("ddot"))
    ddot.restype = ctypes.c_double
    count, step = ctypes.c_int64(3 - (1 << 32)), ctypes.c_int64(1)
    x = (ctypes.c_double * 4)(1.0, 2.0, 3.0, 4.0)
    value = ddot(ctypes.byref(count), x, ctypes.byref(step), x, ctypes.byref(step))
    if value == 14.0:
        return 32
    if value == 0.0:
        return 64
    raise ArithmeticError(f"ddot gave {value}, neither 14 nor 0")


def _complex_by_value(library: ctypes.CDLL, pattern: str) -> bool:
    """Return whether zdotu, called as gfortran does, returns the right value.

    Called so, a library of the other convention takes the count's address for the result's and
    x for the count: x begins with an integer 0 (a subnormal number would do as well), so that
    it reads nothing more and writes its result over 16 bytes that are there for it.
    """
    zdotu = getattr(library, pattern.format("zdotu"))
    zdotu.restype = _Complex
    count = (ctypes.c_int64 * 4)(2, 0, 0, 0)
    step = ctypes.c_int64(1)
    x = (ctypes.c_double * 4)(0.0, 2.0, 3.0, -1.0)
    y = (ctypes.c_double * 4)(5.0, 1.0, 0.5, 4.0)
    expected = complex(0, 2) * complex(5, 1) + complex(3, -1) * complex(0.5, 4)
    value = zdotu(count, x, ctypes.byref(step), y, ctypes.byref(step))
    return complex(value.real, value.imag) == expected


def _main(path: str, question: str, pattern: str) -> None:
    channel = answer_channel()
    library = ctypes.CDLL(path)
    answer = _integer_bits if question == "bits" else _complex_by_value
    print(json.dumps(answer(library, pattern)), file=channel)


if __name__ == "__main__":
    _main(*sys.argv[1:])
