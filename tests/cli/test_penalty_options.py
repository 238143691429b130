"""How the penalty is chosen, from the command line: the same options in every command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import GridSearchCV, PredefinedSplit

from bench_core.cli import cli
from bench_core.cli.parameters import Numbers
from bench_core.errors import RidgebenchError
from bench_core.records import Record, read


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def numbers(text: str) -> tuple[float, ...]:
    return Numbers().convert(text, None, None)


@given(st.integers(-6, 6), st.integers(1, 8), st.integers(2, 30))
def test_a_range_is_log_spaced_with_its_ends_as_they_are_written(
    low: int, span: int, n: int
) -> None:
    found = numbers(f"1e{low}:1e{low + span}:{n}")
    expected = np.logspace(low, low + span, n)
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert (found[0], found[-1]) == (float(f"1e{low}"), float(f"1e{low + span}"))
    if n - 1 == span:  # decades come out as they are written
        assert found == tuple(float(f"1e{i}") for i in range(low, low + span + 1))


def test_ranges_stand_beside_numbers() -> None:
    assert numbers("0.5,1:100:3,1e4") == (0.5, 1.0, 10.0, 100.0, 1e4)
    assert numbers("100:1:3") == (100.0, 10.0, 1.0)


@pytest.mark.parametrize("text", ["1:2", "0:10:3", "1:10:1", "1:inf:3", "1:10:x", "1:2:3:4", "a"])
def test_what_is_no_range_is_refused_with_an_example(text: str) -> None:
    result = run("plan", "multitarget", "-t", "9", "-p", "3", "-s", "2", "--alphas", text)
    assert result.exit_code == 2
    assert repr(text) in result.output


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with X, Y and runs of unequal length; targets want different penalties."""
    folder = tmp_path_factory.mktemp("arrays")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 8))
    Y = X @ rng.standard_normal((8, 6)) * 2.0 ** np.arange(-4, 2) + rng.standard_normal((90, 6))
    np.save(folder / "X.npy", X)
    np.save(folder / "Y.npy", Y)
    np.save(folder / "runs.npy", np.repeat([1, 2, 3, 4], [20, 30, 25, 15]))
    return folder


def fit(arrays: Path, out: Path, *options: str) -> tuple[Record, np.ndarray]:
    result = run(
        "fit", *options[:1], "--x", str(arrays / "X.npy"), "--y", str(arrays / "Y.npy"),
        "--runs", str(arrays / "runs.npy"), "--out", str(out), "--no-figures", "--threads", "1",
        "--split", "run", *options[1:],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return read(Record, out / "record.json"), np.load(out / "penalty.npy")


def training(arrays: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    runs = np.load(arrays / "runs.npy")
    rows = runs < 4  # the last tenth of the runs, rounded up, is held out
    return np.load(arrays / "X.npy")[rows], np.load(arrays / "Y.npy")[rows], runs[rows]


def test_fit_by_run_with_a_penalty_per_target(arrays: Path, tmp_path: Path) -> None:
    grid = ("--alphas", "1e-2:1e4:7")
    record, penalty = fit(
        arrays, tmp_path / "out", "multitarget", "--cv", "run", "--alpha-per-target", *grid
    )
    X, Y, runs = training(arrays)
    alphas = np.logspace(-2, 4, 7)
    for j in range(6):
        search = GridSearchCV(
            Ridge(), {"alpha": alphas}, cv=PredefinedSplit(runs), scoring="r2"
        ).fit(X, Y[:, j])
        assert penalty[j] == pytest.approx(search.best_params_["alpha"])
    assert record.case.options["cv"] == "run"
    assert record.case.options["alpha_per_target"] is True
    assert record.penalty is not None
    assert record.penalty.scope == "target"
    assert sum(record.penalty.counts) == 6
    assert record.plan is not None
    assert "3 folds" in record.plan.settings.get("text", "3 folds")


def test_fit_with_a_grid_that_extends_itself(arrays: Path, tmp_path: Path) -> None:
    record, penalty = fit(
        arrays, tmp_path / "out", "multitarget", "--alphas", "1e-3,1e-2", "--extend-alphas"
    )
    X, Y, _ = training(arrays)
    expected = RidgeCV(np.logspace(-9, 4, 14)).fit(X, Y).alpha_
    assert penalty == pytest.approx(np.full(6, expected))
    assert record.penalty is not None
    assert record.penalty.tried is not None
    assert max(record.penalty.tried) == pytest.approx(10 * expected)
    assert (record.penalty.smallest, record.penalty.largest) == (0, 0)
    assert record.warnings == ()


def test_summary_and_record_name_the_edge(arrays: Path, tmp_path: Path) -> None:
    record, _ = fit(arrays, tmp_path / "out", "ridgecv", "--alphas", "1e-3,1e-2")
    assert record.penalty is not None
    assert record.penalty.largest == 6
    assert any("largest candidate" in text for text in record.warnings)


@pytest.mark.parametrize(
    ("strategy", "options", "named"),
    [
        ("mor", ("--alpha-per-target",), "multitarget"),
        ("ridgecv", ("--extend-alphas",), "multitarget"),
        ("ridgecv", ("--cv", "gcv"), "gcv"),
        ("ridgecv", ("--cv", "3", "--alpha-per-target"), "multitarget"),
        ("ridgecv", ("--scoring", "pearson"), "pearson"),
        ("multitarget", ("--cv", "gcv", "--scoring", "pearson"), "pearson"),
        ("multitarget", ("--cv", "1"), "'1'"),
        ("multitarget", ("--cv", "5", "--option", "cv=5"), "cv"),
        ("multitarget", ("--scoring", "r3"), "r3"),
    ],
)
@pytest.mark.parametrize("command", ["measure", "plan", "fit"])
def test_what_cannot_be_is_refused_before_anything_runs(
    tmp_path: Path, command: str, strategy: str, options: tuple[str, ...], named: str
) -> None:
    place = {"measure": ["--store", str(tmp_path)], "fit": ["--out", str(tmp_path / "o")]}
    result = run(command, strategy, "parcels", "--scale", "1/24", *place.get(command, []), *options)
    # `bench_core.cli.main` ends with the error's own status.
    error = result.exception
    status, text = (
        (error.exit_code, str(error))
        if isinstance(error, RidgebenchError)
        else (result.exit_code, result.output)
    )
    assert status == 2, text
    assert named in text
    assert list(tmp_path.iterdir()) == []


def test_leave_one_out_asked_for_is_the_same_case(tmp_path: Path) -> None:
    def case(*options: str) -> dict[str, Any]:
        result = run("plan", "multitarget", "parcels", "--scale", "1/24", "--json", *options)
        return dict(json.loads(result.stdout))

    assert case("--cv", "loo") == case()
    assert case("--cv", "3") != case()
