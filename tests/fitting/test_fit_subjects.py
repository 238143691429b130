"""``fit`` and ``accuracy`` on several subjects: one result each, tables and pictures of all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import pearsonr
from sklearn.linear_model import RidgeCV

from bench_core.accuracy import shuffled_rows
from bench_core.accuracy.result import FitResult
from bench_core.cli import cli
from bench_core.data import THESIS_ALPHAS, Problem
from bench_core.errors import InputError, RidgebenchError
from bench_core.records import Record, read

NAMES = ["sub-01", "sub-02", "sub-03"]


@pytest.fixture(scope="module")
def problems(tmp_path_factory):
    """A folder of three subjects with the same parcels; the response is in the first half."""
    folder = tmp_path_factory.mktemp("subjects") / "problems"
    rng = np.random.default_rng(5)
    for name in NAMES:
        X = rng.standard_normal((120, 6))
        Y = X @ rng.standard_normal((6, 12)) * (np.arange(12) < 6) + rng.standard_normal((120, 12))
        Problem.from_arrays(
            X,
            Y,
            np.repeat(np.arange(1, 7), 20),
            name=name,
            target_names=[f"parcel {k}" for k in range(12)],
        ).save(folder / name)
    return folder


def run(*words, scratch):
    arguments = [*map(str, words), "--scratch", str(scratch)]
    result = CliRunner().invoke(cli, arguments, standalone_mode=False)
    if isinstance(result.exception, RidgebenchError):
        raise result.exception
    return result


def fit(problems, out, *words, strategy="ridgecv"):
    return run(
        "fit", strategy, problems, "--out", out, "--threads", 1, "--split", "run", *words,
        scratch=problems.parent / "scratch",
    )  # fmt: skip


@pytest.fixture(scope="module")
def fitted(problems):
    """The results of all subjects, fitted to shuffled samples too."""
    out = problems.parent / "results" / "all"
    result = fit(problems, out, "--shuffled")
    assert result.exit_code == 0, result.output
    return out


def ridge_r(problem, train, test, rows=None):
    """Return r (s,) by scikit-learn and scipy, after training on ``rows`` of X."""
    X = problem.X[train] if rows is None else problem.X[train][rows]
    predicted = RidgeCV(THESIS_ALPHAS).fit(X, problem.Y[train]).predict(problem.X[test])
    truth = problem.Y[test]
    return [pearsonr(truth[:, j], predicted[:, j]).statistic for j in range(problem.s)]


def test_every_subject_has_its_result_and_all_have_theirs(problems, fitted):
    values = json.loads((fitted / "subjects.json").read_text())
    assert [row["subject"] for row in values["subjects"]] == NAMES
    r, chance = [], []
    for row in values["subjects"]:
        problem = Problem.open(problems / row["subject"])
        own = FitResult.open(fitted / row["subject"])
        r.append(ridge_r(problem, own.train, own.test))
        rows = shuffled_rows(len(own.train), seed=0)
        chance.append(ridge_r(problem, own.train, own.test, rows))
        assert row["r_mean"] == pytest.approx(np.mean(r[-1]))
        assert row["samples_test"] == len(own.test)
        record = read(Record, fitted / row["subject"] / "record.json")
        assert record.null.method == "fit"
        assert record.null.max == pytest.approx(max(chance[-1]))
    assert np.allclose(values["between"]["r"], np.corrcoef(r))
    assert np.allclose(np.array(values["regions"]["trained"]).T, r)
    assert np.allclose(np.array(values["regions"]["shuffled"]).T, chance)
    names = {path.name for path in fitted.iterdir()}
    for stem in ("subject-regions", "between-subjects"):
        assert {f"{stem}.svg", f"{stem}.png"} <= names


def test_accuracy_of_all_subjects(fitted):
    scratch = fitted.parent / "scratch"
    words = ("accuracy", fitted, "--permutations", 20, "--family-wise", "--no-figures")
    result = run(*words, scratch=scratch)
    assert result.exit_code == 0, result.output
    values = json.loads((fitted / "accuracy" / "subjects.json").read_text())
    assert [row["subject"] for row in values["subjects"]] == NAMES
    for row in values["subjects"]:
        own = json.loads((fitted / row["subject"] / "accuracy" / "accuracy.json").read_text())
        assert row["significant"] == own["null"]["significant"]
        assert row["r_mean"] == pytest.approx(own["r"]["mean"])
    with pytest.raises(InputError, match="against"):
        run("accuracy", fitted, "--against", fitted / "sub-01", scratch=scratch)


@pytest.mark.parametrize("strategy", ["multitarget", "bmor-shared"])
def test_coefficients_are_those_of_the_fit_not_of_the_shuffled_one(problems, tmp_path, strategy):
    out = tmp_path / "out"
    words = ("--shuffled", "--no-figures")
    assert fit(problems / "sub-01", out, *words, strategy=strategy).exit_code == 0
    problem, own = Problem.open(problems / "sub-01"), FitResult.open(out)
    plain = RidgeCV(THESIS_ALPHAS).fit(problem.X[own.train], problem.Y[own.train])
    assert np.allclose(np.load(out / "coef.npy"), plain.coef_)
    rows = shuffled_rows(len(own.train), seed=0)
    expected = ridge_r(problem, own.train, own.test, rows)
    assert np.allclose(np.load(out / "r_shuffled.npy"), expected)
    assert json.loads((out / "summary.json").read_text())["r shuffled"]["targets"] == 12


def test_a_subject_that_cannot_be_fitted_does_not_end_the_others(problems, fitted, tmp_path):
    two = tmp_path / "problems"
    for name in NAMES[:2]:
        shutil.copytree(problems / name, two / name)
    whole = np.load(two / "sub-02" / "Y.npy")
    np.save(two / "sub-02" / "Y.npy", np.full_like(whole, np.nan))
    out = tmp_path / "all"
    result = fit(two, out, "--no-figures")
    assert result.exit_code == 1
    assert "sub-02" in result.output
    assert [path.name for path in out.iterdir() if path.is_dir()] == ["sub-01"]
    np.save(two / "sub-02" / "Y.npy", whole)
    with pytest.raises(InputError, match="all"):
        fit(two, out, "--no-figures")
    before = (out / "sub-01" / "record.json").stat().st_mtime_ns
    result = fit(two, out, "--no-figures", "--resume")
    assert result.exit_code == 0, result.output
    assert (out / "sub-01" / "record.json").stat().st_mtime_ns == before
    values = json.loads((out / "subjects.json").read_text())
    assert [row["subject"] for row in values["subjects"]] == NAMES[:2]
    with pytest.raises(InputError, match="multitarget"):
        fit(problems, fitted, "--no-figures", "--resume", strategy="multitarget")


def test_regions_of_one_fit_are_left_to_accuracy(problems, tmp_path):
    with pytest.raises(InputError, match="accuracy"):
        fit(problems / "sub-01", tmp_path / "out", "--regions", Path("atlas.nii.gz"))
