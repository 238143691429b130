"""When a choice of a penalty can be trusted: limits by the precision of the products."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench_core.ridge import MultiTargetRidgeCV
from bench_core.ridge.solvers.penalty_scores import Scores
from bench_core.ridge.solvers.trust import MOST_ERROR, Method, remedy, too_inexact
from tests.ridge.hard_data import Data, right_answer, share_of_allowed


def scores(*errors: float) -> Scores:
    """Return scores whose first penalty is the best by far, with these errors."""
    r = len(errors)
    shared = -np.arange(1.0, r + 1)
    return Scores(shared, None, np.ones(r), np.arange(1.0, r + 1) / (r + 1), np.array(errors))


@pytest.mark.parametrize(
    ("dtype", "error", "found"),
    [
        ("float64", 0.9e-6, None),
        ("float64", 1.1e-6, "exact"),
        ("float32", 1.1e-6, None),
        ("float32", 0.9e-4, None),
        ("float32", 1.1e-4, "exact"),
    ],
)
@pytest.mark.parametrize("per_target", [False, True])
def test_the_square_of_x_is_exact_enough_to_the_limit_of_the_precision(
    dtype: str, error: float, found: str | None, per_target: bool
) -> None:
    method = Method(np.dtype(dtype))
    chosen = np.zeros(3, np.intp) if per_target else None
    assert remedy(scores(error, 1e-12), method, "each", chosen) == found
    joint = None if found is None else "separate"
    assert remedy(scores(error, 1e-12), method, "each", chosen, joint=True) == joint
    assert too_inexact(error, method) == (found is not None)
    # What is decomposed exactly is not decomposed again.
    exact = Method(np.dtype(np.float64), exact=True)
    assert remedy(scores(error, 1e-12), exact, "each", chosen) is None


def test_the_limits_are_those_of_the_docs() -> None:
    assert MOST_ERROR == {"float32": 1e-4, "float64": 1e-6}


@pytest.mark.parametrize(("t", "p", "solver"), [(100, 25, "primal"), (30, 60, "dual")])
@pytest.mark.parametrize(("dtype", "exact"), [("float32", False), ("float64", True)])
def test_float32_keeps_to_the_square_where_float64_does_not(
    t: int, p: int, solver: str, dtype: str, exact: bool
) -> None:
    """One singular value of 1e-5 among those of 0.3 to 1: 1/(w + λ) is known to about 1e-5."""
    rng = np.random.default_rng(0)
    n = min(t, p)
    U, _ = np.linalg.qr(rng.standard_normal((t, n)))
    V, _ = np.linalg.qr(rng.standard_normal((p, n)))
    X = (U * np.append(np.geomspace(1, 0.3, n - 1), 1e-5)) @ V.T
    Y = X @ rng.standard_normal((p, 4)) + 0.3 * rng.standard_normal((t, 4))
    data = Data(X.astype(dtype), Y.astype(dtype), X[:5].astype(dtype) * 1.1)
    alpha = 1e-12
    options: dict[str, Any] = {"solver": solver, "cv": 3, "fit_intercept": False}
    model = MultiTargetRidgeCV([alpha], **options)
    answer = right_answer(data, alpha, dtype, intercept=False)
    assert share_of_allowed(data, answer, model) <= 1
    assert model.plan_.shape.exact == exact
