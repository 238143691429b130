"""The command `ridgebench measure`: its figures, its exit status, its errors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
from click.testing import CliRunner

from bench_core.cli.commands.measure import command
from bench_core.errors import InputError, UnknownNameError
from bench_core.measure import FitSpec, measure_overhead, run
from bench_core.records import Record, read, to_dict


@pytest.fixture(scope="module")
def arguments(
    tmp_path_factory: pytest.TempPathFactory, scratch: Path, problem_folder: Path
) -> list[str]:
    store = tmp_path_factory.mktemp("store")
    return ["ridgecv", str(problem_folder), "--store", str(store), "--scratch", str(scratch)]


def test_one_case_is_measured_printed_and_read_again(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    asked = [*arguments, "--repeats", "2", "--alphas", "1,10", "--option", "gcv_mode=svd"]
    first = CliRunner().invoke(command, asked)
    assert first.exit_code == 0, first.output
    for words in (
        "median of 2",
        "held-out r",
        "undefined for 1 target",
        "r, shuffled",
        "RidgeCV's penalty",
        "kernels",
    ):
        assert words in first.stdout
    second = CliRunner().invoke(command, [*asked, "--json"])
    record = json.loads(second.stdout)
    (path,) = Path(arguments[3]).glob("*.json")
    assert to_dict(read(Record, path)) == record
    assert record["case"]["alphas"] == [1.0, 10.0]
    assert record["case"]["options"] == {"gcv_mode": "svd"}
    # With --again it is measured anew, by what is put in its place here.
    monkeypatch.setattr(run, "_measure_now", lambda *_: replace(read(Record, path), id="0" * 32))
    third = CliRunner().invoke(command, [*asked, "--json", "--again"])
    assert json.loads(third.stdout)["id"] == "0" * 32


def test_a_refusal_has_its_own_exit_status(arguments: list[str]) -> None:
    done = CliRunner().invoke(command, [*arguments, "--threads", "4096"])
    assert done.exit_code == 3
    assert "4096 cores" in done.stdout


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--scale", "a lot"], "a lot"),
        (["--option", "gcv_mode"], "gcv_mode"),
        (["--nodes", "0"], "0"),
        (["--alphas", "1,two"], "two"),
    ],
)
def test_a_wrong_argument_is_named(arguments: list[str], more: list[str], named: str) -> None:
    done = CliRunner().invoke(command, [*arguments, *more])
    assert done.exit_code == 2
    assert named in done.output


def test_wrong_values_are_errors_for_people(arguments: list[str]) -> None:
    done = CliRunner().invoke(command, [*arguments, "--alphas", "1,0"])
    assert isinstance(done.exception, InputError)
    assert "0.0" in str(done.exception)
    done = CliRunner().invoke(command, ["ridgvc", *arguments[1:]])
    assert isinstance(done.exception, UnknownNameError)


def test_the_overhead_is_a_ratio_of_interleaved_fits(
    problem_folder: Path, scratch: Path, tmp_path: Path
) -> None:
    case = FitSpec(str(problem_folder), "ridgecv")
    found = measure_overhead(case, pairs=4, store=tmp_path, scratch=scratch, timeout=120)
    assert found.status == "ok", found.reason
    assert len(found.with_s) == len(found.without_s) == 4
    ratios = sorted(a / b for a, b in zip(found.with_s, found.without_s, strict=True))
    assert found.ratio == pytest.approx((ratios[1] + ratios[2]) / 2)
    assert found.ci95[0] <= found.ratio <= found.ci95[1]
    assert found.sampler_share > 0
    assert measure_overhead(case, pairs=4, store=tmp_path, scratch=scratch) == found
    phases = found.phases
    ratios = sorted(a / b for a, b in zip(phases.with_s, found.without_s, strict=True))
    assert phases.ratio == pytest.approx((ratios[1] + ratios[2]) / 2)
    assert phases.fastest_ratio == min(phases.with_s) / min(found.without_s)
    assert phases.entered == 3  # the fit, its check of values, and scikit-learn
    assert phases.share == pytest.approx(3 * phases.each_s / median(phases.with_s))
    assert 0 <= phases.other_share < 1
    assert 0 <= phases.deviation <= phases.most_deviation
