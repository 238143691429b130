"""Building: interruptions, damage, mismatches, memory."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap

import nibabel
import numpy as np
import pytest

from bench_core.brain.build import build, plan
from bench_core.brain.example import SPACE
from bench_core.brain.settings import ProblemSettings
from bench_core.data import Problem
from bench_core.errors import InputError, UnknownNameError

FEW = 'task = ["s01e02*"]'


@pytest.fixture
def copy(example, tmp_path):
    """Give a copy of the fMRIPrep folder to damage."""
    return shutil.copytree(example / "fmriprep", tmp_path / "copy")


def image(folder, task):
    (path,) = folder.glob(f"sub-01/*/func/*ses-00?_task-{task}_space-{SPACE}*bold.nii.gz")
    return path


class Stop(Exception):
    pass


def test_interrupted_it_goes_on_with_the_next_run(brain, built, monkeypatch):
    planned = plan(brain.settings(brain.parcels))
    folder = brain.out / "problem"
    kind = type(planned.targets)
    real, read = kind.read, []

    def stop(self, run):
        if len(read) == 2:
            raise Stop
        read.append(run.name)
        return real(self, run)

    monkeypatch.setattr(kind, "read", stop)
    with pytest.raises(Stop):
        build(planned, folder)
    assert not folder.exists()
    assert (brain.out / ".problem.building").is_dir()

    def count(self, run):
        read.append(run.name)
        return real(self, run)

    monkeypatch.setattr(kind, "read", count)
    seen = []
    problem = build(
        plan(brain.settings(brain.parcels)), folder, progress=lambda *step: seen.append(step)
    )
    assert len(read) == len(set(read)) == 5
    assert [done for _, done, _ in seen] == [0, 1, 2, 3, 4, 5]
    assert not (brain.out / ".problem.building").exists()
    assert sorted(path.name for path in folder.iterdir())[0] != ".journal"
    np.testing.assert_array_equal(problem.Y, built["parcels"].Y)
    np.testing.assert_array_equal(problem.X, built["parcels"].X)
    np.testing.assert_array_equal(problem.runs, built["parcels"].runs)


def test_other_settings_or_files_start_anew(brain, copy, monkeypatch):
    first = plan(brain.settings(f"{brain.parcels}\n{FEW}", folder=copy))
    again = plan(brain.settings(f"{brain.parcels}\n{FEW}", folder=copy))
    assert first.key() == again.key()
    other = plan(brain.settings(f"{brain.parcels}\n{FEW}\nsmoothing_mm = 6", folder=copy))
    assert other.key() != first.key()
    path = image(copy, "s01e02a")
    nibabel.save(nibabel.load(path).slicer[..., :80], path)
    table = next(copy.glob("sub-01/ses-001/func/*s01e02a_desc-confounds_timeseries.tsv"))
    table.write_text("\n".join(table.read_text().splitlines()[:81]) + "\n")
    changed = plan(brain.settings(f"{brain.parcels}\n{FEW}", folder=copy))
    assert changed.key() != first.key()


def test_an_image_that_breaks_off_is_named_and_what_was_done_is_kept(brain, copy):
    path = image(copy, "s01e02b")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    settings = brain.settings(f"{brain.parcels}\n{FEW}", folder=copy)
    with pytest.raises(InputError, match="s01e02b"):
        build(plan(settings), brain.out / "p")
    assert not (brain.out / "p").exists()
    left = brain.settings(f"{brain.parcels}\n{FEW}", folder=copy, pairing='exclude = ["*s01e02b"]')
    problem = build(plan(left), brain.out / "p")
    assert problem.t == 77
    rows = {row["name"]: row.get("left_out") for row in problem.meta["pairing"]}
    assert rows["sub-01_ses-002_task-s01e02b"] == "excluded by pairing.exclude"


def test_an_image_cut_before_its_header_can_be_excluded(brain, copy):
    path = image(copy, "s01e02b")
    path.write_bytes(path.read_bytes()[:10])
    with pytest.raises(InputError, match="s01e02b"):
        plan(brain.settings(f"{brain.parcels}\n{FEW}", folder=copy))
    left = brain.settings(f"{brain.parcels}\n{FEW}", folder=copy, pairing='exclude = ["*s01e02b"]')
    assert plan(left).t == 77


def test_a_scan_that_was_stopped_early_is_an_error_not_a_resampling(brain, copy):
    path = image(copy, "s01e02a")
    nibabel.save(nibabel.load(path).slicer[..., :60], path)
    with pytest.raises(InputError, match=r"60 volumes .* 81 rows"):
        plan(brain.settings(f"{brain.parcels}\n{FEW}", folder=copy))
    table = next(copy.glob("sub-01/ses-001/func/*s01e02a_desc-confounds_timeseries.tsv"))
    table.write_text("\n".join(table.read_text().splitlines()[:61]) + "\n")
    with pytest.raises(InputError, match="differ by 20"):
        plan(brain.settings(f"{brain.parcels}\n{FEW}", folder=copy))
    loose = brain.settings(f"{brain.parcels}\n{FEW}", folder=copy, pairing="tolerance_trs = 20")
    planned = plan(loose)
    assert planned.runs[0].volumes.tolist() == list(range(4, 60))


def test_lengths_may_differ_by_one_tr_and_no_more(brain):
    plan(brain.settings(f'{brain.parcels}\ntask = ["s01e02a"]'))
    strict = brain.settings(f'{brain.parcels}\ntask = ["s01e02a"]', pairing="tolerance_trs = 0")
    with pytest.raises(InputError, match=r"differ by 1\b"):
        plan(strict)


def test_confounds_without_the_columns_leave_the_run_out(brain, copy):
    table = next(copy.glob("sub-01/ses-001/func/*s01e02a_desc-confounds_timeseries.tsv"))
    table.write_text(table.read_text().replace("trans_x", "translation"))
    planned = plan(brain.settings(f"{brain.parcels}\n{FEW}", folder=copy))
    reasons = {each.name: each.reason for each in planned.exclusions}
    assert "trans_x" in reasons["sub-01_ses-001_task-s01e02a"]


def test_another_grid_is_an_error(brain, copy):
    path = image(copy, "s01e02b")
    bold = nibabel.load(path)
    affine = bold.affine.copy()
    affine[0, 3] += 1
    nibabel.save(nibabel.Nifti1Image(np.asarray(bold.dataobj), affine, bold.header), path)
    settings = brain.settings(f"{brain.parcels}\n{FEW}", folder=copy)
    with pytest.raises(InputError, match=r"s01e02b.*differs by up to 1"):
        plan(settings)


def test_another_repetition_time_is_an_error(brain):
    with pytest.raises(InputError, match=r"1\.49.*samples\.tr.*2\.0"):
        plan(brain.settings(brain.parcels, samples="tr = 2.0"))


@pytest.mark.parametrize(
    ("targets", "error", "words"),
    [
        ('subject = "02"', InputError, "sub-01"),
        ('space = "MNI"', InputError, "MNI152NLin2009cAsym"),
        ('task = ["rest"]', InputError, "'rest'"),
        ('task = ["s01e03a"]', InputError, "confounds"),
        ('confounds = ["motoin"]', UnknownNameError, "'motoin'"),
    ],
)
def test_what_is_not_there(brain, targets, error, words):
    settings = brain.settings(brain.parcels).path
    name = targets.partition(" = ")[0]
    kept = [line for line in settings.read_text().splitlines() if not line.startswith(name)]
    settings.write_text("\n".join(kept).replace("[targets]", f"[targets]\n{targets}"))
    with pytest.raises(error, match=words):
        plan(ProblemSettings.read(settings))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ('extract = "roi"\nlabels = "{atlas}"\nnumbers = [3, 999]', "999"),
        ('extract = "roi"\nmask = "nowhere.nii.gz"', "nowhere.nii.gz"),
        ('extract = "parcels"\nlabels = "basc:445"', "basc:445"),
    ],
)
def test_masks_and_labels_that_do_not_fit(brain, example, how, words):
    with pytest.raises(InputError, match=words):
        plan(brain.settings(how.format(atlas=example / "atlas.nii.gz")))


def test_basc_comes_through_nilearn_from_its_folder(brain, example, tmp_path):
    folder = tmp_path / "nilearn" / "basc_multiscale_2015"
    folder /= "template_cambridge_basc_multiscale_nii_sym"
    folder.mkdir(parents=True)
    for scale in (7, 12, 20, 36, 64, 122, 197, 325, 444):
        name = f"template_cambridge_basc_multiscale_sym_scale{scale:03d}.nii.gz"
        shutil.copy(example / "atlas.nii.gz", folder / name)
    planned = plan(
        brain.settings(
            f'extract = "parcels"\nlabels = "basc:444"\ndata_dir = "{tmp_path / "nilearn"}"\n{FEW}'
        )
    )
    assert planned.s == 122


def test_memory_stays_near_one_run(tmp_path):
    """Peak memory grows by less than one run's volumes from two runs to six."""
    code = textwrap.dedent(
        f"""
        import resource
        from pathlib import Path
        import nibabel, numpy as np
        from bench_core.brain.build import build, plan
        from bench_core.brain.settings import ProblemSettings

        folder = Path({str(tmp_path)!r})
        rng = np.random.default_rng(0)
        volumes = rng.integers(0, 1000, (30, 30, 30, 120), dtype=np.int16)
        for run in range(6):
            nibabel.save(nibabel.Nifti1Image(volumes, np.eye(4)), folder / f"run{{run}}.nii")
            np.save(folder / f"run{{run}}.npy", np.ones((120, 3)))
        mask = nibabel.Nifti1Image(np.ones((30, 30, 30), np.uint8), np.eye(4))
        nibabel.save(mask, folder / "mask.nii.gz")
        del volumes, mask

        def peak(exclude):
            config = folder / "config.toml"
            config.write_text(f'''
        [targets]
        source = "images"
        folder = "."
        bold = "*.nii"
        tr = 1.49
        extract = "whole-brain"
        mask = "mask.nii.gz"
        [features]
        source = "npy"
        folder = "."
        [pairing]
        exclude = {{exclude}}
        ''')
            planned = plan(ProblemSettings.read(config))
            build(planned, folder / f"problem{{len(planned.runs)}}")
            return len(planned.runs), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

        print(*peak(["run[2-5]"]), *peak([]))
        """
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    few, before, many, after = map(int, found.stdout.split())
    assert (few, many) == (2, 6)
    run = 30**3 * 120 * 4 // 2**20
    assert Problem.open(tmp_path / "problem6").Y.nbytes // 2**20 > 5 * run
    assert after - before < run
