"""Names of runs, and which stimulus each one showed."""

from __future__ import annotations

import re

import numpy as np
import pytest

from bench_core.brain.bids import Pattern, entities, run_name
from bench_core.brain.pairing import Pair, PairingSettings, check_lengths, pair
from bench_core.brain.targets import FmriRun, without_excluded
from bench_core.errors import InputError, UnknownNameError


def runs(*names):
    return [FmriRun(name, 10, np.arange(10), None, ()) for name in names]


def paired(names, stimuli, **settings):
    pairs, exclusions = pair(runs(*names), stimuli, PairingSettings(**settings))
    return {each.run.name: each.stimulus for each in pairs}, {
        each.name: each.reason for each in exclusions
    }


@pytest.mark.parametrize(
    ("run", "stimulus"),
    [
        ("sub-01_ses-001_task-a", "sub-01_ses-001_task-a"),
        ("sub-01_ses-001_task-a", "ses-001_task-a"),
        ("sub-01_ses-001_task-a", "task-a"),
        ("sub-01_ses-001_task-a_run-2", "a_run-2"),
        ("sub-01_ses-001_task-a_run-2", "a"),
        ("ses-001_task-a", "a"),
        ("run-07", "run-07"),
    ],
)
def test_the_usual_names(run, stimulus):
    assert paired([run], [stimulus, "other"])[0] == {run: stimulus}


def test_the_most_telling_name_wins():
    names = ["sub-01_ses-001_task-a", "sub-01_ses-002_task-a"]
    found, exclusions = paired(names, ["a", "ses-002_task-a"])
    assert found == {names[0]: "a", names[1]: "ses-002_task-a"}
    assert exclusions == {}


def test_by_name_and_by_rule():
    names = ["sub-01_ses-1_task-a", "sub-01_ses-1_task-b", "sub-01_ses-1_task-c"]
    found, exclusions = paired(
        names,
        ["friends_a", "b", "special", "unused"],
        stimulus="friends_{task}",
        by_name={names[2]: "special"},
    )
    assert found == {names[0]: "friends_a", names[2]: "special"}
    assert exclusions[names[1]] == "no stimulus called friends_b"
    assert exclusions["b"] == exclusions["unused"] == "stimulus of no run"


def test_names_that_nothing_answers_to():
    with pytest.raises(UnknownNameError, match="'sub-1_task-b'"):
        paired(["sub-1_task-a"], ["a"], by_name={"sub-1_task-b": "a"})
    with pytest.raises(UnknownNameError, match="'b'"):
        paired(["sub-1_task-a"], ["a"], by_name={"sub-1_task-a": "b"})
    with pytest.raises(InputError, match="sub-1_task-a, stimuli b"):
        paired(["sub-1_task-a"], ["b"])
    with pytest.raises(InputError, match="entity ses"):
        paired(["sub-1_task-a"], ["b"], stimulus="{ses}")


def test_exclusion_by_pattern():
    found = {"ses-1_task-a": 1, "ses-2_task-a": 2, "ses-2_task-b": 3}
    kept, exclusions = without_excluded(found, ["ses-2*"])
    assert kept == {"ses-1_task-a": 1}
    assert [each.name for each in exclusions] == ["ses-2_task-a", "ses-2_task-b"]
    with pytest.raises(UnknownNameError, match="ses-3"):
        without_excluded(found, ["ses-3*"])
    with pytest.raises(InputError, match=r"\['\*'\]"):
        without_excluded(found, ["*"])


@pytest.mark.parametrize(
    ("trs", "fits"), [(8, False), (9, True), (10, True), (11, True), (12, False)]
)
def test_lengths_may_differ_by_one(trs, fits):
    (run,) = runs("sub-01_task-a")
    if fits:
        check_lengths([(Pair(run, "a"), trs)], PairingSettings())
    else:
        with pytest.raises(InputError, match="differ by 2"):
            check_lengths([(Pair(run, "a"), trs)], PairingSettings())
    check_lengths([(Pair(run, "a"), None)], PairingSettings())


def test_longer_and_shorter_runs_have_limits_of_their_own():
    first, second = (Pair(run, "film") for run in runs("sub-01_task-a", "sub-01_task-b"))
    with pytest.raises(InputError, match=r"tolerance_trs = 1(.|\n)*task-a(.|\n)*task-b") as caught:
        check_lengths([(first, 4), (second, 15)], PairingSettings())
    assert "pairing.trim" in str(caught.value)
    assert "pairing.shorter_trs" in str(caught.value)
    check_lengths([(first, 4)], PairingSettings(trim="end"))
    with pytest.raises(InputError, match="task-b"):
        check_lengths([(first, 4), (second, 15)], PairingSettings(trim="end"))
    check_lengths([(second, 15)], PairingSettings(shorter_trs=5))
    with pytest.raises(InputError, match="task-a"):
        check_lengths([(first, 4)], PairingSettings(shorter_trs=9))
    with pytest.raises(InputError, match="shorter_trs is -1"):
        PairingSettings(shorter_trs=-1)


def test_bids_names():
    name = "sub-01_ses-001_task-s01e01a_run-2_space-MNI152_res-2_desc-preproc_bold.nii.gz"
    assert run_name(name) == "sub-01_ses-001_task-s01e01a_run-2"
    assert entities(name)["space"] == "MNI152"
    assert entities("no entities here") == {}


def test_patterns(tmp_path):
    for name in ("run-1", "run-2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "bold.nii.gz").touch()
    (tmp_path / "run-1" / "other.txt").touch()
    pattern = Pattern("*/bold.nii.gz")
    assert list(pattern.find(tmp_path)) == ["run-1", "run-2"]
    assert pattern.of(tmp_path, "run-1") == tmp_path / "run-1" / "bold.nii.gz"
    for wrong in ("bold.nii.gz", "*/*.nii", "/data/*.nii", "../*.nii"):
        with pytest.raises(InputError, match=re.escape(repr(wrong))):
            Pattern(wrong)
