"""Candidate penalties as text, and options as words of `ridgebench fit`."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench_core.cli.parameters import Numbers, Option
from bench_core.penalties import THESIS_ALPHAS, log_spaced, penalties_text
from bench_core.records.fit_words import option_words

penalties = st.floats(1e-12, 1e12)


@given(st.lists(penalties, min_size=1, max_size=12, unique=True).map(tuple))
def test_any_candidates_are_read_as_they_were(alphas: tuple[float, ...]) -> None:
    assert Numbers().convert(penalties_text(alphas), None, None) == alphas


@given(penalties, penalties, st.integers(2, 40))
def test_log_spaced_candidates_are_a_constant_factor_apart(
    first: float, last: float, count: int
) -> None:
    found = log_spaced(first, last, count)
    np.testing.assert_allclose(found, np.geomspace(first, last, count), rtol=1e-11)
    assert (found[0], found[-1]) == (first, last)
    text = penalties_text(found)
    assert Numbers().convert(text, None, None) == found
    assert ":" in text or count < 4


@pytest.mark.parametrize(
    "values", [(0.0, 1.0, 3), (1.0, -1.0, 3), (1.0, math.inf, 3), (1.0, 2.0, 1)]
)
def test_what_cannot_be_spaced_is_refused(values: tuple[float, float, int]) -> None:
    with pytest.raises(ValueError, match=str(values[2])):
        log_spaced(*values)


values = st.one_of(
    st.text(st.characters(codec="ascii"), max_size=8),
    st.integers(-9, 9),
    st.booleans(),
    st.none(),
    st.lists(st.integers(0, 5), max_size=3),
)


@given(values)
def test_a_value_is_read_as_it_was(value: object) -> None:
    """Texts that look like numbers, lists or None stay texts."""
    flag, text = option_words({"backend": value})
    assert flag == "--option"
    assert Option().convert(text, None, None) == ("backend", value)


def test_what_holds_anyway_has_no_word() -> None:
    assert option_words({}, THESIS_ALPHAS) == []
    plain = {"alpha_per_target": False, "extend_alphas": 0, "coef": "file"}
    assert option_words(plain, tuple(map(float, THESIS_ALPHAS))) == []
