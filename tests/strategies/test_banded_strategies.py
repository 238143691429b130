"""``banded`` and ``himalaya-banded`` as strategies, and feature spaces from command to map."""

from __future__ import annotations

import json
import warnings
from importlib.util import find_spec

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from bench_core import strategies
from bench_core.accuracy import pearson_r
from bench_core.cli import cli
from bench_core.data import FeatureSpaces, Problem, TargetSpace
from bench_core.errors import InputError
from bench_core.records import Record, read
from tests.ridge.planted_spaces import planted

ALPHAS = (1.0, 10.0, 100.0, 1000.0)
SPACES = {"small": 10, "large": 50}
himalaya = pytest.mark.skipif(
    find_spec("himalaya") is None, reason="himalaya is not installed (extra: peers)"
)


def data(**options):
    return planted(t=80, sizes=(10, 50), s=9, **options)


@pytest.mark.parametrize("name", ["banded", pytest.param("himalaya-banded", marks=himalaya)])
@pytest.mark.parametrize("solver", ["group", "kernel"])
def test_predictions_are_ridge_s_on_features_scaled_as_it_says(name, solver):
    found = data()
    own = {"solver": solver} if name != "banded" else {"alpha_per_target": solver == "group"}
    model = strategies.get(name)(ALPHAS, spaces=SPACES, candidates=6, **own)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(found.X[:60], found.Y[:60])
    prediction = model.predict(found.X[60:])
    scales = model.feature_scales(np.arange(9))
    for k, alpha in enumerate(model.chosen_alphas()):
        ridge = Ridge(alpha=alpha, solver="svd").fit(found.X[:60] * scales[:, k], found.Y[:60, k])
        assert np.allclose(prediction[:, k], ridge.predict(found.X[60:] * scales[:, k]))


@himalaya
@pytest.mark.parametrize("solver", ["group", "kernel"])
def test_the_peer_is_given_the_same_candidates(solver):
    found = data(seed=4)
    common = {"spaces": SPACES, "candidates": 10, "cv": found.runs[:60].tolist()}
    peer = strategies.get("himalaya-banded")(ALPHAS, solver=solver, **common)
    own = strategies.get("banded")(
        ALPHAS, refine=0, balanced=False, alpha_per_target=True, **common
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer.fit(found.X[:60], found.Y[:60])
    own.fit(found.X[:60], found.Y[:60])
    assert np.allclose(own.predict(found.X[60:]), peer.predict(found.X[60:]), atol=1e-5)
    assert np.array_equal(own.chosen_alphas(), peer.chosen_alphas())


def test_spaces_of_other_columns_are_refused():
    found = data()
    with pytest.raises(InputError, match="59"):
        strategies.get("banded")(ALPHAS, spaces={"a": 9, "b": 50}).fit(found.X, found.Y)


@pytest.fixture
def problem(tmp_path):
    """A saved problem of two feature spaces whose targets have places in a brain."""
    found = planted(t=120, sizes=(10, 50), s=9, runs=6)
    mask = np.ones((3, 3, 1), bool)
    Problem.from_arrays(
        found.X,
        found.Y,
        found.runs,
        feature_spaces=FeatureSpaces.of(SPACES),
        space=TargetSpace.of_mask(mask, np.eye(4)),
    ).save(tmp_path / "problem")
    return found, tmp_path / "problem"


def test_a_fit_takes_the_spaces_of_its_problem_and_divides_r_among_them(problem, tmp_path):
    found, folder = problem
    out = tmp_path / "out"
    words = ["fit", "banded", str(folder), "--out", str(out), "--split", "run", "--cv", "run"]
    words += ["--alphas", "1,10,100,1000", "--alpha-per-target", "--threads", "1"]
    words += ["--option", "candidates=6", "--option", "refine=0", "--scratch", str(tmp_path / "s")]
    with pytest.raises(SystemExit) as ended:
        cli.main(words, standalone_mode=False)
    assert ended.value.code == 0
    record = read(Record, out / "record.json")
    assert record.status == "ok"
    assert record.agreement.agrees
    assert record.case.options["spaces"] == {"small": [[0, 10]], "large": [[10, 60]]}
    arrays = {path.stem: np.load(path) for path in out.glob("*.npy")}
    assert np.allclose(arrays["space_r"].sum(axis=0), arrays["r"])
    r2 = arrays["space_r2"].sum(axis=0)
    assert np.allclose(arrays["space_unique"].sum(axis=0) + arrays["shared_r2"], r2)
    assert np.allclose(arrays["r"], pearson_r(found.Y[100:], arrays["prediction"]))
    assert arrays["space_penalty"].shape == (2, 9)
    summary = json.loads((out / "summary.json").read_text())
    assert set(summary["spaces"]) == {"small", "large"}
    maps = {path.name for path in out.glob("space_*.nii.gz")}
    assert {"space_r-small-map.nii.gz", "space_unique-large-map.nii.gz"} <= maps


def test_measure_and_plan_take_them_too(problem, tmp_path, capsys):
    _, folder = problem
    store = tmp_path / "store"
    common = ["banded", str(folder), "--option", "candidates=4", "--option", "refine=0"]
    common += ["--alphas", "1,10,100,1000"]
    words = [*common, "--repeats", "1", "--threads", "1", "--null", "skip", "--split", "run"]
    words += ["--store", str(store), "--scratch", str(tmp_path / "s")]
    with pytest.raises(SystemExit) as ended:
        cli.main(["measure", *words], standalone_mode=False)
    assert ended.value.code == 0
    (path,) = store.glob("*.json")
    record = read(Record, path)
    assert set(record.case.options["spaces"]) == {"small", "large"}
    assert record.plan.settings["spaces"] == 2
    capsys.readouterr()
    cli.main(["plan", *common, "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["plan"]["settings"]["spaces"] == 2
    cli.main(["plan", *common, "--json", "--spaces", "a=20,b=20,c=20"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["plan"]["settings"]["spaces"] == 3


def test_a_strategy_without_spaces_says_which_have_them(problem):
    _, folder = problem
    with pytest.raises(InputError, match="banded"):
        cli.main(["plan", "ridgecv", str(folder), "--spaces", "a=10,b=50"], standalone_mode=False)
