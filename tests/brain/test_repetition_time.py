"""Repetition times: units of the header, JSON files, doubt, and one error for all runs."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
from small_images import AFFINE, SmallFmriprep, SmallImages

from bench_core.brain.header import read_header
from bench_core.errors import InputError


@pytest.fixture
def images(tmp_path):
    return SmallImages(tmp_path)


@pytest.mark.parametrize(
    ("value", "units", "seconds"),
    [
        (1490, "msec", 1.49),
        (1.49, "sec", 1.49),
        (1_490_000, "usec", 1.49),
        (1.49, "unknown", 1.49),
        (0, "sec", None),
        (2, "hz", None),
    ],
)
def test_the_unit_of_the_header_is_honoured(images, value, units, seconds):
    data = np.zeros((2, 2, 2, 3), np.float32)
    path = images.image("x.nii.gz", data, tr=value, units=units)
    assert nibabel.load(path).header.get_xyzt_units()[1] == units
    found = read_header(path, "x").tr
    assert found.seconds == (None if seconds is None else pytest.approx(seconds))
    assert "x.nii.gz" in found.source


def test_milliseconds_give_the_problem_that_seconds_give(images):
    truth = images.build().Y
    for name, data in images.data.items():
        images.image(f"{name}_bold.nii.gz", data, tr=1500, units="msec")
    np.testing.assert_array_equal(images.build().Y, truth)


def test_mgh_files_hold_milliseconds(tmp_path):
    image = nibabel.MGHImage(np.zeros((2, 2, 2, 3), np.float32), AFFINE)
    image.header.set_zooms((4, 4, 4, 1490))
    nibabel.save(image, tmp_path / "x.mgz")
    assert read_header(tmp_path / "x.mgz", "x").tr.seconds == pytest.approx(1.49)


@pytest.mark.parametrize(
    ("value", "units", "words"),
    [(1490, "unknown", "milliseconds, 1.49 s"), (1490, "sec", "milliseconds"), (1, "sec", "1 is")],
)
def test_a_doubtful_value_says_that_either_may_be_wrong(images, value, units, words):
    images.image("run-1_bold.nii.gz", images.data["run-1"], tr=value, units=units)
    with pytest.raises(InputError) as caught:
        images.plan()
    message = str(caught.value)
    assert words in message
    assert "targets.tr = 1.5" in message
    assert f"samples.tr = {value}" not in message  # the features' TR must not follow the header
    assert images.plan("tr = 1.5").t == images.plan("tr = 1.5").runs[0].pair.run.volumes * 2 - 2


def test_all_runs_are_named_at_once(images):
    for name, data in images.data.items():
        images.image(f"{name}_bold.nii.gz", data, tr=2)
    with pytest.raises(InputError, match=r"run-1(.|\n)*run-2"):
        images.plan()


def test_an_unknown_value_is_said(images):
    images.image("run-2_bold.nii.gz", images.data["run-2"], tr=0)
    planned = images.plan()
    (note,) = planned.notes()
    assert "1 of 2" in note
    assert "run-2" in note
    assert images.build().meta["notes"] == [note]


def test_a_json_beside_the_image_comes_first_and_a_contradiction_is_said(images):
    (images.folder / "run-1_bold.json").write_text(json.dumps({"RepetitionTime": 1.5}))
    images.image("run-1_bold.nii.gz", images.data["run-1"], tr=2)
    planned = images.plan()
    (note,) = planned.runs[0].pair.run.notes
    assert "1.5 s" in note
    assert "2 s" in note
    for wrong in ("null", '"1.5"', "-1", "NaN"):
        (images.folder / "run-1_bold.json").write_text(f'{{"RepetitionTime": {wrong}}}')
        with pytest.raises(InputError, match=r"run-1_bold\.json"):
            images.plan()


def test_fmriprep_s_can_be_replaced(tmp_path):
    study = SmallFmriprep(tmp_path)
    study.run("a")
    study.bold("task-a_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz", tr=1)
    with pytest.raises(InputError, match=r"targets\.tr"):
        study.plan()
    planned = study.plan("tr = 1.5")
    assert planned.runs[0].pair.run.tr == 1.5
    assert any("replaces 1 s" in note for note in planned.runs[0].pair.run.notes)
    with pytest.raises(InputError, match=r"targets\.tr is -1"):
        study.plan("tr = -1")


def test_images_off_the_grid_are_named_before_any_is_read(images):
    moved = AFFINE.copy()
    moved[0, 3] += 2
    for name in ("run-3", "run-4"):
        data = images.data["run-1"]
        images.image(f"{name}_bold.nii.gz", data, moved if name == "run-3" else AFFINE)
        np.save(images.folder / f"{name}.npy", np.ones((30, 3)))
    images.image("run-2_bold.nii.gz", images.data["run-2"][:5])
    with pytest.raises(InputError) as caught:
        images.plan()
    message = str(caught.value)
    assert "run-2_bold.nii.gz has shape (5, 7, 5)" in message
    assert "run-3_bold.nii.gz has an affine that differs by up to 2" in message
    assert "run-4" not in message
    planned = images.plan(rest='[pairing]\nexclude = ["run-[23]"]')
    assert len(planned.runs) == 2


def test_the_grid_is_that_of_most_runs(images):
    data = images.data["run-1"]
    images.image("run-0_bold.nii.gz", data[:5])
    np.save(images.folder / "run-0.npy", np.ones((30, 3)))
    with pytest.raises(InputError, match="run-0"):
        images.plan()
    (images.folder / "run-0.npy").unlink()  # a run without a stimulus is no obstacle
    assert len(images.plan().runs) == 2
