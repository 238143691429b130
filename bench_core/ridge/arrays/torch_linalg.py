"""Decompositions by torch, by another library or on the processor where one fails.

cuSOLVER's eigendecomposition does not converge for some singular matrices (of order 16,384, for
example), and a GPU may have no room for its work space. What was done instead is said in a
`DecompositionWarning`, which a record keeps.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

Tensor = Any

LIBRARIES = ("cusolver", "magma")
"""torch's libraries of linear algebra on a GPU, in the order in which they are tried."""


class DecompositionWarning(RuntimeWarning):
    """A decomposition failed on its device and was made by another library, or elsewhere.

    Examples
    --------
    >>> str(DecompositionWarning("on the processor"))
    'on the processor'
    """


def eigh(K: Tensor, torch: Any = None) -> tuple[Tensor, Tensor]:
    """Return eigenvalues (n,), ascending, and eigenvectors (n, n) of the symmetric tensor ``K``.

    By torch's own choice of library; where that fails, by the other one, then by LAPACK on the
    processor, with a warning.

    torch : the module, or what stands for it in a test.

    Raises
    ------
    numpy.linalg.LinAlgError : LAPACK does not converge either.
    """
    torch = torch or importlib.import_module("torch")

    def on_processor() -> tuple[Tensor, ...]:
        from bench_core.ridge.arrays.eigh import eigh as by_lapack

        return tuple(torch.from_numpy(np.ascontiguousarray(one)) for one in by_lapack(_host(K)))

    w, V = _decomposed("eigendecomposition", K, torch.linalg.eigh, on_processor, torch)
    return w, V


def svd(A: Tensor, *, full_matrices: bool, torch: Any = None) -> tuple[Tensor, Tensor, Tensor]:
    """Return left vectors, singular values and right vectors of the tensor ``A``; as `eigh`."""
    torch = torch or importlib.import_module("torch")

    def on_processor() -> tuple[Tensor, ...]:
        from scipy import linalg

        # The slower of LAPACK's two ways, which converges where the other may not.
        parts = linalg.svd(_host(A), full_matrices=full_matrices, lapack_driver="gesvd")
        return tuple(torch.from_numpy(np.ascontiguousarray(one)) for one in parts)

    def by_torch(matrix: Tensor) -> Any:
        return torch.linalg.svd(matrix, full_matrices=full_matrices)

    U, s, Vt = _decomposed("singular value decomposition", A, by_torch, on_processor, torch)
    return U, s, Vt


def _decomposed(
    what: str,
    matrix: Tensor,
    by_torch: Callable[[Tensor], Any],
    on_processor: Callable[[], tuple[Tensor, ...]],
    torch: Any,
) -> tuple[Tensor, ...]:
    """Return the parts of a decomposition from the first way that succeeds."""
    failures: list[str] = []
    for library in _libraries(matrix):
        try:
            with _preferred(library, torch):
                parts = tuple(by_torch(matrix))
            if all(bool(torch.isfinite(one).all()) for one in parts):
                if failures:
                    _warn(what, matrix, failures, f"by {library} on {matrix.device}")
                return parts
            failure = "values that are not finite"
        except RuntimeError as error:  # LinAlgError and OutOfMemoryError are of this kind
            failure = str(error).strip().partition("\n")[0]
        failures.append(f"{library or 'torch'}: {failure}")
    parts = tuple(one.to(matrix.device) for one in on_processor())
    _warn(what, matrix, failures, "by LAPACK on the processor")
    return parts


def _libraries(matrix: Tensor) -> tuple[str, ...]:
    """Return the names of the libraries to try: "" is torch's choice, the only one off a GPU."""
    return ("", *LIBRARIES) if str(matrix.device).startswith("cuda") else ("",)


@contextmanager
def _preferred(library: str, torch: Any) -> Iterator[None]:
    """Have torch prefer a library meanwhile; raise `RuntimeError` where its build has it not."""
    if not library:
        yield
        return
    if library == "magma" and not torch.cuda.has_magma:
        raise RuntimeError("torch was built without it")
    choose = torch.backends.cuda.preferred_linalg_library
    before = choose()
    choose(library)
    try:
        yield
    finally:
        choose(before)


def _warn(what: str, matrix: Tensor, failures: list[str], instead: str) -> None:
    warnings.warn(
        f"the {what} of order {min(matrix.shape)} failed on {matrix.device} "
        f"({'; '.join(failures)}); it was made {instead}",
        DecompositionWarning,
        stacklevel=5,
    )


def _host(matrix: Tensor) -> np.ndarray[Any, Any]:
    """Return a copy in ordinary memory: LAPACK overwrites it."""
    return np.array(matrix.detach().cpu().numpy())
