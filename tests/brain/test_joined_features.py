"""Several feature spaces in one problem: their columns, their TRs, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from bench_core.brain.build import build, plan
from bench_core.brain.settings import ProblemSettings
from bench_core.data import Problem
from bench_core.errors import InputError, UnknownNameError

CONFIG = """
[targets]
source = "npy"
folder = "targets"
[features]
source = "spaces"
[features.spaces.motion]
source = "npy"
folder = "motion"
[features.spaces.words]
source = "npy"
folder = "words"
[samples]
window = 2
"""


@pytest.fixture
def folder(tmp_path):
    """Targets of two films, features of 2 and of 3 columns; one space ends a TR early."""
    rng = np.random.default_rng(0)
    for name, columns in (("targets", 4), ("motion", 2), ("words", 3)):
        (tmp_path / name).mkdir()
        for film, trs in (("a", 30), ("b", 25)):
            short = name == "words" and film == "b"
            np.save(tmp_path / name / f"{film}.npy", rng.random((trs - short, columns)))
    (tmp_path / "config.toml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


def test_columns_are_those_of_each_space_at_each_delay(folder):
    problem = build(plan(ProblemSettings.read(folder / "config.toml")), folder / "problem")
    assert problem.feature_spaces.to_json() == {
        "motion": [[0, 2], [5, 7]],
        "words": [[2, 5], [7, 10]],
    }
    motion, words = (np.load(folder / name / "a.npy") for name in ("motion", "words"))
    row = int(np.flatnonzero((problem.runs == 1) & (problem.volumes == 9))[0])
    expected = np.concatenate([motion[8], words[8], motion[7], words[7]])
    assert np.allclose(problem.X[row], expected.astype(np.float32))
    assert Problem.open(folder / "problem").feature_spaces == problem.feature_spaces


def test_a_tr_that_a_space_lacks_is_named(folder):
    planned = plan(ProblemSettings.read(folder / "config.toml"))
    (notes,) = [row["notes"] for row in planned.table() if row["name"] == "b"]
    assert any("motion" in note and "1 TR" in note for note in notes)


def test_a_changed_file_of_any_space_is_another_problem(folder):
    before = plan(ProblemSettings.read(folder / "config.toml")).key()
    np.save(folder / "words" / "a.npy", np.zeros((30, 3)))
    assert plan(ProblemSettings.read(folder / "config.toml")).key() != before


def test_stimuli_that_a_space_lacks_are_named(folder):
    (folder / "words" / "b.npy").unlink()
    with pytest.raises(InputError, match=r"words.*b"):
        plan(ProblemSettings.read(folder / "config.toml"))


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("[features.spaces.words]", "[features.space.words]", UnknownNameError),
        ('source = "npy"\nfolder = "words"', 'folder = "words"', InputError),
        ('folder = "words"', 'folders = "words"', UnknownNameError),
    ],
)
def test_settings_of_spaces_are_checked(folder, old, new, error):
    assert old in CONFIG
    (folder / "config.toml").write_text(CONFIG.replace(old, new), encoding="utf-8")
    with pytest.raises(error):
        ProblemSettings.read(folder / "config.toml")
