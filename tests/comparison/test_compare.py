"""Pairs of records, and the command that compares them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bench_core.cli import cli
from bench_core.comparison.cases import measured_cases
from bench_core.comparison.pairing import pair
from bench_core.errors import InputError, UnknownNameError
from bench_core.records import EnvironmentRun
from tests.comparison.made_runs import keep, make_record

FAST = (1.0, 1.01, 0.99, 1.02, 0.98)
SLOW = tuple(2 * time for time in FAST)
DAYS = [f"2026-01-{day:02}T00:00:00Z" for day in range(1, 10)]


def _grid(factor: float = 1.0, library: str = "openblas", day: int = 0, **case: object) -> list:
    return [
        make_record(
            *(factor * threads * time for time in FAST),
            library=library,
            started=DAYS[day],
            threads=threads,
            **case,
        )
        for threads in (1, 2, 4, 8)
    ]


def _runs() -> list[EnvironmentRun]:
    """Return two environments at two commits; the second commit is newer and twice as slow."""
    return [
        EnvironmentRun("here", "aaaaaaaa", "env-o", _grid(1, day=0)),
        EnvironmentRun("here", "bbbbbbbb", "env-o", _grid(2, day=1) + _grid(1, strategy="bmor")),
        EnvironmentRun("here", "bbbbbbbb", "env-m", _grid(1, "mkl", day=1)),
    ]


def _compare(results: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["compare", *arguments, "--results", str(results)])


@pytest.mark.parametrize(
    ("arguments", "ratio"),
    [
        (("mkl", "openblas"), 2.0),
        (("openblas", "mkl"), 0.5),
        (("env-m", "env-o"), 2.0),
        (("--strategy", "bmor", "ridgecv"), 2.0),
        (("--commit", "aaaa", "bbbbbbbb11"), 2.0),
    ],
)
def test_ratios_are_the_seconds_over_the_firsts(
    tmp_path: Path, arguments: tuple[str, ...], ratio: float
) -> None:
    done = _compare(keep(tmp_path, *_runs()), *arguments, "--json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert len(found["cases"]) == 4
    assert [one["ratio"] for one in found["cases"]] == pytest.approx([ratio] * 4)
    assert found["geometric_mean"]["ratio"] == pytest.approx(ratio)
    verdict = "slower" if ratio > 1 else "faster"
    assert {one["verdict"] for one in found["cases"]} == {verdict}
    assert found["counts"][verdict] == 4


def test_a_commit_measured_later_in_part_is_not_what_is_compared() -> None:
    def at(commit: str, day: int, count: int) -> list[EnvironmentRun]:
        return [
            EnvironmentRun(
                "here",
                commit,
                f"env-{library}",
                [
                    make_record(
                        1.0,
                        1.1,
                        library=library,
                        threads=threads,
                        started=f"2026-02-{day:02}T00:00:00Z",
                    )
                    for threads in range(1, count + 1)
                ],
            )
            for library in ("openblas", "mkl")
        ]

    whole, part = at("aaaaaaaa", 1, 8), at("bbbbbbbb", 2, 3)
    for runs, commit in ((whole + part, "aaaaaaaa"), (part, "bbbbbbbb")):
        paired = pair(measured_cases(runs), "environment", "openblas", "mkl")
        assert {one.place.commit for both in paired.pairs for one in both} == {commit}
        assert any("bbbbbbbb" in note for note in paired.notes) == (commit == "aaaaaaaa")
    found = pair(measured_cases(whole + at("cccccccc", 3, 7)), "environment", "openblas", "mkl")
    assert {one.place.commit for both in found.pairs for one in both} == {"cccccccc"}


def test_machines_are_compared_at_their_common_commit(tmp_path: Path) -> None:
    runs = [*_runs(), EnvironmentRun("there", "aaaaaaaa", "env-o", _grid(3, day=5))]
    done = _compare(keep(tmp_path, *runs), "--machine", "here", "there", "--json")
    found = json.loads(done.stdout)
    assert {tuple(one["commit"]) for one in found["cases"]} == {("aaaaaaaa", "aaaaaaaa")}
    assert found["geometric_mean"]["ratio"] == pytest.approx(3)


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (("mlk", "openblas"), "'mkl'"),
        (("--strategy", "bmr", "ridgecv"), "'bmor'"),
        (("--machine", "her", "here"), "'here'"),
        (("--commit", "aaaaaaa1", "bbbbbbbb"), "'aaaaaaaa'"),
    ],
)
def test_an_unknown_name_offers_near_ones(
    tmp_path: Path, arguments: tuple[str, ...], near: str
) -> None:
    done = _compare(keep(tmp_path, *_runs()), *arguments)
    assert isinstance(done.exception, UnknownNameError)
    assert done.exception.exit_code == 2
    assert near in str(done.exception)


@pytest.mark.parametrize(
    "arguments",
    [(), ("mkl",), ("mkl", "openblas", "blis"), ("mkl", "openblas", "--commit", "aaaa", "bbbb")],
)
def test_exactly_two_things_are_compared(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert _compare(keep(tmp_path, *_runs()), *arguments).exit_code == 2


def test_the_same_name_twice_is_refused(tmp_path: Path) -> None:
    done = _compare(keep(tmp_path, *_runs()), "mkl", "mkl")
    assert isinstance(done.exception, InputError)


def test_what_has_no_pair_is_named_with_its_reason(tmp_path: Path) -> None:
    runs = [
        EnvironmentRun(
            "here",
            "aaaaaaaa",
            "env-o",
            [
                *_grid(),
                make_record(*FAST, nodes=2),
                make_record(*FAST, nodes=3),
                make_record(status="skipped", reason="too few cores", nodes=4),
            ],
        ),
        EnvironmentRun(
            "here",
            "aaaaaaaa",
            "env-m",
            [
                *_grid(library="mkl"),
                make_record(*FAST, status="invalid", reason="another BLAS", nodes=3),
                make_record(status="skipped", reason="too few cores", nodes=4),
            ],
        ),
    ]
    found = pair(measured_cases(runs), "environment", "openblas", "mkl")
    assert len(found.pairs) == 4
    two, three, four = found.unpaired
    assert "2×1" in two
    assert "not measured with mkl" in two
    assert "another BLAS" in three
    assert "too few cores" in four
    assert four.count("too few cores") == 1
    done = _compare(keep(tmp_path, *runs), "openblas", "mkl", "--fail-on", "unpaired")
    assert done.exit_code == 1
    assert "another BLAS" in done.stdout


def test_one_case_in_two_suites_or_folders_is_two_runs(tmp_path: Path) -> None:
    first = make_record(*FAST, suite="threads")
    second = make_record(*SLOW, suite="solvers")
    third = make_record(*SLOW, suite="threads", started=DAYS[3])
    runs = [EnvironmentRun("here", "aaaaaaaa", "env-o", [first, second])]
    runs.append(EnvironmentRun("here", "aaaaaaaa", "env-o", [third]))
    (one,) = measured_cases(runs)
    assert sorted(one.runs) == [FAST, SLOW, SLOW]
    # The same record twice is one run.
    (one,) = measured_cases([*runs, runs[0]])
    assert len(one.runs) == 3


def test_a_name_of_two_environments_is_the_one_with_default_kernels_or_refused() -> None:
    runs = [
        EnvironmentRun("here", "aaaaaaaa", f"x-KERNELS{kernels}", _grid())
        for kernels in ("default", "best", "haswell")
    ]
    runs.append(EnvironmentRun("here", "aaaaaaaa", "env-m", _grid(library="mkl")))
    found = pair(measured_cases(runs), "environment", "mkl", "openblas")
    assert {second.place.environment for _, second in found.pairs} == {"x-KERNELSdefault"}
    (note,) = found.notes
    assert "x-KERNELSbest" in note
    chosen = pair(measured_cases(runs), "environment", "mkl", "openblas best")
    assert {second.place.environment for _, second in chosen.pairs} == {"x-KERNELSbest"}
    with pytest.raises(InputError, match="x-KERNELSbest"):
        pair(measured_cases(runs[1:]), "environment", "mkl", "openblas")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("mkl", "openblas"), 0),
        (("mkl", "openblas", "--fail-on", "slower"), 1),
        (("openblas", "mkl", "--fail-on", "slower"), 0),
        (("openblas", "mkl", "--fail-on", "slower", "--fail-on", "cannot-tell"), 0),
    ],
)
def test_the_exit_status_is_what_fail_on_asks_for(
    tmp_path: Path, arguments: tuple[str, ...], status: int
) -> None:
    assert _compare(keep(tmp_path, *_runs()), *arguments).exit_code == status


def test_the_answer_is_the_last_line_of_a_screen(tmp_path: Path) -> None:
    many = [
        EnvironmentRun(
            "here",
            "aaaaaaaa",
            f"env-{library}",
            [
                record
                for seed in range(6)
                for record in _grid(1, library, problem={"seed": seed, "name": f"p{seed}"})
            ],
        )
        for library in ("mkl", "openblas")
    ]
    done = _compare(keep(tmp_path, *many), "mkl", "openblas")
    lines = done.stdout.splitlines()
    assert len(lines) <= 24
    assert lines[-1].startswith("openblas")
    assert "24 no difference" in lines[-1]
    assert len(_compare(tmp_path, "mkl", "openblas", "--all").stdout.splitlines()) > 24


def test_names_are_no_markup_in_markdown(tmp_path: Path) -> None:
    hostile = "[b]<img src=x>|`"
    runs = [
        EnvironmentRun("here", "aaaaaaaa", "env-o", _grid(problem={"name": hostile})),
        EnvironmentRun(
            "here", "aaaaaaaa", "env-m", _grid(library="mkl", problem={"name": hostile})
        ),
    ]
    text = _compare(keep(tmp_path, *runs), "mkl", "openblas", "--markdown").stdout
    assert "\\<img src=x\\>" in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1


def test_a_folder_without_records_is_named(tmp_path: Path) -> None:
    done = _compare(tmp_path, "mkl", "openblas")
    assert isinstance(done.exception, InputError)
    assert str(tmp_path) in str(done.exception)
