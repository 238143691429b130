"""``bmor-shared`` on data that rounding is hard on: its nodes take the exact way together."""

from __future__ import annotations

import numpy as np
import pytest

from bench_core import strategies
from bench_core.ridge import MultiTargetRidgeCV
from tests.ridge.hard_data import make_data, right_answer


@pytest.mark.parametrize("factorise", ["one", "each"])
@pytest.mark.parametrize("cv", [None, 3])
@pytest.mark.parametrize(
    ("kind", "alpha", "exact"),
    [
        ("plain", 1.0, False),
        ("repeated rows", 1e-8, False),
        ("spectrum to 1e-12", 1e-15, True),
    ],
)
def test_answers_are_as_exact_as_in_one_process(cluster_of, kind, alpha, exact, cv, factorise):
    data = make_data(kind, (25, 300), 1.0, 1e-3, "float64", 0)
    shared = strategies.get("bmor-shared")
    model = shared([alpha], cluster=cluster_of(2), cv=cv, factorise=factorise)
    model.fit(data.X, data.Y)
    assert model.plan_.shape.exact is exact
    assert model.carried_out().settings["exact"] is exact
    answer = right_answer(data, alpha, "float64", intercept=True)
    assert (np.abs(model.predict(data.new) - answer.predictions) <= answer.allowed).all()


def test_a_film_shown_twice_gives_the_choice_of_one_process(cluster_of):
    rng = np.random.default_rng(1)
    X = 1e5 * np.repeat(rng.standard_normal((40, 300)), 2, axis=0)
    Y = X[:, :5] @ rng.standard_normal((5, 30)) / 1e5 + rng.standard_normal((80, 30))
    alphas = [1e-15, 0.1, 1e12]
    one = MultiTargetRidgeCV(alphas).fit(X, Y)
    several = strategies.get("bmor-shared")(alphas, cluster=cluster_of(2)).fit(X, Y)
    assert several.alpha_ == one.alpha_
    np.testing.assert_allclose(several.predict(X), one.predict(X), atol=1e-9)
