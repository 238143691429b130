"""What an accuracy report says of significance, r² and r over the noise ceiling."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.linear_model import Ridge

from bench_core import data
from bench_core.accuracy import Ceiling, FitResult, noise_ceiling, pearson_r, signed_square
from bench_core.accuracy.report import AccuracyRequest, accuracy_report
from bench_core.cli.commands.accuracy import command
from bench_core.data.neighbours import share_beside_training
from bench_core.data.problem import Problem
from tests.accuracy.autoregressive import unrelated


def save(problem, split, folder):
    """Fit ``problem`` and keep it and its result below ``folder``; return the result's folder."""
    problem.save(folder / "problem")
    train, test = split.apply(problem)
    model = Ridge(1.0).fit(train.X, train.Y)
    FitResult(
        folder / "problem",
        "ridge",
        split.train,
        split.test,
        model.predict(test.X),
        np.full(problem.s, 1.0),
    ).save(folder / "fit")
    return folder / "fit"


def table(folder):
    lines = (folder / "accuracy" / "targets.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines]
    return {name: [row[k] for row in rows[1:]] for k, name in enumerate(rows[0])}


@pytest.fixture
def noise():
    """Return smooth features and responses without any relation, 10 runs of 100."""
    made = unrelated(0, length=100, runs=10, s=50)
    return Problem.from_arrays(made.X[:, :3], made.Y, made.runs)


@pytest.mark.parametrize("kind", ["held-out", "shifts", "rows"])
def test_p_values_are_withheld_where_the_split_leaks(noise, tmp_path, kind):
    folder = save(noise, data.random_split(noise), tmp_path)
    found = accuracy_report(folder, AccuracyRequest(null=kind, permutations=20))
    assert found["null"] is None
    assert "--split run" in found["withheld"]
    assert found["r"]["defined"] == 50  # r is kept
    assert list(table(folder)) == ["target", "r", "r_squared"]
    said = CliRunner().invoke(command, [str(folder)], env={"COLUMNS": "400"})
    assert said.exit_code == 0
    assert "p withheld" in said.stdout
    assert "significant" not in said.stdout
    assert json.loads((folder / "accuracy/accuracy.json").read_text())["withheld"] is not None


def test_by_run_the_same_noise_has_p_values_and_none_is_significant(noise, tmp_path):
    folder = save(noise, data.run_split(noise, test_fraction=0.2), tmp_path)
    found = accuracy_report(folder)
    assert found["withheld"] is None
    null = found["null"]
    assert (null["kind"], null["permutations"], null["distinct"]) == ("held-out", 1000, 10_000)
    assert null["significant"] == null["significant_family_wise"] == 0
    assert null["refit_difference"] < 1e-9
    assert len(set(table(folder)["p"])) > 10


def test_independent_samples_have_p_values_under_a_random_split(tmp_path):
    rng = np.random.default_rng(2)
    X, Y = rng.standard_normal((400, 3)), rng.standard_normal((400, 5))
    Y[:, 0] += X[:, 0]
    problem = Problem.from_arrays(X, Y)
    folder = save(problem, data.random_split(problem), tmp_path)
    found = accuracy_report(folder)
    assert found["withheld"] is None
    # One run of 40 held-out samples: every shift was taken, and the report says so.
    assert found["null"]["complete"]
    assert found["null"]["permutations"] == 39
    assert found["null"]["smallest_p"] == 1 / 40
    assert any("40 different shifts" in warning for warning in found["warnings"])
    assert min(map(float, table(folder)["p"])) == 1 / 40


def test_runs_of_one_sample_have_no_shifts(tmp_path):
    rng = np.random.default_rng(3)
    problem = Problem.from_arrays(*rng.standard_normal((2, 60, 4)), np.arange(60))
    folder = save(problem, data.run_split(problem), tmp_path)
    assert "one sample" in accuracy_report(folder)["withheld"]
    found = accuracy_report(folder, AccuracyRequest(null="rows", permutations=10))
    assert found["withheld"] is None
    assert found["null"]["distinct"] is None


def test_the_part_of_rows_beside_training_rows():
    runs = np.repeat([1, 2], 50)
    split = data.run_split(Problem.from_arrays(np.ones((100, 1)), np.ones((100, 1)), runs))
    assert share_beside_training(split.train, split.test, runs) == 0
    whole = np.ones(100)  # without runs, only the block's first row touches training rows
    assert share_beside_training(split.train, split.test, whole) == 1 / len(split.test)
    every_other = np.arange(0, 100, 2)
    assert share_beside_training(every_other, every_other + 1, runs) == 1


def test_r_squared_is_the_variance_explained_after_scaling():
    rng = np.random.default_rng(4)
    Y, P = rng.standard_normal((2, 50, 6))
    fits = [np.polynomial.Polynomial.fit(p, y, 1)(p) for p, y in zip(P.T, Y.T, strict=True)]
    residual = np.array([np.var(y - f) / np.var(y) for y, f in zip(Y.T, fits, strict=True)])
    r = pearson_r(Y, P)
    np.testing.assert_allclose(np.abs(signed_square(r)), 1 - residual, atol=1e-12)
    assert (np.sign(signed_square(r)) == np.sign(r)).all()


def test_r_over_a_ceiling_by_hand():
    reliability = np.array([0.64, 0.09, 0.0, -0.2, np.nan, 0.36])
    ceiling = Ceiling(reliability, np.sqrt(np.maximum(reliability, 0)), repeats=2, samples=400)
    assert ceiling.least_reliability == 0.1
    found = ceiling.normalised([0.4, 0.3, 0.3, 0.3, 0.3, np.nan])
    np.testing.assert_allclose(found, [0.5, np.nan, np.nan, np.nan, np.nan, np.nan])
    assert Ceiling(reliability, reliability, 3, 400).least_reliability == 2 / np.sqrt(1200)
    assert Ceiling(reliability, reliability, 2, 10**9).least_reliability == 0.01


def test_a_perfect_model_reaches_the_ceiling():
    """r / ceiling of the true response is 1 but for noise, however noisy the target."""
    rng = np.random.default_rng(5)
    truth, scale = rng.standard_normal((4000, 30)), np.linspace(0.5, 3, 30)
    repeats = [truth + scale * rng.standard_normal(truth.shape) for _ in range(4)]
    r = pearson_r(repeats[0], truth)
    found = noise_ceiling(repeats).normalised(r)
    assert r.min() < 0.35
    np.testing.assert_allclose(found, 1, atol=0.1)


def test_the_report_counts_the_targets_that_are_too_noisy(tmp_path):
    rng = np.random.default_rng(6)
    t, runs = 200, np.repeat([1, 2, 3], 200)
    film = rng.standard_normal((t, 4))
    X = np.vstack([rng.standard_normal((t, 4)), film, film])
    Y = rng.standard_normal((600, 6))
    Y[:, :2] += X[:, :2]
    shown = ["a", "b", "b"]
    problem = Problem(
        X,
        Y,
        runs,
        meta={"pairing": [{"stimulus": s, "number": k + 1} for k, s in enumerate(shown)]},
        volumes=np.tile(np.arange(t), 3),
    )
    folder = save(problem, data.run_split(problem, test_runs=[2, 3]), tmp_path)
    found = accuracy_report(folder, AccuracyRequest(permutations=99))
    columns = table(folder)
    known = np.array(columns["normalised_r"]) != "n/a"
    ceiling = np.array(columns["ceiling"], float)
    assert known[:2].all()
    assert (known == (ceiling**2 >= found["ceiling"]["least_reliability"])).all()
    assert found["ceiling"]["too_low"] == (~known).sum() > 0
    assert found["ceiling"]["normalised_r"]["defined"] == known.sum()
    r = np.array(columns["r"], float)
    normalised = np.array(columns["normalised_r"])[known].astype(float)
    np.testing.assert_allclose(normalised, r[known] / ceiling[known], rtol=1e-4)
    np.testing.assert_allclose(np.array(columns["r_squared"], float), r * np.abs(r), rtol=1e-4)
