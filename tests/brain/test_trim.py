"""Runs longer than their stimulus: surplus volumes are cut off before cleaning, and said."""

from __future__ import annotations

import numpy as np
import pytest
from nilearn.signal import clean
from small_images import TR, SmallImages, zscored

from bench_core.brain.build import build, plan
from bench_core.brain.confounds import of_motion
from bench_core.brain.settings import ProblemSettings
from bench_core.errors import InputError

FILM = 60
TRIM = '[pairing]\ntrim = "end"'


@pytest.fixture
def images(tmp_path):
    """Two runs of 80 volumes; the film of the first has 60 TRs, and what follows is stronger."""
    made = SmallImages(tmp_path, volumes=80)
    np.save(tmp_path / "run-1.npy", np.random.default_rng(1).random((FILM, 3)))
    data = made.data["run-1"].copy()
    data[..., FILM:] += 500
    made.write("run-1", data)
    return made


def test_surplus_volumes_do_not_enter_the_scale(images):
    with pytest.raises(InputError, match=r"run-1(.|\n)*differ by 20(.|\n)*pairing\.trim"):
        images.plan()
    problem = images.build("smoothing_mm = 0", rest=TRIM)
    series = images.data["run-1"][images.inside].T.astype(np.float64)
    truth = zscored(series[:FILM])
    np.testing.assert_allclose(problem.Y[problem.runs == 1], truth[1:], atol=1e-5)
    rows = problem.meta["pairing"]
    assert [row["trimmed"] for row in rows] == [20, 0]
    assert [row["volumes"] for row in rows] == [80, 80]
    assert [row["unsteady"] for row in rows] == [0, 0]
    assert "20 volumes" in rows[0]["notes"][0]


def test_surplus_volumes_do_not_enter_the_regression(images):
    estimates = np.random.default_rng(2).standard_normal((80, 6))
    for name in ("run-1", "run-2"):
        np.savetxt(images.folder / f"{name}.txt", estimates)
    problem = images.build('smoothing_mm = 0\nmotion = "*.txt"', rest=TRIM)
    confounds = of_motion(images.folder / "run-1.txt", TR, 80)[:FILM]
    series = images.data["run-1"][images.inside].T.astype(np.float64)[:FILM]
    truth = clean(series, detrend=False, confounds=confounds, standardize="zscore_sample")
    np.testing.assert_allclose(problem.Y[problem.runs == 1], truth[1:], atol=1e-6)


def test_time_courses_are_cut_before_they_are_scaled(tmp_path):
    rng = np.random.default_rng(0)
    series = rng.standard_normal((80, 4))
    series[FILM:] += 100
    for folder, array in (("series", series), ("films", rng.random((FILM, 2)))):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "a.npy", array)
    config = tmp_path / "c.toml"
    config.write_text(f"""
dtype = "float64"
[targets]
source = "npy"
folder = "series"
[features]
source = "npy"
folder = "films"
[samples]
window = 1
{TRIM}
""")
    problem = build(plan(ProblemSettings.read(config)), tmp_path / "p")
    np.testing.assert_allclose(problem.Y, zscored(series[:FILM])[1:], atol=1e-12)
    assert problem.volumes.tolist() == list(range(1, FILM))
