"""Feature spaces: how they are said, that they cover X, and that a problem keeps them."""

from __future__ import annotations

import numpy as np
import pytest

from bench_core.data import FeatureSpaces, Problem
from bench_core.errors import InputError


def problem(feature_spaces=None):
    rng = np.random.default_rng(0)
    return Problem.from_arrays(
        rng.random((6, 5)), rng.random((6, 3)), [1, 1, 1, 2, 2, 2], feature_spaces=feature_spaces
    )


@pytest.mark.parametrize(
    "text", ["a=2,b=3", "a=0:2,b=2:5", "b=2:5,a=0:2", "a=0:1,b=2:5,a=1:2", " a=2 , b=3"]
)
def test_text_and_values_say_the_same(text):
    spaces = FeatureSpaces.parse(text)
    assert spaces.sizes() == {"a": 2, "b": 3}
    assert [spaces.names[number] for number in spaces.numbers()] == list("aabbb")
    assert FeatureSpaces.of(spaces.to_json()) == spaces


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a=",
        "=3",
        "a=x",
        "a=1:2:3",
        "a=0",
        "a=3,a=2",
        "a=0:2,b=3",
        "a=2:1",
        "a=1:3",
        "a=0:2,b=1:3",
        "a=-1:2",
    ],
)
def test_text_that_names_no_spaces_is_refused(text):
    with pytest.raises(InputError):
        FeatureSpaces.parse(text)


@pytest.mark.parametrize(
    "value", [None, [1], {"a": "3"}, {"a": [[0]]}, {"a": [3, 4]}, {}, {"a": True}]
)
def test_values_that_are_no_spaces_are_refused(value):
    with pytest.raises(InputError):
        FeatureSpaces.of(value)


def test_delayed_spaces_are_those_of_delayed_features():
    from bench_core.data import delayed

    spaces = FeatureSpaces.parse("a=2,b=1")
    X = np.tile(spaces.numbers(), (9, 1)).astype(float)
    wide = delayed(X, np.zeros(9, int), delays=(1, 2, 3))
    assert np.array_equal(wide[-1], spaces.delayed(3).numbers())


def test_a_problem_keeps_its_spaces(tmp_path):
    spaces = FeatureSpaces.parse("a=2,b=3")
    whole = problem(spaces)
    whole.save(tmp_path / "problem")
    assert Problem.open(tmp_path / "problem").feature_spaces == spaces
    assert whole.select_rows(np.array([0, 3])).feature_spaces == spaces
    assert problem().feature_spaces is None


def test_a_problem_s_spaces_are_of_its_features():
    with pytest.raises(InputError):
        problem(FeatureSpaces.parse("a=2,b=4"))
