"""Time courses that were extracted before, and features of the user's own."""

from __future__ import annotations

import h5py
import nibabel
import numpy as np
import pytest

from bench_core.brain.build import build, plan
from bench_core.brain.settings import ProblemSettings
from bench_core.errors import InputError

RNG = np.random.default_rng(0)
SERIES = {
    ("ses-001", "task-s01e01a"): RNG.standard_normal((30, 6)) * 5 + 100,
    ("ses-001", "task-s01e01b"): RNG.standard_normal((26, 6)),
    ("ses-002", "task-s01e02a"): RNG.standard_normal((28, 6)),
}
FEATURES = {
    "s01e01a": RNG.standard_normal((30, 3)).astype(np.float32),
    "s01e01b": RNG.standard_normal((27, 3)).astype(np.float32),
    "s01e02a": RNG.standard_normal((28, 3)).astype(np.float32),
}


@pytest.fixture
def study(tmp_path):
    """Write features and targets in every layout; give a function that builds from a section."""
    (tmp_path / "features").mkdir()
    (tmp_path / "series").mkdir()
    for name, array in FEATURES.items():
        np.save(tmp_path / "features" / f"{name}.npy", array)
    with (
        h5py.File(tmp_path / "cneuromod.h5", "w") as nested,
        h5py.File(tmp_path / "algonauts.h5", "w") as flat,
    ):
        for (session, task), array in SERIES.items():
            nested[f"{session}/{session}_{task}_timeseries"] = array
            flat[f"{session}_{task}"] = array
            np.save(tmp_path / "series" / f"{session}_{task}.npy", array)
        nested["ses-001/connectome"] = np.ones((6, 6))

    def made(targets, rest=""):
        config = tmp_path / "c.toml"
        config.write_text(
            f'dtype = "float64"\n[targets]\n{targets}\n'
            f'[features]\nsource = "npy"\nfolder = "features"\n{rest}'
        )
        return plan(ProblemSettings.read(config))

    made.folder = tmp_path
    return made


SECTIONS = {
    "cneuromod": 'source = "cneuromod-h5"\nfiles = ["cneuromod.h5"]',
    "algonauts": 'source = "algonauts-h5"\nfiles = ["algonauts.h5"]',
    "npy": 'source = "npy"\nfolder = "series"',
}


@pytest.mark.parametrize("layout", SECTIONS)
def test_every_layout_gives_the_same_problem(study, layout):
    problem = build(study(SECTIONS[layout]), study.folder / "p")
    # Run b has a TR of features more than volumes: nothing to drop but the first window.
    assert np.unique(problem.runs, return_counts=True)[1].tolist() == [26, 22, 24]
    for number, ((session, task), array) in enumerate(SERIES.items(), start=1):
        rows = problem.runs == number
        volumes = problem.volumes[rows]
        scaled = (array - array.mean(axis=0)) / array.std(axis=0, ddof=1)
        np.testing.assert_allclose(problem.Y[rows], scaled[volumes], atol=1e-12)
        features = FEATURES[task.removeprefix("task-")]
        for k, delay in enumerate(problem.meta["delays"]):
            np.testing.assert_array_equal(
                problem.X[rows, 3 * k : 3 * (k + 1)], features[volumes - delay]
            )
        assert problem.meta["pairing"][number - 1]["name"] == f"{session}_{task}"
    assert problem.target_names[:2] == ["parcel 1", "parcel 2"]
    assert problem.space is None


def test_as_they_are(study):
    problem = build(study(f"{SECTIONS['npy']}\nstandardize = false"), study.folder / "p")
    np.testing.assert_array_equal(problem.Y[:26], SERIES["ses-001", "task-s01e01a"][4:])


def test_sessions_are_taken_from_the_group_where_the_run_lacks_them(study):
    with h5py.File(study.folder / "other.h5", "w") as file:
        file["ses-001/task-s01e01a_timeseries"] = np.ones((30, 2)) * np.arange(30)[:, None]
    planned = study('source = "cneuromod-h5"\nfiles = ["other.h5"]')
    assert [run.pair.run.name for run in planned.runs] == ["ses-001_task-s01e01a"]


