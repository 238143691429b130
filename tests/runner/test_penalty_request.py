"""What `bench` is asked of penalties reaches the cases of the suites, or is a reason to skip."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from bench_core.cli import cli
from bench_core.errors import InputError
from bench_core.measure import FitSpec
from bench_core.runner.penalty_request import VARIABLE, PenaltyRequest, requested
from benchmarks.accuracy import Accuracy
from benchmarks.penalty_choices import PenaltyChoices
from benchmarks.threads import Threads

requests = st.builds(
    PenaltyRequest,
    alphas=st.none() | st.lists(st.floats(1e-6, 1e6), min_size=1, unique=True).map(tuple),
    cv=st.sampled_from([None, "loo", "gcv", "run", 5]),
    scoring=st.sampled_from([None, "r2", "pearson"]),
    alpha_per_target=st.booleans(),
    extend_alphas=st.integers(0, 9),
)


@given(requests)
def test_a_request_survives_the_environment(request: PenaltyRequest) -> None:
    variables = request.environment()
    assert (requested(variables) or PenaltyRequest()) == request
    assert bool(variables) == (request != PenaltyRequest())
    # Leave-one-out is what holds without it: results are those of the plain name.
    assert bool(request.label) == (request not in (PenaltyRequest(), PenaltyRequest(cv="loo")))
    assert not set(request.label) & set("/\\ ")


def test_what_is_no_request_is_named() -> None:
    with pytest.raises(InputError, match=VARIABLE):
        requested({VARIABLE: json.dumps({"folds": 3})})
    with pytest.raises(InputError, match="alphas"):
        PenaltyRequest(alphas=(1.0, -1.0))


def test_a_case_keeps_what_its_suite_names() -> None:
    request = PenaltyRequest(alphas=(1.0, 10.0), cv="run", alpha_per_target=True)
    spec = FitSpec("parcels", "multitarget", scale=1 / 24, options={"cv": 5})
    applied = request.applied(spec)
    assert applied.options == {"cv": 5, "alpha_per_target": True}
    assert applied.penalties == (1.0, 10.0)
    assert PenaltyRequest(cv="loo").applied(spec) == spec


def test_leave_one_out_is_said_where_it_is_not_the_default() -> None:
    request = PenaltyRequest(cv="loo")
    plain = FitSpec("parcels", "multitarget", scale=1 / 24)
    assert request.applied(plain) == plain
    assert request.options_of("mor") == {}
    assert request.options_of("himalaya") == {"cv": "loo"}
    assert "leave-one-out" in str(request.unable("himalaya", 100))


def test_what_the_command_line_leaves_out_is_nothing() -> None:
    """Click gives None for options that were not given."""
    bare = PenaltyRequest(**dict.fromkeys(("alphas", "cv", "scoring", "extend_alphas")))
    assert bare == PenaltyRequest()
    asked = PenaltyRequest(cv=5, extend_alphas=None)  # type: ignore[arg-type]
    assert requested(asked.environment()) == asked


@pytest.mark.parametrize(
    ("strategy", "request_", "named"),
    [
        ("multitarget", PenaltyRequest(cv="run", alpha_per_target=True), None),
        ("ridgecv", PenaltyRequest(alphas=(1.0, 2.0)), None),
        ("ridgecv", PenaltyRequest(extend_alphas=6), "extend_alphas"),
        ("ridgecv", PenaltyRequest(cv=3, alpha_per_target=True), "alpha_per_target"),
        ("multitarget", PenaltyRequest(cv="gcv", scoring="pearson"), "pearson"),
        ("mor", PenaltyRequest(alpha_per_target=True), "alpha_per_target"),
        ("himalaya", PenaltyRequest(cv="loo"), "leave-one-out"),
    ],
)
def test_what_a_strategy_cannot_do_is_a_reason_to_skip(
    strategy: str, request_: PenaltyRequest, named: str | None
) -> None:
    found = request_.refusal(FitSpec("parcels", strategy, scale=1 / 24))
    assert (found is None) == (named is None)
    assert named is None or named in str(found)
    # The same without a problem, as `advise` asks.
    alone = request_.unable(strategy, 1000)
    assert (alone is None) == (named is None)
    assert named is None or named in str(alone)


def test_suites_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIDGEBENCH_PROFILE", "medium")
    case = ("parcels", "ridgecv", "float64")
    plain = Accuracy().case(*case)
    assert Accuracy.reason_to_skip(*case) is None
    request = PenaltyRequest(alphas=(1.0, 10.0), cv=4)
    for name, value in request.environment().items():
        monkeypatch.setenv(name, value)
    asked = Accuracy().case(*case)
    assert (asked.options, asked.alphas) == ({"cv": 4}, (1.0, 10.0))
    assert asked.key() != plain.key()
    assert Accuracy.reason_to_skip(*case) is None
    # A way that names its folds keeps them.
    way = PenaltyChoices().case("multitarget, 10 folds", "whole-brain-bmor", "1/24", 1)
    assert way.options["cv"] == 10
    for name, value in PenaltyRequest(extend_alphas=3).environment().items():
        monkeypatch.setenv(name, value)
    reason = Accuracy.reason_to_skip(*case)
    assert reason is not None
    assert "extend_alphas" in reason


def test_the_thesis_split_is_said_in_every_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIDGEBENCH_PROFILE", "medium")
    assert Accuracy().case("haxby2001", "ridgecv", "float64").split == "run"
    for suite in (Accuracy, PenaltyChoices, Threads):
        values = [grid[0] for grid in suite.params]
        if "haxby2001" not in values:
            assert suite().case(*values).split == "random"


@pytest.mark.parametrize(
    ("options", "named"),
    [(["--cv", "1"], "'1'"), (["--alphas", "1,0"], "0.0"), (["--scoring", "r3"], "r3")],
)
def test_bench_refuses_what_no_fit_can_use(options: list[str], named: str) -> None:
    result = CliRunner().invoke(cli, ["bench", *options])
    text = str(result.exception) if isinstance(result.exception, InputError) else result.output
    assert result.exit_code != 0
    assert named in text
