"""Cases: what they refuse, and the key that records are filed under."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench_core.errors import InputError
from bench_core.measure import FitSpec
from bench_core.records import from_json
from bench_core.records.case import Until

CASE = FitSpec(problem="parcels", strategy="ridgecv")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"nodes": 0}, "nodes is 0"),
        ({"threads": -2}, "threads is -2"),
        ({"threads": 1.5}, "threads is 1.5"),
        ({"repeats": True}, "repeats is True"),
        ({"seed": -1}, "seed is -1"),
        ({"scale": 0}, "scale is 0"),
        ({"scale": 1.01}, "scale is 1.01"),
        ({"scale": math.nan}, "scale is nan"),
        ({"dtype": "float16"}, "float16"),
        ({"split": "rows"}, "rows"),
        ({"kernels": "the fast ones"}, "the fast ones"),
        ({"null": "never"}, "never"),
        ({"alphas": ()}, "alphas is"),
        ({"alphas": (1.0, 0.0)}, "0.0"),
        ({"alphas": (1.0, math.nan)}, "nan"),
        ({"alphas": (1.0, 1)}, "alphas is"),
        ({"options": {"cv": object()}}, "JSON"),
    ],
)
def test_a_value_that_no_measurement_can_have_is_named(changes: dict, named: str) -> None:
    with pytest.raises(InputError, match=named):
        replace(CASE, **changes)


@given(
    nodes=st.integers(1, 64),
    threads=st.integers(1, 64),
    scale=st.floats(0, 1, exclude_min=True),
    seed=st.integers(0, 2**32),
    alphas=st.none() | st.lists(st.floats(1e-6, 1e6), min_size=1, unique=True).map(tuple),
    options=st.dictionaries(st.text(min_size=1), st.none() | st.integers() | st.text()),
)
def test_a_case_survives_json_and_keeps_its_key(**values: object) -> None:
    case = replace(CASE, **values)
    again = from_json(FitSpec, json.dumps(case.to_dict()), "this")
    assert again == case
    assert again.key() == case.key()


def test_only_the_suite_and_the_reason_of_the_split_are_left_out_of_the_key() -> None:
    assert replace(CASE, suite="nodes").key() == CASE.key()
    assert replace(CASE, split_reason="1 of 10 runs is held out").key() == CASE.key()
    changes = {
        "problem": "roi",
        "strategy": "mor",
        "scale": 0.5,
        "subject": "sub-02",
        "options": {"cv": 3},
        "nodes": 2,
        "threads": 2,
        "dtype": "float32",
        "split": "run",
        "seed": 1,
        "repeats": 2,
        "kernels": "best",
        "blas": "mkl",
        "alphas": (1.0,),
        "fit_intercept": False,
        "null": "skip",
        "hardware_threads": True,
        "cluster": "slurm site",
        "until": Until(0.05, 20.0),
    }
    assert set(changes) | {"suite", "split_reason"} == set(CASE.to_dict())
    keys = {replace(CASE, **{name: value}).key() for name, value in changes.items()}
    assert len(keys | {CASE.key()}) == len(changes) + 1


def test_the_key_is_the_same_on_every_machine_and_day() -> None:
    # That of a random split, as all records had it before there was a choice.
    assert replace(CASE, split="random").key() == "bc1d69c7f218f533f923"
    assert FitSpec("parcels", "ridgecv", scale=1).key() == CASE.key()


def test_options_in_another_order_are_the_same_case() -> None:
    assert (
        replace(CASE, options={"a": 1, "b": 2}).key()
        == replace(CASE, options={"b": 2, "a": 1}).key()
    )


def test_the_file_name_is_readable_and_no_path() -> None:
    case = replace(CASE, problem="/data/my problem/", nodes=2, threads=4)
    assert case.stem == f"ridgecv-my-problem-2x4-{case.key()}"


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(InputError, match="thread"):
        from_json(FitSpec, json.dumps({**CASE.to_dict(), "thread": 1}), "this")
