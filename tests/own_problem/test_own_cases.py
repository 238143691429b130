"""Cases of a sweep of one's own problem: what there is, what cannot be, and the order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench_core import strategies
from bench_core.data import Problem
from bench_core.errors import InputError, UnknownNameError
from bench_core.fitting.sources import ProblemSource
from bench_core.own_problem.cases import SweepCase, in_order, make_cases
from bench_core.own_problem.problem import OwnProblem, open_problem
from bench_core.own_problem.request import SweepRequest
from bench_core.runner.penalty_request import PenaltyRequest
from bench_core.runner.spec import FitSpec

HAXBY = ProblemSource("haxby2001")


@pytest.fixture
def haxby(tmp_path: Path) -> OwnProblem:
    return open_problem(HAXBY, tmp_path)


def test_every_combination_is_there_once(haxby: OwnProblem) -> None:
    names = ("ridgecv", "bmor", "bmor-shared")
    cases, refused = make_cases(haxby, SweepRequest(HAXBY, strategies=names), 4)
    found = {(one.spec.strategy, one.spec.nodes, one.spec.threads) for one in cases}
    expected = {("ridgecv", 1, n) for n in (1, 2, 4)}
    fits = {(c, n) for c in (1, 2, 4) for n in (1, 2, 4) if c * n <= 4}
    expected |= {(name, *one) for name in names[1:] for one in fits}
    assert found == expected
    assert len(cases) == len(expected)
    assert {one.case for one in refused} == {"2 × 4", "4 × 2", "4 × 4"}
    assert all(one.cost is not None for one in cases)
    references = {(one.spec.strategy, one.spec.threads) for one in cases if one.reference}
    assert references == {("ridgecv", 1), ("ridgecv", 4)}


def test_what_was_asked_for_is_taken_and_references_are_added(haxby: OwnProblem) -> None:
    request = SweepRequest(
        HAXBY, strategies=("multitarget",), nodes=(1, 2), threads=(2,), dtypes=("float32",)
    )
    cases, refused = make_cases(haxby, request, 2)
    assert [one.text for one in cases] == [
        "multitarget 1×2 float32",
        "ridgecv 1×1 float32",
        "ridgecv 1×2 float32",
    ]
    assert refused == []


def test_strategies_that_cannot_choose_penalties_so_are_named(haxby: OwnProblem) -> None:
    request = SweepRequest(HAXBY, penalty=PenaltyRequest(cv="gcv"), threads=(1,), nodes=(1,))
    cases, refused = make_cases(haxby, request, 1)
    able = {"multitarget", "bmor-shared"}
    assert able <= {one.spec.strategy for one in cases}
    assert all(one.spec.options == {"cv": "gcv"} for one in cases)
    without = {name for name in strategies.names() if "cv" not in strategies.get(name).supports}
    assert {one.case for one in refused} >= without & {"mor"}


def test_nothing_that_can_run_is_an_error_with_the_reason(haxby: OwnProblem) -> None:
    with pytest.raises(InputError) as caught:
        make_cases(haxby, SweepRequest(HAXBY, threads=(8,)), 2)
    assert "2 cores" in str(caught.value)


@pytest.mark.parametrize(
    ("values", "error", "named"),
    [
        ({"strategies": ("ridge",)}, UnknownNameError, "ridgecv"),
        ({"blas": ("mlk",)}, UnknownNameError, "mkl"),
        ({"dtypes": ("float16",)}, UnknownNameError, "float32"),
        ({"nodes": (0,)}, InputError, "nodes"),
        ({"within_s": 0.0}, InputError, "within"),
    ],
)
def test_a_wrong_request_names_the_value(
    values: dict[str, Any], error: type[Exception], named: str
) -> None:
    with pytest.raises(error) as caught:
        SweepRequest(HAXBY, **values)
    assert named in str(caught.value)


CASES = [
    SweepCase(FitSpec("parcels", "ridgecv"), None, reference=True),
    SweepCase(FitSpec("parcels", "ridgecv", threads=2), None, reference=True),
    *(SweepCase(FitSpec("parcels", "bmor", nodes=n), None) for n in (1, 2)),
    *(SweepCase(FitSpec("parcels", "multitarget", threads=n), None) for n in (1, 2)),
]


@given(st.lists(st.floats(0.01, 100), min_size=6, max_size=6, unique=True))
def test_the_best_comes_first_then_the_references_then_by_time(seconds: list[float]) -> None:
    predicted = dict(zip((one.text for one in CASES), seconds, strict=True))
    ordered = in_order(CASES, lambda case: predicted[case.text])
    assert sorted(one.text for one in ordered) == sorted(one.text for one in CASES)
    same = [one for one in CASES if one.ridgecv_answer]
    assert ordered[0] == min(same, key=lambda one: predicted[one.text])
    places = [ordered.index(one) for one in CASES[:2]]
    assert max(places) <= 2
    rest = [one for one in ordered[1:] if not one.reference]
    assert rest == sorted(rest, key=lambda one: predicted[one.text])


def test_unknown_costs_come_last() -> None:
    ordered = in_order(CASES, lambda case: 1.0 if case.spec.strategy == "bmor" else None)
    assert ordered[0].ridgecv_answer
    assert [one.spec.strategy for one in ordered[2:4]] == ["bmor", "bmor"]


def test_array_files_become_a_folder_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "X.npy", rng.standard_normal((60, 5)))
    np.save(tmp_path / "bold.npy", rng.standard_normal((60, 3)).astype(np.float32))
    np.savetxt(tmp_path / "runs.txt", np.repeat([1, 2, 3], 20), fmt="%d")
    x, y, runs = (str(tmp_path / name) for name in ("X.npy", "bold.npy", "runs.txt"))
    source = ProblemSource(x=x, y=y, runs=runs)
    first = open_problem(source, tmp_path / "state")
    assert (first.name, first.t, first.p, first.s, first.run_count) == ("bold", 60, 5, 3, 3)
    assert first.dtype == "float64"
    assert first.words == ("--x", x, "--y", y, "--runs", runs)
    stored = Problem.open(first.reference)
    np.testing.assert_array_equal(stored.X, np.load(x))
    assert open_problem(source, tmp_path / "state") == first
    np.save(tmp_path / "X.npy", rng.standard_normal((61, 5))[1:])
    again = open_problem(source, tmp_path / "state")
    assert again.digest != first.digest
    np.testing.assert_array_equal(Problem.open(again.reference).X, np.load(x))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        open_problem(ProblemSource(x="nowhere.npy", y="nowhere.npy"), tmp_path)
    assert "nowhere.npy" in str(caught.value)
