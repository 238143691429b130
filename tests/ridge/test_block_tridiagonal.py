"""B block-tridiagonal with K = H B Hᵀ, systems with B + λ, and fits that need no eigenvectors."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from bench_core.errors import InputError
from bench_core.ridge import GridEdgeWarning, MultiTargetRidgeCV
from bench_core.ridge.arrays import band_reduction, reflections
from bench_core.ridge.arrays.band_reduction import reduce
from bench_core.ridge.formulas import block_tridiagonal
from bench_core.ridge.formulas.block_tridiagonal import BlockTridiagonal
from bench_core.ridge.planning.flops import FitShape
from bench_core.ridge.planning.plan import make_plan
from bench_core.ridge.solvers.tridiagonal import TridiagonalSolver
from tests.ridge.planned_memory import planned_and_peak

ALPHAS = np.array([1e-3, 1.0, 1e3])


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Make panels, groups and chunks so small that every loop has several turns."""
    monkeypatch.setattr(band_reduction, "GROUP", 20)
    monkeypatch.setattr(reflections, "ROWS", 11)
    monkeypatch.setattr(band_reduction, "STRIP", 3)
    monkeypatch.setattr(band_reduction, "COMPACTED", 3)
    monkeypatch.setattr(block_tridiagonal, "ROWS", 70)


