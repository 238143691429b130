"""Wrong words to `ridgebench bench` are refused before an environment is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench_core.errors import InputError, UnknownNameError
from bench_core.report.bench_request import (
    benchmark_names,
    check_arguments,
    check_profile,
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
