"""What cleaning did not do, or what was lost, is said: in the plan, the problem and by `show`."""

from __future__ import annotations

import warnings

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner
from small_images import AFFINE, MOTION, SHAPE, SmallFmriprep, SmallImages, left_out, used

from bench_core.cli import cli


@pytest.fixture
def study(tmp_path):
    made = SmallFmriprep(tmp_path)
    made.run("a")
    made.run("b")
    return made


def test_a_run_without_cosines_is_used_and_said(study):
    study.table("task-b_desc-confounds_timeseries.tsv", MOTION)
    planned = study.plan()
    assert used(planned) == ["sub-01_task-a", "sub-01_task-b"]
    notes = {row["name"]: row["notes"] for row in planned.table()}
    assert notes["sub-01_task-a"] == []
    (note,) = notes["sub-01_task-b"]
    assert "high-pass" in note
    assert study.plan('confounds = ["motion"]').table()[1]["notes"] == []


def test_a_run_that_is_scrubbed_away_is_left_out_for_that(study):
    columns = [*MOTION, "cosine00", "framewise_displacement", "std_dvars"]
    for task, moved in (("a", 0.0), ("b", 9.0)):
        study.table(f"task-{task}_desc-confounds_timeseries.tsv", columns)
        path = study.func / f"sub-01_task-{task}_desc-confounds_timeseries.tsv"
        head, *rows = [line.split("\t") for line in path.read_text().splitlines()]
        rows = [[*row[:-2], str(moved), "1"] for row in rows]
        path.write_text("\n".join("\t".join(row) for row in [head, *rows]) + "\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        planned = study.plan('confounds = ["motion", "high_pass", "scrub"]')
    assert used(planned) == ["sub-01_task-a"]
    assert "scrubbing leaves none of its 30" in left_out(planned)["sub-01_task-b"]


def test_targets_have_the_atlas_s_names_and_lost_labels_are_shown(tmp_path):
    images = SmallImages(tmp_path)
    fine = images.labels.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    fine[0, 0, 1] = 9  # a corner of a voxel, never the nearest to a centre
    affine = AFFINE.copy()
    affine[:3, :3] /= 2
    affine[:3, 3] -= 1
    nibabel.save(nibabel.Nifti1Image(fine, affine), tmp_path / "atlas.nii.gz")
    table = "index\tname\n1\tV1\n2\tinsula\n3\tinsula\n9\tamygdala\n"
    (tmp_path / "atlas.tsv").write_text(table, encoding="utf-8-sig")
    grid = nibabel.Nifti1Image(np.zeros(SHAPE), AFFINE)
    from nilearn.image import resample_to_img

    truth = resample_to_img(
        nibabel.load(tmp_path / "atlas.nii.gz"),
        grid,
        interpolation="nearest",
        force_resample=True,
        copy_header=True,
    )
    assert set(np.unique(truth.dataobj)) == {0, 1, 2, 3, 4}
    problem = images.build(extract="parcels")
    assert problem.target_names == ["V1", "insula (2)", "insula (3)", "parcel 4"]
    (note,) = problem.meta["notes"]
    assert "9 (amygdala)" in note
    for words in (
        ["problem", "show", str(tmp_path / "problem1")],
        ["problem", "build", str(tmp_path / "study.toml"), "--plan"],
        ["problem", "build", str(tmp_path / "study.toml"), "--out", str(tmp_path / "p2")],
    ):
        found = CliRunner().invoke(cli, words)
        assert found.exit_code == 0, found.output
        assert "9 (amygdala)" in found.output
