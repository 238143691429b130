"""Where targets lie: masks, labels, volumes, folders."""

from __future__ import annotations

import numpy as np
import pytest

from bench_core.data import Problem, RowsOf, TargetSpace, random_split
from bench_core.errors import InputError

AFFINE = np.array([[-2.0, 0, 0, 10], [0, 3, 0, -20], [0, 0, 4, 5], [0, 0, 0, 1]])


def test_a_mask_has_one_target_per_voxel_in_numpy_s_order():
    mask = np.random.default_rng(0).random((3, 4, 5)) > 0.6
    space = TargetSpace.of_mask(mask, AFFINE, template="MNI")
    values = np.random.default_rng(1).random((3, 4, 5))
    volume = space.volume(values[mask])
    assert space.s == mask.sum()
    np.testing.assert_array_equal(volume[mask], values[mask])
    assert np.isnan(volume[~mask]).all()


def test_labels_in_any_order():
    labels = np.zeros((3, 3, 1), int)
    labels[0, :, 0] = [7, 7, 2]
    labels[2, 1, 0] = 40
    labels[1, 1, 0] = 3  # not asked for
    space = TargetSpace.of_labels(labels, [40, 2, 7], AFFINE)
    volume = space.volume([0.4, 0.02, 0.07])
    assert volume[0, :, 0].tolist() == [0.07, 0.07, 0.02]
    assert volume[2, 1, 0] == 0.4
    assert np.isnan(volume[1, 1, 0])
    assert space.s == 3


def test_millimetres_follow_the_affine():
    mask = np.zeros((2, 2, 2), bool)
    mask[1, 0, 1] = True
    space = TargetSpace.of_mask(mask, AFFINE)
    np.testing.assert_array_equal(space.millimetres(), [[8, -20, 9]])
    assert space.same_grid(TargetSpace.of_mask(~mask, AFFINE))
    assert not space.same_grid(TargetSpace.of_mask(mask, np.eye(4)))


def problem(space, **keys):
    rng = np.random.default_rng(2)
    return Problem(
        rng.random((9, 2)), rng.random((9, 4)), np.repeat([1, 2, 3], 3), space=space, **keys
    )


def test_it_survives_folders_and_splits(tmp_path):
    space = TargetSpace.of_mask(np.arange(8).reshape(2, 2, 2) % 2 == 0, AFFINE, template="MNI")
    made = problem(space, volumes=np.tile([4, 5, 7], 3))
    made.save(tmp_path / "p")
    found = Problem.open(tmp_path / "p")
    np.testing.assert_array_equal(found.space.volume(range(4)), space.volume(range(4)))
    np.testing.assert_array_equal(found.space.affine, AFFINE)
    assert found.space.template == "MNI"
    split = random_split(found, test_fraction=0.4)
    for parts in (split.apply(found), split.apply(found, tmp_path / "split")):
        for part, rows in zip(parts, (split.train, split.test), strict=True):
            assert part.volumes.tolist() == made.volumes[rows].tolist()
            assert part.space.s == 4


def test_what_does_not_fit():
    mask = np.ones((5, 1, 1), bool)
    with pytest.raises(InputError, match="5 targets"):
        problem(TargetSpace.of_mask(mask, AFFINE))
    with pytest.raises(InputError, match="volume numbers"):
        problem(None, volumes=np.arange(8))
    with pytest.raises(InputError, match="three axes"):
        TargetSpace.of_mask(np.ones((5, 1), bool), AFFINE)
    with pytest.raises(InputError, match="outside"):
        TargetSpace((1, 1, 1), AFFINE, np.array([[0, 0, 1]]), np.array([0]))
    with pytest.raises(InputError, match=r"\(2,\) values for 5"):
        TargetSpace.of_mask(mask, AFFINE).volume([1, 2])


def test_rows_of_an_array_give_columns():
    array = np.arange(24.0).reshape(6, 4)
    rows = np.array([5, 0, 3])
    view = RowsOf(array, rows)
    assert view.shape == (3, 4)
    np.testing.assert_array_equal(view[:, np.array([2, 1])], array[rows][:, [2, 1]])
