"""Motion parameters and drifts against nilearn and fMRIPrep's definitions; haxby2001."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import nibabel
import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from bench_core import data
from bench_core.accuracy import pearson_r, summary
from bench_core.brain import confounds
from bench_core.brain.build import build, plan
from bench_core.brain.settings import ProblemSettings
from bench_core.errors import InputError

FOLDER = Path(str(files("bench_core.data") / "haxby2001"))


@pytest.mark.parametrize(("n", "tr"), [(121, 2.5), (75, 1.49), (480, 1.49)])
def test_drifts_span_what_nilearn_s_do(n, tr):
    from nilearn.glm.first_level.design_matrix import create_cosine_drift

    theirs = create_cosine_drift(1 / 128, np.arange(n) * tr)[:, :-1]  # the last is the constant
    ours = confounds.drifts(n, tr)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours / ours.max(), theirs / theirs.max(), atol=1e-12)


def test_24_motion_parameters_by_hand():
    estimates = np.array([[1.0, 2, 3, 4, 5, 6], [2, 4, 3, 4, 5, 6], [4, 4, 3, 4, 5, 9]])
    found = confounds.motion24(estimates)
    assert found.shape == (3, 24)
    assert found[:, 6].tolist() == [0, 1, 2]
    assert found[2, 12:18].tolist() == [16, 16, 9, 16, 25, 81]
    assert found[2, 18:].tolist() == [4, 0, 0, 0, 0, 9]


def haxby(tmp_path, rest):
    real = data.make("haxby2001")
    mask = np.isfinite(real.space.volume(np.ones(real.s))).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(mask, real.space.affine), tmp_path / "mask.nii.gz")
    config = tmp_path / "haxby.toml"
    config.write_text(f"""
dtype = "float64"
[targets]
source = "images"
folder = "{FOLDER}"
bold = "*/bold.nii.gz"
extract = "whole-brain"
mask = "mask.nii.gz"
smoothing_mm = 0
{rest}
[features]
source = "events"
folder = "{FOLDER}"
pattern = "*/events.tsv"
[samples]
tr = 2.5
""")
    return real, plan(ProblemSettings.read(config))


def test_haxby2001_through_the_same_path(tmp_path):
    real, planned = haxby(tmp_path, 'motion = "*/motion.txt"')
    problem = build(planned, tmp_path / "p")
    np.testing.assert_array_equal(problem.X, real.X)
    np.testing.assert_array_equal(problem.runs, real.runs)
    assert problem.target_names == real.target_names
    assert problem.meta["features"] == real.meta["features"]
    train, test = data.run_split(problem, test_runs=(11, 12)).apply(problem)
    model = RidgeCV(alphas=data.THESIS_ALPHAS).fit(train.X, train.Y)
    found = summary(pearson_r(test.Y, model.predict(test.X)))
    # Less than the 0.73 of detrended voxels: motion follows the stimulus and takes some along.
    assert model.alpha_ == 1.0
    assert round(found["max"], 2) == 0.53
    assert round(found["mean"], 2) == 0.15
    # In every run what was regressed out is gone: the correlation with it is nothing.
    design = confounds.of_motion(FOLDER / "run-03" / "motion.txt", 2.5, 121)
    Y = problem.Y[problem.runs == 3]
    varies = design.std(axis=0) > 0
    left = (design - design.mean(axis=0))[:, varies].T @ Y
    left /= np.linalg.norm((design - design.mean(axis=0))[:, varies], axis=0)[:, None]
    assert np.abs(left / np.linalg.norm(Y, axis=0)).max() < 1e-5


def test_motion_files_that_do_not_fit(tmp_path):
    with pytest.raises(confounds.NoConfoundsError, match=r"none\.txt"):
        confounds.of_motion(tmp_path / "none.txt", 2.5, 3)
    path = tmp_path / "motion.txt"
    np.savetxt(path, np.ones((3, 5)))
    with pytest.raises(InputError, match=r"3 × 5 .* 4 × 6"):
        confounds.of_motion(path, 2.5, 4)
    path.write_text("a b c\n")
    with pytest.raises(InputError, match=r"motion\.txt"):
        confounds.of_motion(path, 2.5, 1)


def test_runs_without_motion_are_left_out(tmp_path):
    with pytest.raises(InputError, match=r"movement\.txt"):
        haxby(tmp_path, 'motion = "*/movement.txt"')