def reduced(K, block):
    """Return B, B as one matrix, and H as one."""
    diagonal, below, reflections = reduce(np.array(K), block)
    B = BlockTridiagonal(diagonal, below)
    H = np.array(np.eye(len(K)), order="F")
    reflections.rotate_back(H)  # Hᵀ
    return B, B.product(np.eye(len(K))), H.T, reflections


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    n=st.integers(1, 90),
    block=st.sampled_from([1, 3, 4, 8, 16]),
    rank=st.integers(0, 90),
    empty=st.integers(0, 5),
    scale=st.sampled_from([1e-100, 1.0, 1e100]),
    seed=st.integers(0, 2**31),
)
def test_a_matrix_is_what_its_parts_make(n, block, rank, empty, scale, seed):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, min(rank, n))) * scale**0.5
    A[rng.integers(0, n, empty)] = 0
    K = A @ A.T
    found, B, H, reflections = reduced(K, block)
    size = np.linalg.norm(K) + 1e-300
    np.testing.assert_allclose(H.T @ H, np.eye(n), atol=1e-13 * n)
    np.testing.assert_allclose(H @ (B / size) @ H.T, K / size, atol=1e-14 * n)
    np.testing.assert_array_equal(B, B.T)
    rows, columns = np.indices(B.shape)
    assert not B[np.abs(rows // block - columns // block) > 1].any()
    assert all(len(one) == block for one in found.diagonal[:-1])
    for dtype, tolerance in (("f8", 1e-12), ("f4", 1e-4)):
        X = rng.standard_normal((30, n)).astype(dtype)
        rotated = X.copy()
        reflections.rotate(rotated)
        assert rotated.dtype == dtype
        np.testing.assert_allclose(rotated, X @ H, atol=tolerance)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize(("t", "p", "block"), [(200, 40, 16), (300, 130, 10), (60, 5, 16)])
def test_leverages_and_coefficients_are_those_of_the_definition(t, p, block, dtype):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((t, p)).astype(dtype)
    K = X.astype("f8").T @ X.astype("f8")
    B, _, H, reflections = reduced(K, block)
    factors = B.shifted(ALPHAS)
    Z = X.copy()
    reflections.rotate(Z)
    h = factors.leverages(Z)
    C = rng.standard_normal((p, 3))
    for number, alpha in enumerate(ALPHAS):
        inverse = np.linalg.inv(K + alpha * np.eye(p))
        expected = np.diagonal(X @ inverse @ X.T)
        np.testing.assert_allclose(h[number], expected, atol=1e-12 if dtype == "f8" else 1e-5)
        np.testing.assert_allclose(H @ factors.solve(H.T @ C, number), inverse @ C, atol=1e-10)


@pytest.mark.parametrize("rank", [40, 25])
def test_extreme_eigenvalues_and_errors(rank):
    rng = np.random.default_rng(2)
    U, _ = np.linalg.qr(rng.standard_normal((40, 40)))
    w = np.zeros(40)
    w[:rank] = np.geomspace(1e3, 1e-3, rank)
    B = reduced((U * w) @ U.T, 8)[0]
    smallest, largest = B.extremes
    assert largest == pytest.approx(1e3, rel=0.05)
    assert smallest == (pytest.approx(1e-3, rel=0.05) if rank == 40 else 0)
    expected = 4 * np.finfo(float).eps * 1e3 / ((1e-3 if rank == 40 else 0) + ALPHAS)
    np.testing.assert_allclose(B.errors(ALPHAS), expected, rtol=0.1)
    assert BlockTridiagonal([np.zeros((4, 4))], []).extremes == (0.0, 0.0)
    with pytest.raises(np.linalg.LinAlgError):
        B.shifted(np.array([-1.0]))


def model_without(alphas, **options):
    model = MultiTargetRidgeCV(alphas, solver="primal", **options)
    model._tridiagonal, model._selection = True, "each"
    return model


def left_out_errors(X, Y, alphas, *, intercept):
    """Return mean squared errors (r, s) of explicit refits without each row."""
    errors = np.zeros((len(alphas), Y.shape[1]))
    for k, alpha in enumerate(alphas):
        for i in range(len(X)):
            A, B = np.delete(X, i, axis=0), np.delete(Y, i, axis=0)
            mean, own = (A.mean(axis=0), B.mean(axis=0)) if intercept else (0, 0)
            A, B = A - mean, B - own
            coefficients = np.linalg.solve(A.T @ A + alpha * np.eye(A.shape[1]), A.T @ B)
            errors[k] += ((X[i] - mean) @ coefficients + own - Y[i]) ** 2 / len(X)
    return errors


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    p=st.integers(2, 23),
    block=st.sampled_from([1, 2, 5, 8]),
    dtype=st.sampled_from(["f8", "f4"]),
    intercept=st.booleans(),
    width=st.sampled_from([None, 2]),
    seed=st.integers(0, 2**31),
)
def test_scores_and_coefficients_are_those_of_refits(p, block, dtype, intercept, width, seed):
    rng = np.random.default_rng(seed)
    X, alphas = rng.standard_normal((2 * p + 6, p)), [1.0, 30.0]
    Y = X @ rng.standard_normal((p, 4)) + rng.standard_normal((len(X), 4))
    Y[:, 2] = 0.5 if intercept else 0
    X, Y = X.astype(dtype), Y.astype(dtype)
    model = model_without(alphas, alpha_per_target=True, fit_intercept=intercept, batch_size=width)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", GridEdgeWarning)
        patch.setattr(TridiagonalSolver, "block", block)
        model.fit(X, Y)
    assert model.plan_.tridiagonal
    assert model.plan_.shape.dtype == X.dtype
    tolerance = 1e-9 if dtype == "f8" else 1e-4
    expected = left_out_errors(X.astype("f8"), Y.astype("f8"), alphas, intercept=intercept)
    np.testing.assert_allclose(
        -model.cv_results_["scores"], expected, rtol=tolerance, atol=tolerance
    )
    assert model.alpha_[2] == alphas[0]  # all are as good
    for j, alpha in enumerate(model.alpha_):
        fitted = Ridge(alpha, fit_intercept=intercept, solver="svd").fit(X, Y[:, j])
        np.testing.assert_allclose(model.coef_[j], fitted.coef_, atol=tolerance)


def spoilt(kind):
    """Return X (90, 30) that eigenvalues have to be known of, with these penalties, and them."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((90, 30))
    if kind == "repeated columns":
        X[:, 20:] = X[:, :10]
        return X, [1e-14, 1e-13]
    if kind == "column of zeros":
        X[:, 9] = 2
        return X, [1.0, 1e3]
    if kind == "fewer dimensions":
        return X[:, :20] @ rng.standard_normal((20, 30)), [1.0, 1e3]
    if kind == "vanishing penalty":
        return X * np.geomspace(1, 1e-7, 30), [1e-14, 1e-13]
    X[:, 3] = 0
    X[5, 3] = 1e3  # leverage 1 but for a penalty that counts beside 1e6
    return X, [1.0, 1e8]


@pytest.mark.parametrize(
    "kind",
    [
        "repeated columns",
        "column of zeros",
        "fewer dimensions",
        "vanishing penalty",
        "leverage of 1",
    ],
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_eigenvectors_are_taken_where_they_are_needed(kind, dtype, monkeypatch):
    monkeypatch.setattr(TridiagonalSolver, "block", 7)
    X, alphas = spoilt(kind)
    Y = X @ np.ones((30, 5)) + np.random.default_rng(4).standard_normal((90, 5))
    X, Y = X.astype(dtype), Y.astype(dtype)
    usual = MultiTargetRidgeCV(alphas, solver="primal")
    usual._selection, usual._tridiagonal = "each", False
    found = model_without(alphas)
    with warnings.catch_warnings(record=True) as expected:
        warnings.simplefilter("always")
        usual.fit(X, Y)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found.fit(X, Y)
    assert not found.plan_.tridiagonal
    assert found.plan_ == usual.plan_
    assert [str(one.message) for one in caught] == [str(one.message) for one in expected]
    np.testing.assert_array_equal(found.coef_, usual.coef_)


def test_what_is_not_finite_is_named():
    rng = np.random.default_rng(6)
    X, Y = rng.standard_normal((40, 6)), rng.standard_normal((40, 3))
    Y[7, 1] = np.nan
    with pytest.raises(InputError, match="row 7, column 1"):
        model_without([1.0]).fit(X, Y)


def test_coefficients_without_memory_and_into_an_array(tmp_path, monkeypatch):
    monkeypatch.setattr(TridiagonalSolver, "block", 7)
    rng = np.random.default_rng(7)
    X, Y = rng.standard_normal((90, 30)), rng.standard_normal((90, 11))
    kept = model_without(ALPHAS, batch_size=4).fit(X, Y)
    none = model_without(ALPHAS, batch_size=4, coef=None).fit(X, Y)
    file = model_without(ALPHAS, batch_size=4, coef=str(tmp_path / "coef.npy")).fit(X, Y)
    out = np.empty((11, 30))
    model_without(ALPHAS, batch_size=4).fit(X, Y, out=out)
    np.testing.assert_allclose(none.predict(X), kept.predict(X), atol=1e-12)
    np.testing.assert_array_equal(file.coef_, kept.coef_)
    np.testing.assert_array_equal(out, kept.coef_)


@pytest.mark.parametrize("shape", [(600, 200, 300), (600, 200, 20), (1500, 70, 20)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("coef", [None, "memory"])
def test_planned_memory_is_enough(shape, dtype, coef, monkeypatch):
    monkeypatch.undo()  # blocks and groups as they are
    rng = np.random.default_rng(8)
    t, p, s = shape
    X, Y = (rng.standard_normal((t, n)).astype(dtype) for n in (p, s))
    model = model_without(10.0 ** np.arange(11), batch_size=128, coef=coef)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GridEdgeWarning)
        planned, peak = planned_and_peak(model, X, Y)
    assert model.plan_.tridiagonal
    assert peak <= planned < 4 * peak + 2**21


def planned(t, p, s, **options):
    return make_plan(FitShape(t=t, p=p, s=s, r=11, dtype="float32", **options))


def test_the_plan_takes_it_where_it_costs_less():
    tall = planned(62_281, 16_384, 444)
    assert (tall.form, tall.selection, tall.tridiagonal) == ("primal", "each", True)
    assert tall.to_dict()["tridiagonal"] is True
    assert "block-tridiagonal" in str(tall)
    assert tall.useful_flops == tall.flops < planned(62_281, 16_384, 444, gcv=True, each=True).flops
    assert planned(4500, 3000, 20, each=True).tridiagonal
    assert not planned(900, 300, 20, each=True).tridiagonal  # small
    assert not planned(3100, 3000, 20, each=True).tridiagonal  # leverages are near 1
    assert not planned(600_000, 2048, 20).tridiagonal  # leverages cost more than eigenvectors
    assert not planned(62_281, 16_384, 100_000).tridiagonal  # sums over targets cost less
    for other in ({"exact": True}, {"folds": ((31_141, 31_140),) * 2}, {"gcv": True, "each": True}):
        assert not planned(62_281, 16_384, 444, **other).tridiagonal
    assert not make_plan(tall.shape, tridiagonal=False).tridiagonal
