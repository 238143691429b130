"""The TOML file: errors name the key and the remedy; documented examples are read."""

from __future__ import annotations

import pytest

from bench_core.brain.settings import ProblemSettings
from bench_core.errors import InputError, UnknownNameError

GOOD = """
[targets]
source = "fmriprep"
folder = "derivatives"
subject = "01"
extract = "parcels"
labels = "mist.nii.gz"
[features]
source = "store"
folder = "features"
"""


@pytest.fixture
def read(tmp_path):
    def made(text):
        path = tmp_path / "study.toml"
        path.write_text(text, encoding="utf-8")
        return ProblemSettings.read(path)

    return made


def test_the_thesis_s_values_are_the_defaults(read, tmp_path):
    settings = read(GOOD)
    assert settings.name == "study"
    assert settings.out is None
    assert settings.dtype == "float32"
    assert settings.targets.folder == tmp_path / "derivatives"
    assert settings.targets.smoothing_mm == 8
    assert settings.targets.standardize == "zscore_sample"
    assert settings.targets.confounds == ("motion", "high_pass")
    assert settings.targets.motion == "full"
    assert settings.samples.tr == 1.49
    assert settings.samples.alignment().delays == (1, 2, 3, 4)
    assert settings.pairing.tolerance_trs == 1


@pytest.mark.parametrize(
    ("old", "new", "error", "words"),
    [
        ('extract = "parcels"', "", InputError, r"targets\.extract"),
        ('labels = "mist.nii.gz"', "", InputError, r"targets\.labels"),
        ('subject = "01"', "subject = 1", InputError, r"targets\.subject is 1"),
        ('extract = "parcels"', 'extract = "parcel"', UnknownNameError, "'parcel'"),
        (
            "[features]",
            "smothing_mm = 6\n[features]",
            UnknownNameError,
            r"\[targets\] 'smothing_mm'",
        ),
        (
            "[features]",
            'smoothing_mm = "6"\n[features]',
            InputError,
            "smoothing_mm is '6'",
        ),
        ("[features]", "smoothing_mm = -1\n[features]", InputError, r"smoothing_mm is -1\.0"),
        ("[features]", 'task = "a"\n[features]', InputError, r"targets\.task is 'a'"),
        ("[features]", "numbers = [1]\n[features]", InputError, r"targets\.numbers"),
        ("[features]", 'mask = "m.nii"\n[features]', InputError, r"targets\.mask"),
        (
            'source = "store"',
            'source = "stor"',
            UnknownNameError,
            r"features\.source 'stor'",
        ),
        ('source = "store"', "", InputError, r"features\.source"),
        ("[targets]", "[target]", UnknownNameError, "'target'"),
        (GOOD[: GOOD.index("[features]")], "", InputError, r"targets\.source"),
        ("[targets]", "dtype = 'half'\n[targets]", UnknownNameError, "dtype 'half'"),
        ("[targets]", "seed = 1\n[targets]", UnknownNameError, "'seed'"),
        ("[features]", "[samples]\nwindow = 0\n[features]", None, "window 0"),
        ("[features]", "[samples]\nwindow = 2.5\n[features]", InputError, r"window is 2\.5"),
        ("[features]", "[samples]\nwindow = true\n[features]", InputError, "window is True"),
        (
            "[features]",
            "[pairing]\ntolerance_trs = -1\n[features]",
            InputError,
            r"tolerance_trs is -1",
        ),
        ("[features]", '[pairing]\nstimulus = "{task"\n[features]', InputError, r"\{task"),
        ("[features]", '[pairing]\nstimulus = "{a.b}"\n[features]', InputError, r"\{a\.b\}"),
        ("[features]", "[features", InputError, "TOML"),
    ],
)
def test_errors_name_the_key(read, old, new, error, words):
    text = GOOD.replace(old, new, 1)
    if error is None:
        with pytest.raises(InputError, match=words):
            read(text).samples.alignment()
        return
    with pytest.raises(error, match=words) as caught:
        read(text)
    assert "study.toml" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.toml"):
        ProblemSettings.read(tmp_path / "nowhere.toml")


def test_every_key_is_documented():
    from dataclasses import fields
    from pathlib import Path

    from bench_core.brain.settings import FEATURES, TARGETS, PairingSettings, SampleSettings

    page = (Path(__file__).parents[2] / "docs" / "problems.md").read_text(encoding="utf-8")
    page = page[page.index("## From fMRI data") :]
    for section in (*TARGETS.values(), *FEATURES.values(), SampleSettings, PairingSettings):
        for field in fields(section):
            assert f"`{field.name}`" in page, f"{section.__name__}.{field.name}"
    for source in (*TARGETS, *FEATURES):
        assert f'`"{source}"`' in page
