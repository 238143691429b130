"""BIDS names as they are: every functional file is used, or listed with the reason."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from nilearn.interfaces.fmriprep import load_confounds
from nilearn.maskers import NiftiMasker
from small_images import SmallFmriprep, left_out, used

from bench_core.brain.confounds import of_fmriprep
from bench_core.errors import InputError

MNI = "_space-MNI152NLin2009cAsym"


@pytest.fixture
def study(tmp_path):
    return SmallFmriprep(tmp_path)


def test_a_table_without_echo_serves_an_image_with_one(study):
    """As nilearn finds it."""
    study.bold(f"task-a_echo-1{MNI}_desc-preproc_bold.nii.gz")
    study.table("task-a_desc-confounds_timeseries.tsv")
    planned = study.plan()
    assert used(planned) == ["sub-01_task-a_echo-1"]
    (path,) = study.func.glob("*_bold.nii.gz")
    theirs, _ = load_confounds(str(path), strategy=("motion", "high_pass"), motion="basic")
    ours = of_fmriprep(path, ("motion", "high_pass"), "basic", 30)
    np.testing.assert_array_equal(ours.values, theirs.to_numpy())


def test_a_table_of_another_run_is_not_taken(study):
    study.bold(f"task-a_run-1{MNI}_desc-preproc_bold.nii.gz")
    study.table("task-a_run-2_desc-confounds_timeseries.tsv")
    with pytest.raises(InputError, match="no table of confounds"):
        study.plan()


def test_two_tables_are_asked_about(study):
    study.run("a")
    study.run("b")
    study.table("task-a_desc-confounds_regressors.tsv")
    planned = study.plan()
    assert used(planned) == ["sub-01_task-b"]
    assert "desc-confounds_regressors.tsv" in left_out(planned)["sub-01_task-a"]


@pytest.mark.parametrize("kind", ["timeseries.tsv.gz", "regressors.tsv", "regressors.tsv.gz"])
def test_tables_of_other_names_give_the_same_targets(study, kind):
    study.run("a")
    truth = study.build().Y
    (study.func / "sub-01_task-a_desc-confounds_timeseries.tsv").unlink()
    study.table(f"task-a_desc-confounds_{kind}")
    problem = study.build()
    np.testing.assert_array_equal(problem.Y, truth)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_tables_of_other_encodings(study, encoding):
    study.run("a")
    truth = study.build().Y
    path = study.func / "sub-01_task-a_desc-confounds_timeseries.tsv"
    path.write_text(path.read_text(), encoding=encoding)
    np.testing.assert_array_equal(study.build().Y, truth)


def test_another_space_does_not_hide_images_with_a_resolution(study):
    study.run("a", f"{MNI}_res-2")
    study.run("b", f"{MNI}_res-2")
    study.bold("task-a_space-T1w_desc-preproc_bold.nii.gz")
    for targets in ("", 'resolution = "2"'):
        planned = study.plan(targets)
        assert used(planned) == ["sub-01_task-a", "sub-01_task-b"]
        (reason,) = left_out(planned).values()
        assert "T1w" in reason


def test_several_resolutions_of_one_run_are_asked_about(study):
    study.run("a")
    study.run("b", f"{MNI}_res-1")
    study.run("b", f"{MNI}_res-2")
    with pytest.raises(InputError, match=r"task-b.*res-1.*task-b.*res-2.*targets\.resolution"):
        study.plan()
    planned = study.plan('resolution = "2"')
    assert used(planned) == ["sub-01_task-b"]
    assert set(left_out(planned)) == {
        f"sub-01_task-a{MNI}_desc-preproc_bold.nii.gz",
        f"sub-01_task-b{MNI}_res-1_desc-preproc_bold.nii.gz",
        "a",  # the stimulus
    }
    assert used(study.plan('resolution = "none"')) == ["sub-01_task-a"]
    planned = study.plan(rest='[pairing]\nexclude = ["*task-b"]')
    assert used(planned) == ["sub-01_task-a"]


def test_uncompressed_images_are_runs_too(study):
    data = study.run("a", ending=".nii")
    study.run("b")
    planned = study.plan("confounds = []")
    assert used(planned) == ["sub-01_task-a", "sub-01_task-b"]
    problem = study.build("confounds = []")
    mask = nibabel.load(study.folder / "mask.nii.gz")
    masker = NiftiMasker(mask, standardize="zscore_sample", dtype="float64")
    bold = nibabel.load(study.func / f"sub-01_task-a{MNI}_desc-preproc_bold.nii")
    assert bold.shape == data.shape
    truth = masker.fit_transform(nibabel.Nifti1Image(data.astype(np.float64), bold.affine))
    np.testing.assert_allclose(problem.Y[problem.runs == 1], truth[1:], atol=1e-9)


def test_the_same_run_compressed_and_not_is_asked_about(study):
    study.run("a", ending=".nii")
    study.run("a")
    with pytest.raises(InputError, match=r"bold\.nii, .*bold\.nii\.gz|bold\.nii\.gz, .*bold\.nii"):
        study.plan()


def test_everything_else_is_listed_with_its_reason(study):
    study.run("a")
    for name in (
        f"task-a{MNI}_desc-smoothed_bold.nii.gz",
        "task-a_space-fsLR_den-91k_bold.dtseries.nii",
        "task-a_hemi-L_space-fsaverage_bold.func.gii",
        f"task-rest{MNI}_desc-preproc_bold.nii.gz",
    ):
        (study.func / f"sub-01_{name}").touch()
    planned = study.plan('task = ["a"]')
    assert used(planned) == ["sub-01_task-a"]
    reasons = left_out(planned)
    assert len(reasons) == 4
    for word in ("smoothed", "CIFTI", "task rest"):
        assert any(word in reason for reason in reasons.values())


def test_native_space_can_be_asked_for(study):
    study.run("a", "")
    study.bold(f"task-a{MNI}_desc-preproc_bold.nii.gz")
    mask = nibabel.load(study.folder / "mask.nii.gz")
    nibabel.save(mask, study.func / "sub-01_task-a_desc-brain_mask.nii")
    problem = study.build('space = "native"', how='mask = "func"')
    assert problem.s == int(np.asarray(mask.dataobj).sum())
    assert problem.meta["pairing"][0]["name"] == "sub-01_task-a"
    with pytest.raises(InputError, match="native"):
        study.plan('space = "native"', how='mask = "anat"')


def test_a_link_that_was_never_fetched_leaves_its_run_out(study):
    study.run("a")
    study.run("b")
    (path,) = study.func.glob("*task-b*bold.nii.gz")
    path.unlink()
    path.symlink_to("../../.git/annex/objects/xx/MD5E-s1--1.nii.gz/MD5E-s1--1.nii.gz")
    planned = study.plan()
    assert used(planned) == ["sub-01_task-a"]
    assert "datalad get" in left_out(planned)[path.name]
    path.unlink()
    path.write_text("/annex/objects/MD5E-s1--1.nii.gz\n")
    assert "datalad get" in left_out(study.plan())[path.name]
    (table,) = study.func.glob("*task-a*confounds*")
    study.run("b")
    table.unlink()
    table.symlink_to("../.git/annex/objects/nowhere.tsv")
    planned = study.plan()
    assert used(planned) == ["sub-01_task-b"]
    assert "datalad get" in left_out(planned)["sub-01_task-a"]
    mask = study.folder / "mask.nii.gz"
    mask.unlink()
    mask.symlink_to(".git/annex/objects/nowhere.nii.gz")
    with pytest.raises(InputError, match=r"mask\.nii\.gz.*datalad get"):
        study.plan()


def test_a_broken_json_is_named(study):
    study.run("a")
    beside = study.func / f"sub-01_task-a{MNI}_desc-preproc_bold.json"
    table = study.func / "sub-01_task-a_desc-confounds_timeseries.json"
    for path in (beside, table):
        path.write_text('{"RepetitionTime": ')
        with pytest.raises(InputError, match=path.name):
            study.plan()
        path.write_text('\ufeff{"RepetitionTime": 1.5}', encoding="utf-8")
        assert used(study.plan()) == ["sub-01_task-a"]
