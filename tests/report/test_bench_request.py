"""Wrong words to `ridgebench bench` are refused before an environment is built."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench_core.errors import InputError, UnknownNameError
from bench_core.report.bench_request import (
    benchmark_names,
    check_arguments,
    check_profile,
    is_selected,
    selected_patterns,
    selection_variable,
    suites_of,
)

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

pytest.importorskip("asv", reason="asv is not installed (extra: bench)")


@pytest.mark.parametrize("name", ["small", "medium", "full"])
def test_profiles_that_exist_pass(name: str) -> None:
    check_profile(BENCHMARKS, name)


def test_a_wrong_profile_offers_near_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"medum.*'medium'"):
        check_profile(BENCHMARKS, "medum")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--bench", "kernels"],
        ["--bench", "Solvers", "--show-stderr"],
        ["--bench=threads.Threads.track_time"],
        ["--bench", r"solvers\.Solvers\.track_time\(.*whole"],
        ["--quick", "-E", "existing"],
    ],
)
def test_what_asv_knows_passes(arguments: list[str]) -> None:
    check_arguments(arguments, BENCHMARKS)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--bnech", "X"], "'--bench'"),
        (["--bench", "kernles"], "'kernels'"),
        (["--bench", "Solver[s"], "regular expression"),
        (["main~3..main"], "main~3..main"),
        (["--steps", "many"], "steps"),
    ],
)
def test_wrong_words_are_named_with_a_remedy(arguments: list[str], named: str) -> None:
    with pytest.raises((InputError, UnknownNameError)) as caught:
        check_arguments(arguments, BENCHMARKS)
    assert named in str(caught.value)
    assert caught.value.exit_code == 2


def test_names_are_those_that_asv_finds() -> None:
    names = set(benchmark_names(BENCHMARKS))
    assert "solvers.Solvers.track_time" in names
    assert {name.partition(".")[0] for name in names} == {
        path.stem for path in BENCHMARKS.glob("*.py") if path.stem not in ("__init__", "common")
    }


def test_suites_that_patterns_name() -> None:
    assert suites_of(["Threads", r"solvers\.Solvers\.track_time\(.*whole"], BENCHMARKS) == {
        "threads",
        "solvers",
    }
    assert {"threads", "kernels", "clock"} <= suites_of([], BENCHMARKS)


@pytest.mark.parametrize(
    "patterns",
    [
        [],
        ["threads"],
        [r"Threads\.track_time\('roi', 2"],
        ["1/24", r"\('parcels', 1, "],
        [r"track_time$"],
        ["nodes"],
    ],
)
def test_parameters_are_selected_as_asv_selects_them(patterns: list[str]) -> None:
    from asv.benchmarks import Benchmarks

    from benchmarks.threads import Threads

    words = [[repr(value) for value in grid] for grid in Threads.params]
    tracks = [name for name in dir(Threads) if name.startswith("track_")]
    known = [{"name": f"threads.Threads.{name}", "params": words} for name in tracks]
    chosen = Benchmarks(SimpleNamespace(benchmark_dir=""), known, patterns)
    numbers = {one for found in chosen.benchmark_selection.values() for one in found}
    for number, parameters in enumerate(itertools.product(*Threads.params)):
        assert is_selected(Threads, parameters, patterns) == (number in numbers), parameters


def test_patterns_reach_the_suites(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import common

    monkeypatch.setenv("RIDGEBENCH_PROFILE", "small")
    monkeypatch.setattr(common, "available_cores", lambda: 2)
    everything = list(common.cases_in_turn())
    assert selected_patterns() == []
    for name, value in selection_variable([r"threads\.\w+\.track_time\('roi', 1,"]).items():
        monkeypatch.setenv(name, value)
    (case,) = common.cases_in_turn()
    assert (case.problem, case.threads, case.strategy) == ("roi", 1, "ridgecv")
    assert len(everything) > 20
