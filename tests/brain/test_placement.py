"""Masks and labels that lie elsewhere than the images, or nowhere."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from small_images import AFFINE, SHAPE, SmallImages

from bench_core.errors import InputError


@pytest.fixture
def images(tmp_path):
    return SmallImages(tmp_path)


@pytest.mark.parametrize("extract", ["whole-brain", "parcels"])
def test_what_lies_outside_the_images_is_said(images, extract):
    """Moved by 3 of the images' 6 voxels: the voxels from 1 to 4 come to lie at 4 to 7."""
    moved = AFFINE.copy()
    moved[0, 3] += 12
    images.image("mask.nii.gz", images.inside.astype(np.uint8), moved)
    images.image("atlas.nii.gz", images.labels, moved)
    planned = images.plan(extract=extract)
    outside = int(images.inside[3:].sum())
    note = planned.notes()[0]
    key = "targets.mask" if extract == "whole-brain" else "targets.labels"
    assert f"50.0% of the voxels of {key}" in note
    assert f"({outside} of {int(images.inside.sum())})" in note
    assert images.build(extract=extract).meta["notes"][0] == note


def test_a_mask_inside_another_grid_is_nothing_to_say(images):
    fine = images.inside.repeat(2, 0).repeat(2, 1).repeat(2, 2).astype(np.uint8)
    affine = AFFINE.copy()
    affine[:3, :3] /= 2
    affine[:3, 3] -= 1
    images.image("mask.nii.gz", fine, affine)
    planned = images.plan()
    assert planned.notes() == []
    assert planned.s == int(images.inside.sum())


def test_a_mask_without_orientation_is_refused_on_another_grid(images):
    image = nibabel.Nifti1Image(np.ones(SHAPE, np.uint8), None)
    image.header.set_zooms((4, 4, 4))
    image.header["qform_code"] = image.header["sform_code"] = 0
    nibabel.save(image, images.folder / "mask.nii.gz")
    saved = nibabel.load(images.folder / "mask.nii.gz").header
    assert int(saved["qform_code"]) == int(saved["sform_code"]) == 0
    with pytest.raises(InputError, match=r"targets\.mask .*mask\.nii\.gz has no orientation"):
        images.plan()
