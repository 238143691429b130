"""A file of several subjects: what stands for whom, and problems that are built in one run."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from bench_core.brain.settings import ProblemSettings
from bench_core.brain.subjects import build_subjects, plan_subjects, subject_folders
from bench_core.cli import cli
from bench_core.data import Problem
from bench_core.errors import InputError

CONFIG = """\
name = "films"
out = "problems"
subjects = ["01", "sub-02"]
[targets]
source = "npy"
folder = "targets/{subject}"
[features]
source = "npy"
folder = "features"
[samples]
window = 1
"""
FMRIPREP = """\
subjects = ["01", "02"]
[targets]
source = "fmriprep"
folder = "fmriprep"
extract = "whole-brain"
mask = "anat"
[features]
source = "store"
folder = "features"
"""


@pytest.fixture
def folder(tmp_path):
    """Targets of two subjects who saw two films, one column for sub-01 and two for sub-02."""
    rng = np.random.default_rng(0)
    for place, columns in (("targets/01", 1), ("targets/02", 2), ("features", 3)):
        (tmp_path / place).mkdir(parents=True)
        for film in ("a", "b"):
            np.save(tmp_path / place / f"{film}.npy", rng.random((20, columns)))
    (tmp_path / "films.toml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


def test_the_label_stands_where_it_is_written_and_is_added_elsewhere(folder):
    first, second = ProblemSettings.read_all(folder / "films.toml")
    assert (first.subject, first.name, first.out) == (
        "sub-01",
        "films sub-01",
        folder / "problems" / "sub-01",
    )
    assert second.targets.folder == folder / "targets" / "02"
    written = CONFIG.replace('"problems"', '"of-{subject}/p"').replace('"films"', '"{subject}!"')
    (folder / "own.toml").write_text(written, encoding="utf-8")
    own = ProblemSettings.read_all(folder / "own.toml")
    assert [(each.name, each.out) for each in own] == [
        ("01!", folder / "of-01" / "p"),
        ("02!", folder / "of-02" / "p"),
    ]


def test_targets_from_fmriprep_are_of_the_subject(tmp_path):
    (tmp_path / "f.toml").write_text(FMRIPREP, encoding="utf-8")
    found = ProblemSettings.read_all(tmp_path / "f.toml")
    assert [each.targets.subject for each in found] == ["01", "02"]
    assert [each.name for each in found] == ["f sub-01", "f sub-02"]


@given(st.lists(st.from_regex(r"[A-Za-z0-9]{1,6}", fullmatch=True), unique=True, min_size=1))
def test_every_label_gets_settings_of_its_own(labels):
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "c.toml")
        path.write_text(CONFIG.replace('["01", "sub-02"]', repr(labels)), encoding="utf-8")
        found = ProblemSettings.read_all(path)
        assert [each.targets.folder.name for each in found] == labels
        assert [each.subject for each in found] == [f"sub-{label}" for label in labels]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('["01", "sub-02"]', "[]", "subjects"),
        ('["01", "sub-02"]', '["01", "sub-01"]', "01 twice"),
        ('["01", "sub-02"]', "[1]", "1"),
        ('["01", "sub-02"]', '["a/b"]', "a/b"),
        ("targets/{subject}", "targets/01", "{subject}"),
    ],
)
def test_what_is_no_list_of_subjects_is_refused(folder, old, new, words):
    (folder / "films.toml").write_text(CONFIG.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=words):
        ProblemSettings.read_all(folder / "films.toml")


def test_a_reader_of_one_problem_names_the_subjects(folder):
    with pytest.raises(InputError, match=r"sub-01.*sub-02"):
        ProblemSettings.read(folder / "films.toml")


def test_problems_are_those_of_a_file_for_each(folder):
    settings = ProblemSettings.read_all(folder / "films.toml")
    folders = subject_folders(settings, folder / "out")
    found = build_subjects(plan_subjects(settings), folders)
    assert found.failed == {}
    assert [problem.s for problem in found.built.values()] == [1, 2]
    for label, problem in zip(("01", "02"), found.built.values(), strict=True):
        Y = np.load(folder / "targets" / label / "a.npy")[problem.volumes[problem.runs == 1]]
        own = Y - Y.mean(axis=0)
        assert abs(np.corrcoef(own[:, 0], problem.Y[problem.runs == 1, 0])[0, 1]) > 1 - 1e-6


def test_a_damaged_file_ends_its_subject_alone_and_the_rest_is_kept(folder):
    settings = ProblemSettings.read_all(folder / "films.toml")
    plans, folders = plan_subjects(settings), subject_folders(settings)
    whole = np.load(folder / "targets" / "01" / "b.npy")
    np.save(folder / "targets" / "01" / "b.npy", np.full((20, 1), np.nan))
    found = build_subjects(plans, folders)
    assert list(found.built) == ["sub-02"]
    assert "sub-01" in found.failed
    np.save(folder / "targets" / "01" / "b.npy", whole)
    again = build_subjects(plans, folders)
    assert again.failed == {}
    assert again.kept == ["sub-02"]
    assert sorted(again.built) == ["sub-01", "sub-02"]


def test_a_problem_of_other_settings_is_not_taken_for_this_one(folder):
    settings = ProblemSettings.read_all(folder / "films.toml")
    build_subjects(plan_subjects(settings), subject_folders(settings))
    text = CONFIG.replace("window = 1", "window = 2")
    (folder / "films.toml").write_text(text, encoding="utf-8")
    other = ProblemSettings.read_all(folder / "films.toml")
    found = build_subjects(plan_subjects(other), subject_folders(other))
    assert sorted(found.failed) == ["sub-01", "sub-02"]


def test_two_subjects_do_not_share_a_folder(folder):
    settings = ProblemSettings.read_all(folder / "films.toml")
    same = [replace(each, out=folder / "one") for each in settings]
    with pytest.raises(InputError, match="one"):
        subject_folders(same)


def test_the_command_builds_all_of_them(folder):
    result = CliRunner().invoke(cli, ["problem", "build", str(folder / "films.toml"), "--plan"])
    assert result.exit_code == 0, result.output
    assert not (folder / "problems").exists()
    result = CliRunner().invoke(cli, ["problem", "build", str(folder / "films.toml")])
    assert result.exit_code == 0, result.output
    assert [Problem.open(folder / "problems" / f"sub-0{n}").s for n in (1, 2)] == [1, 2]
