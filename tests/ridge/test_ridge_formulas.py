"""The pure functions against their formulas, written out with inverses and loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench_core.ridge.arrays.backend import mirror
from bench_core.ridge.formulas import dual, primal
from bench_core.ridge.formulas import quadratic_forms as quadratic
from bench_core.ridge.formulas.centering import centred, column_means, double_centre
from bench_core.ridge.formulas.scores import best, mean_over_targets, pearson

ALPHAS = np.array([0.3, 2.0, 15.0, 90.0, 400.0])


def explicit_loo_squares(X, Y, alpha, intercept):
    """Sums of squared residuals per row, each row left out and predicted by a fit to the rest."""
    result = np.empty(len(X))
    for i in range(len(X)):
        A, B = np.delete(X, i, 0), np.delete(Y, i, 0)
        a, b = (A.mean(0), B.mean(0)) if intercept else (0.0, 0.0)
        A, B = A - a, B - b
        W = np.linalg.solve(A.T @ A + alpha * np.eye(X.shape[1]), A.T @ B)
        result[i] = np.sum((Y[i] - b - (X[i] - a) @ W) ** 2)
    return result


@settings(max_examples=60, deadline=None)
@example(n=3, m=3, r=5, seed=11, spectrum="spread")
@given(
    n=st.integers(1, 40),
    m=st.integers(1, 300),
    r=st.integers(1, 20),
    seed=st.integers(0, 2**31),
    spectrum=st.sampled_from(["spread", "equal", "clusters", "zero", "uniform"]),
)
def test_all_diagonals_at_once(n, m, r, seed, spectrum):
    rng = np.random.default_rng(seed)
    w = {
        "spread": np.sort(10 ** rng.uniform(-3, 5, m)),
        "equal": np.full(m, 7.0),
        "clusters": np.sort(rng.choice([1e-3, 1.0, 50.0, 4e3], m) * (1 + 1e-7 * rng.random(m))),
        "zero": np.r_[np.zeros(m // 2), np.sort(rng.uniform(0, 1e4, m - m // 2))],
        "uniform": np.sort(rng.uniform(1e3, 4e3, m)),
    }[spectrum]
    U = rng.standard_normal((n, m))
    C = rng.standard_normal((m, 3 + m // 2))
    alphas = 10 ** rng.uniform(-2, 4, r)
    d = quadratic.damping(w, alphas)
    expected = [((U * row) @ C * ((U * row) @ C)).sum(axis=1) for row in d]
    found = quadratic.quadratic_diagonals(U, C @ C.T, w, d, alphas)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    f = 3.0 * d
    found = quadratic.quadratic_diagonals(U.astype("f4"), (C @ C.T), w, f, alphas)
    assert found.dtype == np.float64
    value = 9 * np.sum(expected, axis=1)
    error = np.abs(found.sum(axis=1) - value)
    # Every pair of eigenvalues is a difference, whose rounding the gap between the two magnifies.
    gap, top = np.abs(w[:, None] - w), np.maximum(w[:, None], w)
    least = quadratic.APART[4] * (top + alphas.max())
    pairs = (np.abs(U).T @ np.abs(U)) * np.abs(C @ C.T)
    sizes = [
        (pairs * np.outer(row, row) * np.maximum((top + alpha) / np.maximum(gap, least), 1)).sum()
        for row, alpha in zip(f, alphas, strict=True)
    ]
    assert (error <= 8 * 2.0**-24 * np.asarray(sizes)).all()
    # Of all n: where terms of both signs do not cancel, as they may in the sum of few rows.
    terms = np.array([(pairs * np.outer(row, row)).sum() for row in f])
    whole = terms <= 3 * value
    np.testing.assert_allclose(found.sum(axis=1)[whole], value[whole], rtol=2e-5)


def test_congruence_and_mirror():
    rng = np.random.default_rng(0)
    V, G = rng.standard_normal((700, 600)), rng.standard_normal((700, 700))
    G += G.T
    np.testing.assert_allclose(quadratic.congruence(V, G), V.T @ G @ V, rtol=1e-9, atol=1e-8)
    np.testing.assert_array_equal(mirror(np.tril(G), tile=64), G)


@pytest.mark.parametrize("intercept", [True, False])
def test_dual_blocks_add_up_to_left_out_fits(intercept):
    rng = np.random.default_rng(1)
    X, Y = rng.standard_normal((12, 30)) + 1, rng.standard_normal((12, 9)) + 2
    total = None
    for columns in (slice(4, 9), slice(0, 4)):
        total = dual.target_gram(Y[:, columns], total)
    G = mirror(total)
    means = column_means(X) if intercept else None
    Xc = centred(X, means, np.float64)
    if intercept:
        G = double_centre(G)
    eigen = dual.factorise(dual.gram(Xc), intercept=intercept)
    found = dual.loo_squares(eigen, G, ALPHAS)
    expected = [explicit_loo_squares(X, Y, alpha, intercept) for alpha in ALPHAS]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("crossed", [7, 512])
def test_primal_blocks_add_up_to_left_out_fits(intercept, crossed, monkeypatch):
    monkeypatch.setattr(primal, "CROSSED", crossed)  # several blocks of rows, or all in one
    rng = np.random.default_rng(2)
    X, Y = rng.standard_normal((30, 8)) + 1, rng.standard_normal((30, 9)) + 2
    Xc = centred(X, column_means(X) if intercept else None, np.float64)
    Yc = centred(Y, column_means(Y) if intercept else None, np.float64)
    eigen = primal.factorise(primal.covariance(Xc))
    Q = primal.rotate(Xc.copy(), eigen)
    f = primal.filters(eigen, ALPHAS)
    sums = primal.error_sums(Q, f, Yc[:, :4], Q.T @ Yc[:, :4])
    sums += primal.error_sums(Q, f, Yc[:, 4:], Q.T @ Yc[:, 4:])
    rest = primal.complement_of_leverage(Q, f, intercept=intercept)
    found = primal.loo_squares(Q, eigen, sums, ALPHAS, rest)
    expected = [explicit_loo_squares(X, Y, alpha, intercept) for alpha in ALPHAS]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_solutions_are_the_normal_equations():
    rng = np.random.default_rng(3)
    X, Y = rng.standard_normal((15, 40)), rng.standard_normal((15, 6))
    expected = np.linalg.solve(X.T @ X + 2.5 * np.eye(40), X.T @ Y)
    eigen = dual.factorise(X @ X.T, intercept=False)
    np.testing.assert_allclose((Y.T @ dual.solution(X, eigen, 2.5)).T, expected, atol=1e-12)
    new = rng.standard_normal((4, 40))
    N = dual.hat_rows(new @ X.T @ eigen.V, eigen, 2.5)
    np.testing.assert_allclose(N @ Y, new @ expected, atol=1e-11)


def test_the_constant_vector_is_kept_apart_from_other_null_vectors():
    rng = np.random.default_rng(4)
    X = centred(rng.standard_normal((20, 3)), np.zeros(3), np.float64)
    X -= X.mean(axis=0)
    eigen = dual.factorise(dual.gram(X), intercept=True)
    assert eigen.V.shape == (20, 19)
    np.testing.assert_allclose(eigen.V.sum(axis=0), 0, atol=1e-12)
    assert (eigen.w == 0).sum() == 16


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pearson_is_numpys(dtype):
    rng = np.random.default_rng(5)
    Y, Z = rng.standard_normal((2, 50, 6)).astype(dtype) + 1000
    Y[:, 2] = 0.1
    Z[:, 4] = -3.3
    found = pearson(Y, Z)
    for j in range(6):
        if j in (2, 4):
            assert np.isnan(found[j])
        else:
            expected = np.corrcoef(Y[:, j].astype(float), Z[:, j].astype(float))[0, 1]
            assert found[j] == pytest.approx(expected, abs=1e-12 if dtype == "float64" else 2e-4)


def test_undefined_scores_are_left_out():
    nan = np.nan
    scores = np.array([[1.0, nan, 3.0], [nan, nan, nan], [5.0, nan, 6.0]])
    np.testing.assert_array_equal(mean_over_targets(scores), [2.0, nan, 5.5])
    np.testing.assert_array_equal(best(scores), [2, 0, 2])
    np.testing.assert_array_equal(best(np.array([[1.0, 2.0], [1.0, 3.0]])), [0, 1])


def test_means_and_centring_keep_their_digits():
    X = np.random.default_rng(6).standard_normal((500, 4))
    X += np.array([0, 1e3, 1e8, -1e12])
    np.testing.assert_allclose(column_means(X), X.mean(axis=0), rtol=1e-15)
    G = X[:, :2] @ X[:, :2].T
    Z = X[:, :2] - X[:, :2].mean(axis=0)
    np.testing.assert_allclose(double_centre(G), Z @ Z.T, atol=1e-6)