def test_labels_give_them_a_place(study):
    labels = np.zeros((4, 4, 4), np.int16)
    labels.ravel()[:12] = np.repeat([5, 6, 7, 10, 20, 30], 2)
    nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), study.folder / "atlas.nii.gz")
    problem = build(
        study(f'{SECTIONS["npy"]}\nlabels = "atlas.nii.gz"\ntemplate = "MNI152"'),
        study.folder / "p",
    )
    volume = problem.space.volume(np.arange(6.0))
    assert volume.ravel()[:12].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert np.isnan(volume.ravel()[12:]).all()
    labels[labels == 30] = 0
    nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), study.folder / "atlas.nii.gz")
    with pytest.raises(InputError, match=r"5 labels .* 6 columns"):
        study(f'{SECTIONS["npy"]}\nlabels = "atlas.nii.gz"')


def test_errors_name_the_file(study):
    folder = study.folder
    (folder / "cut.h5").write_bytes((folder / "cneuromod.h5").read_bytes()[:500])
    with pytest.raises(InputError, match=r"cut\.h5"):
        study('source = "cneuromod-h5"\nfiles = ["cut.h5"]')
    with pytest.raises(InputError, match=r"algonauts\.h5"):
        study('source = "cneuromod-h5"\nfiles = ["algonauts.h5"]')
    with pytest.raises(InputError, match="ses-001_task-s01e01a"):
        study('source = "algonauts-h5"\nfiles = ["algonauts.h5", "algonauts.h5"]')
    with pytest.raises(InputError, match=r"samples\.tr is 1\.49 s(.|\n)* 2 s \(targets\.tr\)"):
        study(f"{SECTIONS['npy']}\ntr = 2.0")
    np.save(folder / "series" / "ses-003_task-s01e02a.npy", np.ones((28, 5)))
    with pytest.raises(InputError, match=r"ses-003_task-s01e02a.*5"):
        study(SECTIONS["npy"])


def test_nan_is_named_with_its_volume(study):
    array = SERIES["ses-001", "task-s01e01b"].copy()
    array[7, 2] = np.nan
    np.save(study.folder / "series" / "ses-001_task-s01e01b.npy", array)
    with pytest.raises(InputError, match=r"s01e01b.*nan.*volume 7.*target 2"):
        build(study(SECTIONS["npy"]), study.folder / "p")


def test_features_that_do_not_fit(study):
    np.save(study.folder / "features" / "s01e02a.npy", np.ones((28, 4)))
    with pytest.raises(InputError, match=r"s01e02a\.npy has 4"):
        study(SECTIONS["npy"])
    np.save(study.folder / "features" / "s01e02a.npy", np.full((28, 3), np.inf))
    with pytest.raises(InputError, match="inf in row 0, column 0"):
        build(study(SECTIONS["npy"]), study.folder / "p")


def test_a_scan_that_began_before_the_video(study):
    """Volume 3 was acquired as the video began: windows start there."""
    late = {"s01e01a": 27, "s01e01b": 23, "s01e02a": 25}
    for name, n in late.items():
        np.save(study.folder / "features" / f"{name}.npy", FEATURES[name][:n])
    problem = build(study(SECTIONS["npy"], "[samples]\nfirst = -3"), study.folder / "p")
    assert problem.volumes[problem.runs == 1].tolist() == list(range(7, 30))
    np.testing.assert_array_equal(problem.X[0, :3], FEATURES["s01e01a"][7 - 3 - 1])


def test_volumes_that_were_never_written_are_refused(study):
    with h5py.File(study.folder / "algonauts.h5", "a") as file:
        name = "ses-002_task-s01e02a"
        del file[name]
        file.create_dataset(name, (28, 6), "f8", chunks=(7, 6))[:14] = SERIES["ses-002", name[8:]][
            :14
        ]
    with pytest.raises(InputError, match="2 of 4 chunks"):
        build(study(SECTIONS["algonauts"]), study.folder / "p")
