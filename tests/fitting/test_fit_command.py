"""``ridgebench fit`` from files to results, against scikit-learn and scipy."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import pearsonr
from sklearn.linear_model import RidgeCV

from bench_core.accuracy.result import FitResult
from bench_core.cli import cli
from bench_core.cli.commands.fit import _show, command
from bench_core.data import THESIS_ALPHAS, Problem, make
from bench_core.errors import InputError, ResourceError, RidgebenchError, UnknownNameError
from bench_core.fitting.request import FitRequest
from bench_core.fitting.run import FitOutcome
from bench_core.fitting.sources import ProblemSource
from bench_core.records import Record, read
from tests.lifeline import Lifeline

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a runner of the command, in a folder of its own; what it raises is raised."""
    scratch = tmp_path_factory.mktemp("scratch")

    def run(*arguments):
        with_scratch = [*map(str, arguments), "--threads", "1", "--scratch", str(scratch)]
        result = CliRunner().invoke(command, with_scratch)
        if isinstance(result.exception, RidgebenchError):
            raise result.exception
        left = [entry for entry in os.listdir(scratch) if entry.startswith("fit-")]
        assert left == []
        return result

    return run


@pytest.fixture(scope="module")
def problem():
    """Return four runs of samples, in which the response of most targets is planted."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((120, 20)) + 1
    Y = X @ rng.standard_normal((20, 30)) * np.linspace(0, 1, 30) + 4 * rng.standard_normal(
        (120, 30)
    )
    Y[:, 7] = 2.5
    return Problem(X, Y, np.repeat(np.arange(4), 30), name="four runs")


def expected(problem, train, test):
    plain = RidgeCV(THESIS_ALPHAS).fit(problem.X[train], problem.Y[train])
    predicted = plain.predict(problem.X[test])
    r = np.full(problem.s, np.nan)
    for j in range(problem.s):
        if np.ptp(problem.Y[test, j]):
            r[j] = pearsonr(problem.Y[test, j], predicted[:, j]).statistic
    return plain, predicted, r


def test_results_are_scikit_learns(run, problem, tmp_path):
    problem.save(tmp_path / "problem")
    result = run(
        "multitarget", tmp_path / "problem", "--split", "run", "--test-runs", "1,2",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    test = np.arange(30, 90)
    train = np.setdiff1d(np.arange(120), test)
    plain, predicted, r = expected(problem, train, test)
    out = tmp_path / "out"
    fitted = FitResult.open(out)
    np.testing.assert_array_equal(fitted.train, train)
    np.testing.assert_array_equal(fitted.test, test)
    np.testing.assert_allclose(fitted.prediction, predicted, atol=1e-9)
    np.testing.assert_array_equal(fitted.penalty, np.full(30, plain.alpha_))
    np.testing.assert_allclose(np.load(out / "coef.npy"), plain.coef_, atol=1e-10)
    np.testing.assert_allclose(fitted.arrays["intercept"], plain.intercept_, atol=1e-10)
    np.testing.assert_allclose(np.load(out / "r.npy"), r, atol=1e-9)
    assert np.isnan(r[7])
    assert fitted.open_problem().s == 30
    record = read(Record, out / "record.json")
    assert record.status == "ok"
    assert record.agreement.agrees
    assert record.accuracy.undefined == 1
    assert record.case.problem.t_train == 60
    assert record.case.options == {"coef": "file"}
    assert record.plan.form == "primal"
    assert str(tmp_path) not in (out / "record.json").read_text()
    summary = json.loads((out / "summary.json").read_text())
    assert summary["r"]["max"] == pytest.approx(np.nanmax(r))
    assert summary["plan"]["form"] == "primal"
    for figure in ("r-histogram.png", "r-histogram.svg"):
        assert (out / figure).stat().st_size > 2000
    assert "29 targets, 1 undefined" in (out / "r-histogram.svg").read_text()
    # The plan comes before the results.
    assert result.stderr.index("ridge, primal form") >= 0
    assert "undefined for 1" in result.output
    with pytest.raises(InputError, match=out.name):
        run("multitarget", tmp_path / "problem", "--out", out)


def test_array_files_on_two_nodes_without_coefficients(run, problem, tmp_path):
    np.save(tmp_path / "X.npy", problem.X)
    with h5py.File(tmp_path / "Y.h5", "w") as file:
        file.create_dataset("bold", data=problem.Y, chunks=True)
    np.savetxt(tmp_path / "runs.txt", problem.runs, "%d")
    nodes = min(2, len(os.sched_getaffinity(0)))
    result = run(
        "bmor-shared", "--x", tmp_path / "X.npy", "--y", f"{tmp_path / 'Y.h5'}:bold",
        "--runs", tmp_path / "runs.txt", "--split", "run", "--nodes", nodes, "--no-coef",
        "--out", tmp_path / "out", "--json", "--no-figures", "--keep-problem",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    plain, predicted, r = expected(problem, np.arange(90), np.arange(90, 120))
    fitted = FitResult.open(tmp_path / "out")
    np.testing.assert_allclose(fitted.prediction, predicted, atol=1e-9)
    np.testing.assert_allclose(np.load(tmp_path / "out" / "r.npy"), r, atol=1e-9)
    assert not (tmp_path / "out" / "coef.npy").exists()
    assert not list((tmp_path / "out").glob("r-histogram*"))
    np.testing.assert_array_equal(fitted.open_problem().Y, problem.Y)
    record = json.loads(result.stdout)
    assert record["case"]["nodes"] == nodes
    assert record["penalty"]["values"] == [plain.alpha_]
    assert sorted(os.listdir(tmp_path)) == ["X.npy", "Y.h5", "out", "runs.txt"]


@pytest.mark.parametrize(
    ("runs", "test_runs", "kind", "test"),
    [
        ([1, 2, 3, 4], None, "run", [4]),
        ([1, 2, 3, 4], (1, 3), "run", [1, 3]),
        ([1, 2], None, "random", None),
        ([1], None, "random", None),
    ],
)
def test_the_split_that_nobody_asked_for_has_a_reason(tmp_path, runs, test_runs, kind, test):
    rng = np.random.default_rng(0)
    given = np.repeat(runs, 120 // len(runs))
    own = Problem(rng.standard_normal((120, 5)), rng.standard_normal((120, 3)), given)
    source = ProblemSource(x="X.npy", y="Y.npy")
    split = FitRequest("ridgecv", source, tmp_path, test_runs=test_runs).split_rows(own)
    assert split.kind == kind
    assert split.reason
    if test is None:
        assert len(split.test) == 12
    else:
        assert sorted(set(given[split.test])) == test
        assert len(split.test) == sum(np.isin(given, test))


def test_the_reason_for_a_split_is_said_and_recorded(run, problem, tmp_path):
    problem.save(tmp_path / "problem")
    result = run(
        "ridgecv", tmp_path / "problem", "--no-figures", "--no-coef", "--out", tmp_path / "out"
    )
    assert result.exit_code == 0, result.output
    fitted = FitResult.open(tmp_path / "out")
    split = read(Record, tmp_path / "out" / "record.json").case.split
    assert (split.kind, split.reason) == ("run", fitted.meta["split"]["reason"])
    assert split.reason
    assert " ".join(split.reason.split()) in " ".join(result.output.split())
    assert sorted(set(problem.runs[fitted.test])) == [3]


def test_named_problem_and_a_strategy_without_a_plan(run, tmp_path):
    result = run(
        "ridgecv", "haxby2001", "--split", "run", "--out", tmp_path / "out",
        "--option", "gcv_mode=svd",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    # The figures of the data's README.
    assert summary["penalty"]["values"] == [1.0]
    assert summary["r"]["max"] == pytest.approx(0.73, abs=0.005)
    assert summary["plan"] is None
    haxby = make("haxby2001")
    assert np.load(tmp_path / "out" / "coef.npy").shape == (haxby.s, haxby.p)
    assert (tmp_path / "out" / "r-map.nii.gz").is_file()
    assert "makes no plan" in result.stderr


BAD = [
    (["ridgcv", "parcels"], UnknownNameError, "did you mean 'ridgecv'"),
    (["ridgecv", "parcel"], UnknownNameError, "did you mean 'parcels'"),
    (["ridgecv"], InputError, "give a problem"),
    (
        ["ridgecv", "haxby2001", "--option", "gcv_mod=svd"],
        UnknownNameError,
        "did you mean 'gcv_mode'",
    ),
    (["ridgecv", "haxby2001", "--alphas", "1,0"], InputError, "penalty 0 is not"),
    (["ridgecv", "haxby2001", "--alphas", "1,1"], InputError, "given more than once"),
    (["ridgecv", "haxby2001", "--nodes", "2"], InputError, "nodes must be 1"),
    (
        ["bmor", "haxby2001", "--nodes", "5000"],
        ResourceError,
        "5,000 nodes × 1 thread need 5000 cores",
    ),
    (["ridgecv", "haxby2001", "--memory-limit", "8GB"], InputError, "multitarget can"),
    (
        ["ridgecv", "haxby2001", "--split", "random", "--test-runs", "3"],
        InputError,
        "--split random",
    ),
    (["ridgecv", "haxby2001", "--split", "run", "--test-runs", "99"], InputError, "no run 99"),
    (["ridgecv", "haxby2001", "--split", "run", "--test-runs", "a"], InputError, "whole numbers"),
    (["multitarget", "haxby2001", "--option", "coef=null"], InputError, "use --no-coef"),
    (["multitarget", "haxby2001", "--memory-limit", "100kB"], ResourceError, "the limit is"),
    (
        ["multitarget", "haxby2001", "--memory-limit", "8GB", "--option", "memory_limit=9"],
        InputError,
        "memory_limit",
    ),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD, ids=lambda a: str(a)[:60])
def test_what_cannot_be_is_refused_and_leaves_nothing(run, tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        run(*arguments, "--out", tmp_path / "out")
    assert os.listdir(tmp_path) == []


def test_a_named_problem_is_refused_before_it_is_made(run, tmp_path, monkeypatch):
    from bench_core import machine
    from bench_core.fitting import sources

    def made(*arguments, **options):
        raise AssertionError("made")

    monkeypatch.setattr(sources, "make", made)
    monkeypatch.setattr(machine, "available_memory", lambda: 10**6)
    with pytest.raises(ResourceError, match="1000000 bytes"):
        run("ridgecv", "whole-brain-bmor", "--scale", "1/2", "--out", tmp_path / "out")


@pytest.mark.parametrize("where", ["X", "Y"])
def test_values_that_are_not_finite_are_named_by_their_place_in_the_file(
    run, problem, tmp_path, where
):
    arrays = {"X": problem.X.copy(), "Y": problem.Y.copy()}
    arrays[where][101, 3] = np.nan
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    files = "--x", tmp_path / "X.npy", "--y", tmp_path / "Y.npy"
    with pytest.raises(InputError, match=f"{where} holds nan at row 101, column 3"):
        run("multitarget", *files, "--out", tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == ["X.npy", "Y.npy"]


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("oddities")
def test_interruption_leaves_nothing(tmp_path, problem_folder):
    lifeline = Lifeline(tmp_path / "pids")
    process = subprocess.Popen(
        [sys.executable, "-m", "bench_core.cli", "fit", "hanging", str(problem_folder),
         "--option", f"note={lifeline}", "--threads", "1",
         "--out", str(tmp_path / "out"), "--scratch", str(tmp_path / "scratch")],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert len(lifeline.pids()) == 2
    assert len(list(tmp_path.glob(".out.partial-*"))) == 1
    process.send_signal(signal.SIGINT)
    assert process.wait() != 0
    lifeline.wait()
    assert not list(tmp_path.glob("*out*"))
    assert not list((tmp_path / "scratch").glob("fit-*"))


def test_a_remedy_is_printed_as_it_has_to_be_typed(capsys):
    """Square brackets are markup to the library that draws the table."""
    record = read(Record, ROOT / "docs/records/whole-brain-bmor.json")
    reason = "nilearn is not installed: pip install 'ridgebench[brain]'"
    _show(FitOutcome(record, Path("results[1]"), [], {"brain map": reason}))
    printed = capsys.readouterr().out
    assert "ridgebench[brain]" in printed
    assert "results[1]" in printed


def accuracy(*arguments):
    return CliRunner().invoke(cli, ["accuracy", *map(str, arguments)])


def test_accuracy_follows_a_fit_of_a_named_problem(run, tmp_path):
    out = tmp_path / "out"
    sizes = ("--scale", "1/48", "--split", "run")
    result = run("multitarget", "parcels", *sizes, "--out", out, "--no-figures")
    assert result.exit_code == 0, result.output
    assert not (out / "problem").exists()
    found = accuracy(out, "--permutations", 20, "--json", "--scratch", tmp_path / "scratch")
    assert found.exit_code == 0, found.output
    figures = json.loads(found.stdout)
    r = np.load(out / "r.npy")
    assert figures["r"]["mean"] == pytest.approx(np.nanmean(r))
    # A refit at the same penalties is the fit itself: X, Y, rows and penalties are those of before.
    assert figures["null"]["refit_difference"] < 1e-9
    assert list((tmp_path / "scratch").glob("*accuracy*")) == []


def test_accuracy_follows_a_fit_of_array_files(run, problem, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("X.npy", problem.X)
    with h5py.File("Y.h5", "w") as file:
        file.create_dataset("bold", data=problem.Y, chunks=True)
    np.savetxt("runs.txt", problem.runs, "%d")
    files = ("--x", "X.npy", "--y", "Y.h5:bold", "--runs", "runs.txt")
    result = run("multitarget", *files, "--out", "out", "--no-figures")
    assert result.exit_code == 0, result.output
    monkeypatch.chdir("/")  # the files are found from anywhere
    out = tmp_path / "out"
    options = ("--permutations", 20, "--json", "--scratch", tmp_path / "scratch")
    figures = json.loads(accuracy(out, *options).stdout)
    assert figures["r"]["mean"] == pytest.approx(np.nanmean(np.load(out / "r.npy")))
    assert figures["null"]["refit_difference"] < 1e-9
    with h5py.File(tmp_path / "Y.h5", "r+") as file:
        file["bold"][:] = problem.Y[::-1]
    changed = accuracy(out, *options).exception
    assert isinstance(changed, InputError)
    assert "changed" in str(changed)
    (tmp_path / "X.npy").unlink()
    gone = accuracy(out, *options).exception
    assert isinstance(gone, InputError)
    assert "X.npy" in str(gone)
