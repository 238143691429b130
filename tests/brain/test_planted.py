"""From video and fMRIPrep folder to r: the planted response is found, where and when it is."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from bench_core import data
from bench_core.accuracy import pearson_r
from bench_core.brain.example import AFFINE, GRID, PLANTED, RUNS, SPACE, TR, brain, parcels
from encoders.synthetic import read_number
from encoders.video import frames


def fit(problem):
    train, test = data.run_split(problem, test_runs=[5]).apply(problem)
    model = RidgeCV(alphas=data.THESIS_ALPHAS).fit(train.X, train.Y)
    return model, pearson_r(test.Y, model.predict(test.X))


@pytest.fixture(scope="module")
def fits(built):
    return {name: fit(built[name]) for name in ("parcels", "whole-brain")}


def far_away():
    """Voxels at least two voxels (16 mm, twice the smoothing) from any planted one."""
    far = brain()
    for planted in PLANTED.values():
        far[tuple(slice(max(0, b.start - 2), b.stop + 2) for b in planted.box)] = False
    return far


@pytest.mark.parametrize("kind", ["parcels", "whole-brain"])
def test_r_is_high_where_planted_and_near_zero_elsewhere(built, fits, kind):
    space, (_, r) = built[kind].space, fits[kind]
    volume = space.volume(r)
    assert (np.isfinite(volume) == brain()).all()
    for planted in PLANTED.values():
        assert volume[planted.box].mean() > 0.4
        assert volume[planted.box].min() > 0.25
    elsewhere = volume[far_away()]
    assert abs(elsewhere.mean()) < 0.03
    assert np.abs(elsewhere).mean() < 0.12  # 68 held-out samples: chance gives 0.10


@pytest.mark.parametrize("kind", ["parcels", "whole-brain"])
def test_the_delay_and_the_bars_are_found(built, fits, kind):
    problem, (model, _) = built[kind], fits[kind]
    number = problem.space.volume(np.arange(problem.s))
    for planted in PLANTED.values():
        targets = np.unique(number[planted.box]).astype(int)
        weights = np.abs(model.coef_[targets]).mean(axis=0).reshape(4, 16)
        strongest = {divmod(int(k), 16) for k in np.argsort(weights.ravel())[-4:]}
        row = problem.meta["delays"].index(planted.delay)
        assert strongest == {(row, bar) for bar in range(16)[planted.bars]}


def test_features_are_of_the_frame_on_the_screen(example, built):
    """Against the videos, decoded here: which number is shown at (volume − delay) · TR?"""
    problem = built["parcels"]
    for row in problem.meta["pairing"]:
        if "left_out" in row:
            continue
        decoded = list(frames(example / "stimuli" / f"{row['stimulus']}.mkv"))
        starts = np.array([each.start for each in decoded])
        samples = np.flatnonzero(problem.runs == row["number"])
        for sample in samples[:: len(samples) // 7]:
            for k, delay in enumerate((1, 2, 3, 4)):
                time = (problem.volumes[sample] - delay) * TR
                frame = decoded[np.flatnonzero(starts <= time + 1e-6)[-1]][2]
                shown = read_number(frame.to_ndarray(format="rgb24"))
                bars = problem.X[sample, 16 * k : 16 * (k + 1)] > 0.5
                assert int(bars @ (1 << np.arange(16))) == shown


def test_the_table_says_what_was_paired_and_what_was_left_out(built):
    rows = built["parcels"].meta["pairing"]
    assert [row["name"] for row in rows[:5]] == [run.name for run in RUNS[:5]]
    assert [row["volumes"] for row in rows[:5]] == [75, 68, 81, 75, 72]
    assert [row["stimulus_trs"] for row in rows[:5]] == [75, 68, 80, 75, 72]
    assert [row["samples"] for row in rows[:5]] == [71, 64, 77, 71, 68]
    assert [row["unsteady"] for row in rows[:5]] == [0, 2, 0, 0, 0]
    assert rows[3]["stimulus"] == rows[0]["stimulus"] == "s01e01a"
    left_out = {row["name"]: row["left_out"] for row in rows[5:]}
    assert left_out == {
        "sub-01_ses-002_task-s01e03a": "no table of confounds beside its image",
        "s01e03a": "stimulus of no run",
    }
    counts = np.unique(built["parcels"].runs, return_counts=True)[1]
    assert counts.tolist() == [71, 64, 77, 71, 68]


def test_cleaning_against_plain_numpy(example, brain):
    """Confounds regressed out by least squares, then scaled, in the steady volumes only."""
    problem = brain.build(
        'extract = "whole-brain"\nmask = "func"\nsmoothing_mm = 0',
        top='dtype = "float64"',
        samples="window = 1",
    )
    run = RUNS[1]
    stem = example / "fmriprep" / "sub-01" / f"ses-{run.session}" / "func" / run.name
    bold = nibabel.load(f"{stem}_space-{SPACE}_desc-preproc_bold.nii.gz").get_fdata()
    lines = Path(f"{stem}_desc-confounds_timeseries.tsv").read_text().splitlines()
    table = np.genfromtxt(lines[1:], delimiter="\t", filling_values=0, missing_values="n/a")
    names = lines[0].split("\t")
    used = [k for k, name in enumerate(names) if name[:3] in ("tra", "rot", "cos")]
    assert len(used) == 24 + 1  # 68 volumes of 1.49 s: one cosine slower than 128 s
    voxels = problem.space.voxels
    Y = bold[tuple(voxels.T)].T[2:]
    design = np.nan_to_num(table[2:, used])
    design = np.column_stack([np.ones(len(design)), design])
    clean = Y - design @ np.linalg.lstsq(design, Y, rcond=None)[0]
    clean /= clean.std(axis=0, ddof=1)
    found = problem.Y[problem.runs == 2]
    # The first of the 66 steady volumes is number 2, whose window (volume 1) is complete.
    assert problem.volumes[problem.runs == 2].tolist() == list(range(2, 68))
    np.testing.assert_allclose(found, clean, atol=2e-3)


def test_smoothing_against_scipy(example, brain):
    from scipy.ndimage import gaussian_filter

    problem = brain.build(
        'extract = "whole-brain"\nmask = "anat"\nconfounds = []\nstandardize = "none"\n'
        'task = ["s01e02b"]',
        top='dtype = "float64"',
    )
    (path,) = example.glob(f"fmriprep/sub-01/ses-002/func/*s01e02b*{SPACE}*bold.nii.gz")
    volume = nibabel.load(path).get_fdata()[..., problem.volumes[10]]
    sigma = 8 / (8 * np.sqrt(8 * np.log(2)))  # 8 mm full width at half maximum, 8 mm voxels
    smooth = gaussian_filter(volume, sigma, mode="constant")
    np.testing.assert_allclose(problem.Y[10], smooth[tuple(problem.space.voxels.T)], rtol=1e-3)


def test_a_parcel_is_the_mean_of_its_voxels(built, brain):
    options = 'confounds = []\nstandardize = "none"\nsmoothing_mm = 0\ntask = ["s01e02b"]'
    whole = brain.build(f'extract = "whole-brain"\nmask = "anat"\n{options}')
    parcel = brain.build(f"{brain.parcels}\n{options}")
    labels = parcels()[tuple(whole.space.voxels.T)]
    for k in (0, 17, parcel.s - 1):
        number = int(parcel.target_names[k].split()[1])
        mean = whole.Y[:, labels == number].mean(axis=1)
        np.testing.assert_allclose(parcel.Y[:, k], mean, rtol=1e-4)
    assert parcel.space.shape == GRID
    np.testing.assert_allclose(parcel.space.affine, AFFINE)


def test_roi_by_labels_and_by_mask_are_columns_of_the_whole_brain(example, built, brain, tmp_path):
    numbers = sorted({int(parcels()[p.box].ravel()[0]) for p in PLANTED.values()})
    atlas = example / "atlas.nii.gz"
    by_label = brain.build(f'extract = "roi"\nlabels = "{atlas}"\nnumbers = {numbers}')
    assert by_label.s == 2 * 64
    mask = np.isin(parcels(), numbers)
    nibabel.save(nibabel.Nifti1Image(mask.astype(np.uint8), AFFINE), tmp_path / "roi.nii.gz")
    by_mask = brain.build('extract = "roi"\nmask = "roi.nii.gz"')
    whole = built["whole-brain"]
    columns = np.flatnonzero(mask[tuple(whole.space.voxels.T)])
    for roi in (by_label, by_mask):
        np.testing.assert_allclose(roi.Y, whole.Y[:, columns], atol=1e-6)
        assert roi.target_names == [whole.target_names[k] for k in columns]
        assert (roi.space.voxels == whole.space.voxels[columns]).all()


def test_whole_brain_mask_is_the_subject_s_own_on_the_functional_grid(built):
    assert built["whole-brain"].s == brain().sum()
    assert built["whole-brain"].space.template == SPACE
    assert built["whole-brain"].meta["targets"]["extract"] == "whole-brain"
    assert built["whole-brain"].meta["subject"] == "sub-01"


def test_the_start_of_the_window_moves_the_features(brain, built):
    later = brain.build(brain.parcels, samples="window = 1\nstart = 3")
    reference = built["parcels"]
    assert later.meta["delays"] == [3]
    both = [
        np.flatnonzero((p.runs == 3) & (p.volumes >= 4) & (p.volumes < 80))
        for p in (later, reference)
    ]
    np.testing.assert_array_equal(later.X[both[0]], reference.X[both[1], 32:48])
