"""Maps, regions, repeats, and the accuracy report from a user's side."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.linear_model import Ridge

from bench_core import data
from bench_core.accuracy import FitResult, by_region, noise_ceiling, pearson_r, summary
from bench_core.accuracy.atlas import regions_of
from bench_core.accuracy.between_subjects import correlate_maps
from bench_core.accuracy.maps import to_image, write_maps
from bench_core.accuracy.plotting import sample_surface
from bench_core.accuracy.repeats import problem_ceiling, repeated_rows, stimuli_in_both
from bench_core.accuracy.report import AccuracyRequest, accuracy_report, held_out_r
from bench_core.brain.example import PLANTED, SPACE, parcels
from bench_core.brain.label_names import label_names
from bench_core.cli.commands.accuracy import command
from bench_core.errors import InputError


def fitted(problem, folder, out, test_runs=(5,), penalty=100.0):
    split = data.run_split(problem, test_runs=test_runs)
    train, test = split.apply(problem)
    model = Ridge(penalty).fit(train.X, train.Y)
    FitResult(
        folder,
        "ridge",
        split.train,
        split.test,
        model.predict(test.X),
        np.full(problem.s, penalty),
        arrays={"coef": model.coef_},
    ).save(out)
    return pearson_r(test.Y, model.predict(test.X))


@pytest.fixture(scope="module")
def result(built, tmp_path_factory):
    out = tmp_path_factory.mktemp("fit") / "whole"
    return out, fitted(built["whole-brain"], built["folder"] / "problem2", out)


@pytest.fixture(scope="module")
def report(result, example):
    figures = accuracy_report(
        result[0],
        AccuracyRequest(
            permutations=99, regions=example / "atlas.nii.gz", family_wise=True, figures=False
        ),
    )
    return result[0] / "accuracy", figures


def planted_targets(problem):
    number = problem.space.volume(np.arange(problem.s))
    return np.concatenate([number[p.box].ravel() for p in PLANTED.values()]).astype(int)


def test_a_result_survives_its_folder(result, built):
    found = FitResult.open(result[0])
    problem = built["whole-brain"]
    assert (found.strategy, found.fit_intercept) == ("ridge", True)
    assert found.problem == built["folder"] / "problem2"
    assert found.arrays["coef"].shape == (problem.s, problem.p)
    np.testing.assert_allclose(held_out_r(found, problem), result[1], atol=1e-12)
    assert (problem.runs[found.test] == 5).all()


def test_results_that_do_not_fit(result, built, tmp_path):
    with pytest.raises(InputError, match=r"no fit\.json"):
        FitResult.open(built["folder"] / "problem2")
    with pytest.raises(InputError, match=r"\(3, 2\)"):
        FitResult(tmp_path, "x", np.arange(2), np.arange(2), np.ones((3, 2)), np.ones(2))
    other = FitResult(
        built["folder"] / "problem1", "x", np.arange(2), np.arange(2), np.ones((2, 2)), np.ones(2)
    )
    with pytest.raises(InputError, match="problem1"):
        other.open_problem()


def test_the_planted_targets_are_significant_and_few_others(report, built):
    folder, figures = report
    assert figures["r"]["defined"] == built["whole-brain"].s
    null = figures["null"]
    assert null["refit_difference"] < 1e-5
    lines = (folder / "targets.tsv").read_text().splitlines()
    names = lines[0].split("\t")
    assert names == ["target", "r", "r_squared", "p", "adjusted_p", "ceiling", "normalised_r"]
    alone, p = np.array([[float(x) for x in line.split("\t")[3:5]] for line in lines[1:]]).T
    # A target's own permutations reach its r no more often than the largest of all targets does.
    assert (alone <= p).all()
    assert abs(np.median(alone) - 0.5) < 0.15  # most targets follow nothing: p is uniform
    chosen = planted_targets(built["whole-brain"])
    assert (p[chosen] <= 0.05).mean() > 0.4
    assert (np.delete(p, chosen) <= 0.05).sum() <= 20  # smoothing takes r to the neighbours
    assert null["significant"] == (p <= 0.05).sum() == null["significant_family_wise"]
    assert null["threshold_r"] > null["largest_r"]["median"]


def test_regions_with_the_response_come_first(report):
    folder, figures = report
    numbers = [int(parcels()[p.box].ravel()[0]) for p in PLANTED.values()]
    assert {row["region"] for row in figures["regions"][:2]} == set(numbers)
    assert figures["regions"][0]["targets"] == 64
    assert figures["regions"][2]["mean"] < figures["regions"][1]["mean"] / 2
    image = nibabel.load(folder / "region_r.nii.gz").get_fdata()
    box = PLANTED["early"].box
    r = nibabel.load(folder / "r.nii.gz").get_fdata()
    np.testing.assert_allclose(image[box], r[box].mean(), rtol=1e-5)


def test_maps_have_r_where_the_targets_are(report, result, built):
    space = built["whole-brain"].space
    found = nibabel.load(report[0] / "r.nii.gz")
    np.testing.assert_allclose(found.affine, space.affine)
    np.testing.assert_allclose(found.get_fdata(), space.volume(result[1]), rtol=1e-6)
    only = nibabel.load(report[0] / "r_significant.nii.gz").get_fdata()
    assert np.isfinite(only).sum() == report[1]["null"]["significant"]
    assert sorted(path.name for path in report[0].iterdir()) == [
        "accuracy.json",
        "normalised_r.nii.gz",
        "r.nii.gz",
        "r_significant.nii.gz",
        "r_squared.nii.gz",
        "region_r.nii.gz",
        "regions.tsv",
        "targets.tsv",
    ]


def test_the_command_and_its_figures(built, tmp_path):
    fitted(built["parcels"], built["folder"] / "problem1", tmp_path / "a", penalty=1.0)
    fitted(built["parcels"], built["folder"] / "problem1", tmp_path / "b", penalty=2.0)
    found = CliRunner().invoke(
        command,
        [
            *(str(tmp_path / "a"), "--permute", "shifts", "--permutations", "50"),
            *("--against", str(tmp_path / "b")),
        ],
        env={"COLUMNS": "200"},
        catch_exceptions=False,
    )
    assert found.exit_code == 0
    for words in ("283 to train, 68 to test", "null (shifts)", "50 permutations", "noise ceiling"):
        assert words in found.stdout
    assert "50 permutations cannot make 122 targets significant" in found.stdout
    drawn = {path.name for path in (tmp_path / "a" / "accuracy").iterdir()}
    assert {"r_slices.png", "r_glass_brain.png", "r_surface.png"} < drawn
    figures = json.loads((tmp_path / "a" / "accuracy" / "accuracy.json").read_text())
    assert figures["between"]["mean"] > 0.99
    assert figures["between"]["r"][0][0] == 1
    with pytest.raises(InputError, match="0 permutations"):
        accuracy_report(tmp_path / "a", AccuracyRequest(permutations=0))
    assert (tmp_path / "a" / "accuracy" / "accuracy.json").is_file()
    assert [path for path in (tmp_path / "a").iterdir() if path.name.startswith(".")] == []


def test_haxby_is_drawn_as_slices_only(tmp_path):
    problem = data.make("haxby2001")
    train, test = data.run_split(problem, test_runs=(11, 12)).apply(problem)
    r = pearson_r(test.Y, Ridge(1.0).fit(train.X, train.Y).predict(test.X))
    written = write_maps(problem, r, tmp_path)
    assert sorted(path.name for path in written.files) == ["r.nii.gz", "r_slices.png"]
    assert "not MNI" in written.not_drawn["glass brain"]
    image = nibabel.load(tmp_path / "r.nii.gz").get_fdata()
    assert image.shape == (40, 20, 1)
    assert round(np.nanmax(image), 2) == 0.73
    assert summary(image.ravel())["defined"] == 530


def test_what_cannot_be_drawn(tmp_path):
    synthetic = data.synthetic(40, 4, 3)
    with pytest.raises(InputError, match="synthetic"):
        write_maps(synthetic, np.ones(3), tmp_path)
    haxby = data.make("haxby2001")
    with pytest.raises(InputError, match=r"\(3,\)"):
        write_maps(haxby, np.ones(3), tmp_path)
    written = write_maps(haxby, np.full(530, np.nan), tmp_path)
    assert written.not_drawn == {"figures": "r is undefined everywhere"}


def test_the_surface_takes_the_values_around_it(built):
    """A map that is its own x coordinate, read at the vertices."""
    from nilearn.datasets import fetch_surf_fsaverage
    from nilearn.surface import load_surf_mesh

    problem = built["whole-brain"]
    image = to_image(problem.space, problem.space.millimetres()[:, 0])
    meshes = fetch_surf_fsaverage("fsaverage5")
    values = sample_surface(image, meshes["pial_left"], meshes["white_left"])
    x = load_surf_mesh(meshes["pial_left"]).coordinates[:, 0]
    known = np.isfinite(values)
    assert known.mean() > 0.9
    assert np.abs(values[known] - x[known]).mean() < 4  # voxels of 8 mm
    assert np.corrcoef(values[known], x[known])[0, 1] > 0.97


def test_regions_of_voxels_and_of_parcels(built, example, tmp_path):
    atlas = nibabel.load(example / "atlas.nii.gz")
    whole = built["whole-brain"]
    expected = parcels()[tuple(whole.space.voxels.T)]
    assert (regions_of(whole.space, atlas, whole.s) == expected).all()
    parcel = built["parcels"]
    numbers = [int(name.split()[1]) for name in parcel.target_names]
    assert regions_of(parcel.space, atlas, parcel.s).tolist() == numbers
    away = atlas.affine.copy()
    away[0, 3] += 1_000
    with pytest.raises(InputError, match="atlas"):
        regions_of(whole.space, nibabel.Nifti1Image(atlas.get_fdata(), away), whole.s)
    (tmp_path / "a.tsv").write_text("index\tname\n3\tV1\n")
    assert label_names(tmp_path / "a.nii.gz") == {3: "V1"}
    assert label_names(example / "atlas.nii.gz") == {}
    (tmp_path / "a.tsv").write_text("index\n3\n")
    with pytest.raises(InputError, match=r"a\.tsv"):
        label_names(tmp_path / "a.nii.gz")


def test_figures_per_region():
    r = np.array([0.1, 0.3, np.nan, 0.5, -0.1])
    found = by_region(r, np.array([2, 2, 2, 9, 0]), np.array([False, True, False, True, True]))
    assert [(each.region, each.targets, each.defined) for each in found] == [(2, 3, 2), (9, 1, 1)]
    assert found[0].mean == pytest.approx(0.2)
    assert found[0].max == 0.3
    assert [each.significant for each in found] == [1, 1]
    assert by_region(np.array([np.nan]), np.array([1]))[0].mean is None


def test_repeated_stimuli_are_found_and_compared_moment_by_moment(built):
    problem = built["whole-brain"]
    ((stimulus, (first, second)),) = repeated_rows(problem).items()
    assert stimulus == "s01e01a"
    assert set(problem.runs[first]) == {1}
    assert set(problem.runs[second]) == {4}
    assert (problem.volumes[first] == problem.volumes[second]).all()
    np.testing.assert_array_equal(problem.X[first], problem.X[second])
    ceiling = problem_ceiling(problem)
    expected = noise_ceiling([problem.Y[first], problem.Y[second]])
    np.testing.assert_allclose(ceiling.reliability, expected.reliability)
    chosen = planted_targets(problem)
    assert ceiling.ceiling[chosen].mean() > 0.5
    assert abs(np.delete(ceiling.reliability, chosen).mean()) < 0.05
    split = data.run_split(problem, test_runs=[4])
    assert stimuli_in_both(problem, split.train, split.test) == ["s01e01a"]
    split = data.run_split(problem, test_runs=[5])
    assert stimuli_in_both(problem, split.train, split.test) == []
    assert problem_ceiling(data.make("haxby2001")) is None


def test_subjects_with_different_masks_are_compared_where_both_have_voxels(built):
    whole = built["whole-brain"]
    r = np.random.default_rng(0).standard_normal(whole.s)
    kept = np.flatnonzero(whole.space.voxels[:, 0] > 6)
    mask = np.zeros(whole.space.shape, bool)
    mask[tuple(whole.space.voxels[kept].T)] = True
    other = data.Problem(
        np.asarray(whole.X),
        np.asarray(whole.Y[:, kept]),
        whole.runs,
        target_names=[f"v{k}" for k in kept],
        space=data.TargetSpace.of_mask(mask, whole.space.affine, template=SPACE),
    )
    noisy = r[kept] + 0.1 * np.random.default_rng(1).standard_normal(len(kept))
    found = correlate_maps([whole, other], [r, noisy])
    assert found[0, 1] == pytest.approx(np.corrcoef(r[kept], noisy)[0, 1])
    with pytest.raises(InputError, match="haxby2001"):
        correlate_maps([whole, data.make("haxby2001")], [r, np.ones(530)])


def test_moments_that_one_run_lacks_are_left_out():
    rng = np.random.default_rng(0)
    problem = data.Problem(
        rng.random((9, 1)),
        rng.random((9, 2)),
        np.repeat([1, 2], [5, 4]),
        volumes=np.array([3, 4, 5, 6, 8, 4, 5, 7, 8]),
        meta={
            "pairing": [
                {"number": 1, "stimulus": "a"},
                {"number": 2, "stimulus": "a"},
                {"name": "b", "left_out": "stimulus of no run"},
            ]
        },
    )
    (rows,) = repeated_rows(problem).values()
    assert [each.tolist() for each in rows] == [[1, 2, 4], [5, 6, 8]]
    expected = noise_ceiling([problem.Y[[1, 2, 4]], problem.Y[[5, 6, 8]]])
    np.testing.assert_array_equal(problem_ceiling(problem).ceiling, expected.ceiling)
