"""Verification of numpy and scipy in a fresh process.

Products are compared with Python's own arithmetic, factorisations with their definitions. Run as a
module, the checks run in this process; `verify` starts that and raises when it fails.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from typing import Any

from bench_core.errors import RidgebenchError


class VerificationError(RidgebenchError):
    """numpy or scipy gave a wrong result, or crashed, after its BLAS was changed."""


def verify() -> None:
    """Check numpy and scipy in a fresh process; raise `VerificationError` at a failure."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bench_core.blas.verify"],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise VerificationError(f"the check did not end within {error.timeout:.0f} s") from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise VerificationError(f"exit status {done.returncode}: {last}")


def _main() -> None:
    for check in (_products, _complex_dots, _cython, _factorisations):
        check()


def _close(what: str, got: Any, expected: Any, tolerance: float) -> None:
    import numpy as np

    error = float(np.max(np.abs(np.asarray(got) - np.asarray(expected))))
    if not error <= tolerance:
        raise SystemExit(f"{what} is off by {error:.3g}")


def _sample(shape: tuple[int, ...], dtype: str) -> Any:
    import numpy as np

    generator = np.random.default_rng(7)
    values = generator.integers(-8, 9, size=shape) / 4
    if dtype in "FD":
        values = values + 1j * generator.integers(-8, 9, size=shape) / 4
    return values.astype(dtype)


def _products() -> None:
    """Multiply small exact numbers: the plain sum of products is then exact as well."""
    import numpy as np
    from scipy.linalg import blas

    for dtype in "fdFD":
        a, b = _sample((37, 41), dtype), _sample((41, 29), dtype)
        plain = [
            [sum(x * y for x, y in zip(row, column, strict=True)) for column in b.T.tolist()]
            for row in a.tolist()
        ]
        _close(f"numpy gemm ({dtype})", a @ b, plain, 0.0)
        _close(f"numpy syrk ({dtype})", a @ a.T, np.einsum("ik,jk->ij", a, a), 0.0)
        gemm = blas.get_blas_funcs("gemm", (a, b))
        _close(f"scipy gemm ({dtype})", gemm(1.0, a, b), plain, 0.0)
        column = b[:, 0]
        total = sum(x * y for x, y in zip(a[0].tolist(), column.tolist(), strict=True))
        _close(f"numpy dot ({dtype})", np.dot(a[0], column), total, 0.0)
        norm = blas.get_blas_funcs("nrm2", (column,))
        expected = sum(abs(x) ** 2 for x in column.tolist()) ** 0.5
        _close(f"scipy nrm2 ({dtype})", norm(column), expected, 1e-5)
    real = _sample((50,), "f")
    expected = sum(x * x for x in real.tolist())
    _close("scipy sdot", blas.sdot(real, real), expected, 0.0)
    _close("scipy idamax", blas.idamax(real), int(np.argmax(np.abs(real))), 0.0)


def _complex_dots() -> None:
    import numpy as np
    from scipy.linalg import blas

    for dtype, letter in (("F", "c"), ("D", "z")):
        x, y = _sample((2, 23), dtype)
        plain = sum(a * b for a, b in zip(x.tolist(), y.tolist(), strict=True))
        conjugated = sum(a.conjugate() * b for a, b in zip(x.tolist(), y.tolist(), strict=True))
        _close(f"{letter}dotu", getattr(blas, f"{letter}dotu")(x, y), plain, 0.0)
        _close(f"{letter}dotc", getattr(blas, f"{letter}dotc")(x, y), conjugated, 0.0)
        _close(f"numpy dot ({dtype})", np.dot(x, y), plain, 0.0)
        _close(f"numpy vdot ({dtype})", np.vdot(x, y), conjugated, 0.0)


class _Complex(ctypes.Structure):
    _fields_ = (("real", ctypes.c_double), ("imag", ctypes.c_double))


def _cython() -> None:
    """Check the functions that scipy exports to Cython code such as scikit-learn's."""
    from scipy.linalg import cython_blas, cython_lapack

    n, step = ctypes.c_int(2), ctypes.c_int(1)
    x = (ctypes.c_double * 4)(1.0, 2.0, 3.0, -1.0)
    y = (ctypes.c_double * 4)(5.0, 1.0, 0.5, 4.0)
    zdotu = _capsule(cython_blas, "zdotu")
    value = zdotu(ctypes.byref(n), x, ctypes.byref(step), y, ctypes.byref(step))
    expected = complex(1, 2) * complex(5, 1) + complex(3, -1) * complex(0.5, 4)
    _close("cython_blas.zdotu", complex(value.real, value.imag), expected, 0.0)
    value = _capsule(cython_lapack, "zladiv")(x, y)
    _close(
        "cython_lapack.zladiv",
        complex(value.real, value.imag),
        complex(1, 2) / complex(5, 1),
        1e-15,
    )


def _capsule(module: Any, name: str) -> Any:
    """Return the C function that a Cython module exports, as returning a complex double."""
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    capsule = module.__pyx_capi__[name]
    address = api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))
    return ctypes.CFUNCTYPE(_Complex)(address)


def _factorisations() -> None:
    import numpy as np
    import scipy.linalg

    for dtype, tolerance in (("f", 2e-3), ("d", 1e-10), ("F", 2e-3), ("D", 1e-10)):
        a = _sample((60, 40), dtype)
        gram = a.conj().T @ a + 40 * np.eye(40, dtype=dtype)
        for package, linalg in (("numpy", np.linalg), ("scipy", scipy.linalg)):
            where = f"{package} ({dtype})"
            values, vectors = linalg.eigh(gram)
            _close(f"eigh of {where}", gram @ vectors, vectors * values, tolerance)
            u, s, v = linalg.svd(a, full_matrices=False)
            _close(f"svd of {where}", (u * s) @ v, a, tolerance)
            q, r = linalg.qr(a, **({"mode": "economic"} if package == "scipy" else {}))
            _close(f"qr of {where}", q @ r, a, tolerance)
            right = _sample((40, 3), dtype)
            _close(f"solve of {where}", gram @ linalg.solve(gram, right), right, tolerance)
            _close(f"inv of {where}", gram @ linalg.inv(gram), np.eye(40), tolerance)
        lower = np.linalg.cholesky(gram)
        _close(f"cholesky ({dtype})", lower @ lower.conj().T, gram, tolerance)
        weights = np.linalg.lstsq(a, a @ _sample((40, 2), dtype), rcond=None)[0]
        _close(f"lstsq ({dtype})", weights, _sample((40, 2), dtype), tolerance)
        sign, logdet = np.linalg.slogdet(gram)
        product = np.sum(np.log(np.linalg.eigvalsh(gram)))
        _close(f"slogdet ({dtype})", sign * logdet, product, tolerance)


if __name__ == "__main__":
    _main()
