"""Subjects beside each other, against numpy: regions, correlations between maps, pictures."""

from __future__ import annotations

import csv
import json

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench_core.accuracy.result import FitResult
from bench_core.accuracy.subjects import (
    SubjectResult,
    compare_subjects,
    open_subjects,
    result_folders,
    write_subjects,
)
from bench_core.data import Problem, TargetSpace
from bench_core.errors import InputError


def subject(name, r, shuffled=None, **problem):
    zeros = np.zeros((4, len(r)))
    made = Problem.from_arrays(np.zeros((4, 1)), zeros, **problem)
    return SubjectResult(name, made, "ridgecv", np.asarray(r, float), shuffled)


def parcels(count):
    return [f"parcel {k}" for k in range(count)]


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 5), s=st.integers(3, 20), seed=st.integers(0, 2**31))
def test_figures_of_common_parcels_are_numpy_s(n, s, seed):
    rng = np.random.default_rng(seed)
    r, null = rng.uniform(-1, 1, (n, s)), rng.uniform(-0.1, 0.1, (n, s))
    found = compare_subjects(
        [subject(f"sub-{i}", r[i], null[i], target_names=parcels(s)) for i in range(n)]
    )
    assert np.allclose(found.between, np.corrcoef(r), atol=1e-12)
    assert np.array_equal(found.regions.trained, r.T)
    assert np.array_equal(found.regions.shuffled, null.T)
    values = found.to_json()
    pairs = np.corrcoef(r)[np.tril_indices(n, -1)]
    assert values["between"]["mean"] == pytest.approx(pairs.mean())
    assert [row["r_mean"] for row in values["subjects"]] == pytest.approx(r.mean(axis=1))
    assert found.left_out == {}


@pytest.fixture
def brains(tmp_path):
    """Two subjects with masks of their own, and an atlas of two halves and a named table."""
    rng = np.random.default_rng(1)
    mask = np.ones((4, 3, 2), bool)
    smaller = mask.copy()
    smaller[0, 0, 0] = smaller[3, 2, 1] = False
    labels = np.zeros(mask.shape, np.int16)
    labels[:2], labels[2:] = 3, 7
    nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), tmp_path / "atlas.nii.gz")
    (tmp_path / "atlas.tsv").write_text("index\tname\n3\tleft\n", encoding="utf-8")
    made = [
        subject(
            f"sub-{i}", rng.uniform(-1, 1, own.sum()), space=TargetSpace.of_mask(own, np.eye(4))
        )
        for i, own in enumerate((mask, smaller))
    ]
    return made, (mask, smaller), labels, tmp_path / "atlas.nii.gz"


def test_voxels_are_compared_where_both_are_and_averaged_by_the_atlas(brains):
    made, (mask, smaller), labels, atlas = brains
    found = compare_subjects(made, atlas)
    both = smaller[mask]
    expected = np.corrcoef(made[0].r[both], made[1].r)[0, 1]
    assert found.between[0, 1] == pytest.approx(expected)
    assert list(found.regions.names) == ["left", "region 7"]
    for column, (own, inside) in enumerate(zip(made, (mask, smaller), strict=True)):
        for row, number in enumerate((3, 7)):
            mean = own.r[labels[inside] == number].mean()
            assert found.regions.trained[row, column] == pytest.approx(mean)
    assert found.regions.shuffled is None
    assert "shuffled" in found.left_out


def test_voxels_without_an_atlas_have_no_regions(brains):
    made, *_ = brains
    found = compare_subjects(made)
    assert found.regions is None
    assert set(found.left_out) == {"regions"}


def test_what_cannot_be_compared_is_named():
    one = subject("sub-1", [0.1, 0.2], target_names=["a", "b"])
    other = subject("sub-2", [0.1, 0.2, 0.3])
    found = compare_subjects([one, other])
    assert found.between is None
    assert set(found.left_out) == {"between", "regions"}
    assert "between" in compare_subjects([one]).left_out


def test_files_hold_the_figures_and_the_pictures_are_the_same_twice(tmp_path):
    rng = np.random.default_rng(2)
    r, null = rng.uniform(-1, 1, (3, 50)), rng.uniform(-0.1, 0.1, (3, 50))
    r[1, 4] = np.nan
    made = [subject(f"sub-{i}", r[i], null[i], target_names=parcels(50)) for i in range(3)]
    found = compare_subjects(made)
    further = {"sub-2": {"status": "ok"}}
    names = write_subjects(found, tmp_path / "a", further=further)
    assert set(names) == {path.name for path in (tmp_path / "a").iterdir()}
    write_subjects(found, tmp_path / "b", further=further)
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    rows = list(csv.DictReader((tmp_path / "a/subject-regions.tsv").open(), delimiter="\t"))
    assert list(rows[0])[:2] == ["region", "sub-0"]
    assert rows[4]["sub-1"] == "n/a"
    for k, row in enumerate(rows):
        assert float(row["sub-0"]) == pytest.approx(r[0, k], abs=1e-5)
        assert float(row["sub-2 shuffled"]) == pytest.approx(null[2, k], abs=1e-5)
    table = list(csv.DictReader((tmp_path / "a/subjects.tsv").open(), delimiter="\t"))
    assert [row["status"] for row in table] == ["n/a", "n/a", "ok"]
    values = json.loads((tmp_path / "a/subjects.json").read_text())
    assert values["regions"]["trained"][4][1] is None
    drawn = (tmp_path / "a/between-subjects.svg").read_text()
    for i in range(3):
        for j in range(i):
            both = np.isfinite(r[i]) & np.isfinite(r[j])
            assert f">{np.corrcoef(r[i][both], r[j][both])[0, 1]:.2f}<" in drawn
    assert ">shuffled<" in (tmp_path / "a/subject-regions.svg").read_text()


def test_results_in_a_folder_are_found_and_one_result_is_none(tmp_path):
    X, Y = np.arange(6.0)[:, None], np.random.default_rng(0).random((6, 2))
    Problem.from_arrays(X, Y).save(tmp_path / "problem")
    rows = np.arange(6)
    for name in ("sub-02", "sub-01"):
        FitResult(
            tmp_path / "problem",
            "ridgecv",
            rows[:3],
            rows[3:],
            np.zeros((3, 2)),
            np.ones(2),
            arrays={"r": np.array([0.5, 0.25])},
        ).save(tmp_path / "all" / name)
    (tmp_path / "all" / "else").mkdir()
    folders = result_folders(tmp_path / "all")
    assert list(folders) == ["sub-01", "sub-02"]
    assert result_folders(tmp_path / "all" / "sub-01") == {}
    assert [one.r.tolist() for one in open_subjects(folders)] == [[0.5, 0.25]] * 2


def test_a_result_without_r_is_refused(tmp_path):
    X, Y = np.arange(6.0)[:, None], np.random.default_rng(0).random((6, 2))
    problem = Problem.from_arrays(X, Y)
    rows = np.arange(6)
    result = FitResult(tmp_path, "own", rows[:3], rows[3:], np.zeros((3, 2)), np.ones(2))
    with pytest.raises(InputError, match="sub-01"):
        SubjectResult.of("sub-01", result, problem)
