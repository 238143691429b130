"""Voxels without a value: refused by name, or masked in every run; never 0 in silence."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from nilearn.maskers import NiftiMasker
from small_images import AFFINE, SHAPE, SmallImages, zscored

from bench_core.brain.confounds import of_fmriprep, of_motion
from bench_core.errors import InputError

VOXEL, VOLUME = (2, 3, 2), 11


@pytest.fixture
def images(tmp_path):
    return SmallImages(tmp_path)


def spoil(images, voxel=VOXEL, volumes=VOLUME, value=np.nan, run="run-2"):
    data = images.data[run].copy()
    data[voxel][volumes] = value
    images.write(run, data)
    return data


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("extract", ["whole-brain", "parcels"])
@pytest.mark.parametrize("smoothing", [0, 8])
def test_a_missing_value_is_refused_by_file_voxel_and_volume(images, value, extract, smoothing):
    spoil(images, value=value)
    with pytest.raises(InputError, match=r"run-2_bold.*voxel 2 3 2, volume 11"):
        images.build(f"smoothing_mm = {smoothing}", extract=extract)


def test_a_missing_value_near_the_mask_is_refused_where_smoothing_carries_it(images):
    spoil(images, voxel=(0, 0, 0))
    with pytest.raises(InputError, match="voxel 0 0 0"):
        images.build("smoothing_mm = 8")
    (images.folder / "clean").mkdir()
    clean = SmallImages(images.folder / "clean").build("smoothing_mm = 0").Y
    np.testing.assert_array_equal(images.build("smoothing_mm = 0").Y, clean)


def test_voxels_outside_that_no_volume_measured_are_no_obstacle(images):
    """As SPM writes them. 0 in all volumes: nilearn's masker on such an image is the truth."""
    data = images.data["run-2"].copy()
    data[0] = np.nan
    images.write("run-2", data)
    problem = images.build("smoothing_mm = 8")
    mask = nibabel.Nifti1Image(images.inside.astype(np.uint8), AFFINE)
    masker = NiftiMasker(mask, smoothing_fwhm=8, standardize="zscore_sample", dtype="float64")
    truth = masker.fit_transform(nibabel.Nifti1Image(np.nan_to_num(data.astype(float)), AFFINE))
    np.testing.assert_allclose(problem.Y[problem.runs == 2], truth[1:], atol=1e-9)


@pytest.mark.parametrize("volumes", [VOLUME, slice(None)])
@pytest.mark.parametrize("smoothing", [0, 8])
def test_masked_voxels_are_a_target_in_no_run(images, volumes, smoothing):
    spoil(images, volumes=volumes)
    problem = images.build(f'missing = "mask"\nsmoothing_mm = {smoothing}')
    left = images.inside.copy()
    left[VOXEL] = False
    assert problem.target_names == [f"voxel {i} {j} {k}" for i, j, k in np.argwhere(left)]
    np.testing.assert_array_equal(problem.space.voxels, np.argwhere(left))
    mask = nibabel.Nifti1Image(left.astype(np.uint8), AFFINE)
    fwhm = smoothing or None
    masker = NiftiMasker(mask, smoothing_fwhm=fwhm, standardize="zscore_sample", dtype="float64")
    for number in (1, 2):
        data = images.data[f"run-{number}"].astype(np.float64)
        data[VOXEL] = 0
        truth = masker.fit_transform(nibabel.Nifti1Image(data, AFFINE))
        np.testing.assert_allclose(problem.Y[problem.runs == number], truth[1:], atol=1e-9)
    rows = {row["name"]: row["notes"] for row in problem.meta["pairing"]}
    assert rows["run-1"] == []
    assert "voxel 2 3 2" in rows["run-2"][0]
    assert problem.meta["targets"]["masked"] == 1


def test_parcels_are_means_of_the_voxels_that_are_left(images):
    spoil(images)
    problem = images.build('missing = "mask"\nsmoothing_mm = 0', extract="parcels")
    for number in (1, 2):
        data = images.data[f"run-{number}"].astype(np.float64)
        for parcel in range(4):
            inside = images.labels == parcel + 1
            inside[VOXEL] = False
            truth = zscored(data[inside].mean(axis=0))[1:]
            Y = problem.Y[problem.runs == number, parcel]
            np.testing.assert_allclose(Y, truth, atol=1e-5)


def test_a_parcel_without_a_measured_voxel_is_named(images):
    data = images.data["run-1"].copy()
    data[images.labels == 3] = np.nan
    images.write("run-1", data)
    problem = images.build('missing = "mask"', extract="parcels")
    assert problem.target_names == ["parcel 1", "parcel 2", "parcel 4"]
    assert problem.meta["targets"]["labels_lost"] == [3]


def test_nothing_left(images):
    images.write("run-1", np.full((*SHAPE, 30), np.nan, np.float32))
    with pytest.raises(InputError, match="every voxel"):
        images.plan('missing = "mask"')


def test_nan_in_confounds_is_named(tmp_path, example):
    (table,) = example.glob("fmriprep/sub-01/ses-001/func/*s01e02a_desc-confounds*.tsv")
    lines = [line.split("\t") for line in table.read_text().splitlines()]
    column = lines[0].index("trans_y")
    lines[8][column] = "n/a"
    bold = tmp_path / "sub-01_task-a_desc-preproc_bold.nii.gz"
    bold.touch()
    copy = tmp_path / "sub-01_task-a_desc-confounds_timeseries.tsv"
    copy.write_text("\n".join("\t".join(line) for line in lines) + "\n")
    with pytest.raises(InputError, match="trans_y, row 7"):
        of_fmriprep(bold, ("motion", "high_pass"), "full", 81)
    estimates = np.ones((5, 6))
    estimates[3, 1] = np.nan
    np.savetxt(tmp_path / "motion.txt", estimates)
    with pytest.raises(InputError, match="nan in row 3, column 1"):
        of_motion(tmp_path / "motion.txt", 1.5, 5)
