"""Count what numpy is really asked for: products, decompositions and new memory."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

Work = Counter[str]


def product(work: Work, a: np.ndarray, b: np.ndarray) -> None:
    """Count a product of two matrices: a triangle where one is the other's transpose."""
    if a.ndim < 2 or b.ndim < 2 or min(a.shape[-2:] + b.shape[-2:]) == 1:
        return  # with a vector: bandwidth, not flops
    batch = int(np.prod(np.broadcast_shapes(a.shape[:-2], b.shape[:-2])))
    m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
    same = a.ndim == b.ndim == 2 and a.shape == b.T.shape and np.shares_memory(a, b)
    if same and a.__array_interface__["data"] == b.__array_interface__["data"]:
        work["syrk"] += m * m * k
    else:
        work["gemm"] += 2 * batch * m * k * n


class Counted(np.ndarray):
    """An array whose products, decompositions and new results are counted, and those of results."""

    work: Work

    @classmethod
    def of(cls, array: np.ndarray, work: Work) -> Counted:
        view = np.asarray(array).view(cls)
        view.work = work
        return view

    def __array_finalize__(self, source: Any) -> None:
        self.work = getattr(source, "work", Counter())

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [np.asarray(one) if isinstance(one, np.ndarray) else one for one in inputs]
        out = options.get("out")
        if out:
            options["out"] = tuple(np.asarray(one) for one in out)
        if ufunc is np.matmul:
            product(self.work, *plain)
        found = getattr(ufunc, method)(*plain, **options)
        if out:
            return out[0]
        if not isinstance(found, np.ndarray) or found.ndim == 0:
            return found
        self.work["fresh"] += found.nbytes
        return Counted.of(found, self.work)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        first = np.asarray(args[0])
        n, m = (min(first.shape[-2:]), max(first.shape[-2:])) if first.ndim > 1 else (1, 1)
        if function is np.linalg.eigh:
            self.work["eigh"] += 9 * n**3
        elif function is np.linalg.svd:
            self.work["svd"] += 6 * m * n * n + 20 * n**3
        found = function(*map(_plain, args), **{k: _plain(v) for k, v in kwargs.items()})
        if isinstance(found, np.ndarray) and found.ndim:
            return Counted.of(found, self.work)
        if isinstance(found, tuple):
            return type(found)(*(Counted.of(one, self.work) for one in found))
        return found


def _plain(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, Counted) else value


def count_ridgecv(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Make scikit-learn's leave-one-out RidgeCV compute with counted arrays."""
    from sklearn.linear_model import _ridge

    work: Work = Counter()
    prepare = _ridge._preprocess_data

    def counted(X: Any, y: Any, **options: Any) -> Any:
        made = prepare(X, y, **options)
        return Counted.of(made[0], work), Counted.of(made[1], work), *made[2:]

    monkeypatch.setattr(_ridge, "_preprocess_data", counted)
    return work


def count_own(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Count the products and decompositions of `bench_core.ridge` in numpy."""
    import array_api_compat.numpy as xp
    from scipy.linalg import blas

    from bench_core.ridge.formulas import dual, primal

    work: Work = Counter()
    matmul, dsyrk, eigh = np.matmul, blas.dsyrk, dual.eigh

    def counted_matmul(a: Any, b: Any, *rest: Any, **options: Any) -> Any:
        product(work, np.asarray(a), np.asarray(b))
        return matmul(a, b, *rest, **options)

    def counted_syrk(alpha: float, a: Any, **options: Any) -> Any:
        n, k = a.shape[::-1] if options.get("trans") else a.shape
        work["syrk"] += n * n * k
        return dsyrk(alpha, a, **options)

    def counted_eigh(K: Any) -> Any:
        work["staged"] += 9 * len(K) ** 3
        return eigh(K)

    def counted_cholesky(A: Any) -> Any:
        work["gemm"] += len(A) ** 3 / 3
        return cholesky(A)

    cholesky = np.linalg.cholesky
    monkeypatch.setattr(xp, "matmul", counted_matmul)
    monkeypatch.setattr(np, "matmul", counted_matmul)
    monkeypatch.setattr(xp.linalg, "cholesky", counted_cholesky)
    monkeypatch.setattr(blas, "dsyrk", counted_syrk)
    for module in (dual, primal):
        monkeypatch.setattr(module, "eigh", counted_eigh)
    return work


def count_himalaya(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Count the products and decompositions of himalaya's numpy backend."""
    from himalaya.backend import numpy as backend

    work: Work = Counter()
    matmul, eigh, svd = backend.matmul, backend.eigh, backend.svd

    def counted_matmul(a: Any, b: Any) -> Any:
        product(work, a, b)
        return matmul(a, b)

    def counted_eigh(K: Any) -> Any:
        work["eigh"] += 9 * len(K) ** 3
        return eigh(K)

    def counted_svd(X: Any, full_matrices: bool = True) -> Any:
        n, m = min(X.shape), max(X.shape)
        work["svd"] += 6 * m * n * n + 20 * n**3
        return svd(X, full_matrices=full_matrices)

    monkeypatch.setattr(backend, "matmul", counted_matmul)
    monkeypatch.setattr(backend, "eigh", counted_eigh)
    monkeypatch.setattr(backend, "svd", counted_svd)
    return work
