"""The eigendecomposition by stages against its definition and numpy's eigenvalues."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from bench_core.ridge.arrays import eigh as eigensystem

EPS = np.finfo(np.float64).eps

KINDS = {
    "dense": lambda rng, n: rng.standard_normal((n, n)),
    "gram": lambda rng, n: (lambda A: A @ A.T)(rng.standard_normal((n, n + 3))),
    "rank one third": lambda rng, n: (lambda A: A @ A.T)(rng.standard_normal((n, n // 3 + 1))),
    "steep": lambda rng, n: (lambda A: A @ A.T)(
        rng.standard_normal((n, n)) * 10.0 ** -np.linspace(0, 7, n)
    ),
    # No reflection is needed at all, or only some.
    "diagonal": lambda rng, n: np.diag(rng.standard_normal(n)),
    "identity": lambda rng, n: np.eye(n),
    "zero": lambda rng, n: np.zeros((n, n)),
    "tridiagonal": lambda rng, n: np.diag(rng.standard_normal(n)) + np.eye(n, k=1),
    "blocks": lambda rng, n: linalg.block_diag(
        rng.standard_normal((n // 2, n // 2)), 1e-9 * rng.standard_normal((n - n // 2,) * 2)
    ),
}


def symmetric(kind, n, scale=1.0, seed=0):
    A = KINDS[kind](np.random.default_rng(seed), n) * scale
    return np.tril(A) + np.tril(A, k=-1).T


def check(K):
    n = len(K)
    w, V = eigensystem.eigh(K.copy())
    norm = np.linalg.norm(K / max(np.abs(K).max(), 1e-300)) * np.abs(K).max()
    tolerance = 10 * max(n, 10) * EPS
    assert np.all(np.diff(w) >= 0)
    np.testing.assert_allclose(w, np.linalg.eigvalsh(K), rtol=0, atol=tolerance * norm)
    np.testing.assert_allclose(V.T @ V, np.eye(n), rtol=0, atol=tolerance)
    np.testing.assert_allclose(K @ V, V * w, rtol=0, atol=tolerance * norm)
    return w, V


@given(
    kind=st.sampled_from(sorted(KINDS)),
    n=st.integers(2, 40),
    group=st.sampled_from([1, 3, 8, 64]),
    scale=st.sampled_from([1.0, 1e-140, 1e140]),
    seed=st.integers(0, 9),
)
@settings(max_examples=200, deadline=None)
def test_groups_of_any_width_give_the_eigenvectors(kind, n, group, scale, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(eigensystem, "SMALL", 2)
        patch.setattr(eigensystem, "GROUP", group)
        check(symmetric(kind, n, scale, seed))


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("n", [511, 512, 641])
def test_at_the_size_where_stages_begin(kind, n):
    check(symmetric(kind, n))


def test_signs_aside_the_vectors_are_those_of_lapack_in_one_call():
    K = symmetric("gram", 600)
    w, V = check(K)
    expected_w, expected_V = linalg.eigh(K, driver="evd")
    np.testing.assert_allclose(w, expected_w, rtol=1e-9)
    gap = np.diff(w).min() / w.max()
    cosines = np.abs(np.sum(V * expected_V, axis=0))
    np.testing.assert_allclose(cosines, 1, rtol=0, atol=600 * EPS / gap)


def test_a_part_of_a_wider_array_is_decomposed_as_well():
    K = symmetric("gram", 530)
    wide = np.full((530, 540), 7.0)
    wide[:, :530] = K
    w, V = eigensystem.eigh(wide[:, :530])
    np.testing.assert_allclose(V * w @ V.T, K, rtol=0, atol=1e-12 * w[-1])
    np.testing.assert_array_equal(wide[:, 530:], 7.0)


@pytest.mark.parametrize("order", ["C", "F"])
def test_reflections_apply_whatever_the_order_of_their_vectors(order):
    K = symmetric("gram", 300)
    H, d, e, tau, _ = linalg.lapack.dsytrd(K, lower=1)
    w, Z = linalg.eigh_tridiagonal(d, e)
    V = eigensystem.reflect(H, tau, np.array(Z, order=order))
    np.testing.assert_allclose(V * w @ V.T, K, rtol=0, atol=1e-12 * w[-1])


def test_scipy_without_the_tridiagonal_driver_does_it_in_one_call(monkeypatch):
    monkeypatch.delattr(linalg.lapack, "dstevd")
    monkeypatch.setattr(eigensystem, "reflect", None)
    check(symmetric("gram", 600))


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 200])
def test_transposition_in_place(n):
    A = np.arange(n * n, dtype=float).reshape(n, n)
    expected = A.T.copy()
    assert eigensystem._transpose(A) is A
    np.testing.assert_array_equal(A, expected)
