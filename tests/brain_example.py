"""Fixtures on the example data set: written once, with features, and TOML files that vary it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench_core.brain.build import build, plan
from bench_core.brain.example import write_example
from bench_core.brain.settings import ProblemSettings


@pytest.fixture(scope="session")
def example(tmp_path_factory):
    """Folder with videos, fMRIPrep output, atlas, and features of the bars encoder."""
    return _once("example", lambda: _write(tmp_path_factory))


_MADE: dict[str, object] = {}


def _once(name, make):
    """Return what `make` returned first: two folders of tests import these fixtures."""
    if name not in _MADE:
        _MADE[name] = make()
    return _MADE[name]


def _write(tmp_path_factory):
    folder = tmp_path_factory.mktemp("brain") / "example"
    write_example(folder)
    sys.path.insert(0, str(folder / "encoder"))
    try:
        from encoders.encode import encode
        from encoders.registry import make
        from encoders.store import FeatureStore

        videos = {path.stem: path for path in sorted((folder / "stimuli").glob("*.mkv"))}
        encode(videos, make("bars"), ["bars"], FeatureStore(folder / "features"), batch=64)
    finally:
        sys.path.remove(str(folder / "encoder"))
    return folder


class Example:
    """Writes TOML files for the example data set, and builds what they say."""

    def __init__(self, data: Path, out: Path):
        self.data, self.out, self.count = data, out, 0

    def settings(self, targets="", samples="", pairing="", top="", folder=None) -> ProblemSettings:
        self.count += 1
        path = self.out / f"config{self.count}.toml"
        path.write_text(
            f"""
{top}
[targets]
source = "fmriprep"
folder = "{folder or self.data / "fmriprep"}"
subject = "01"
{targets}
[features]
source = "store"
folder = "{self.data / "features"}"
[samples]
{samples}
[pairing]
{pairing}
""",
            encoding="utf-8",
        )
        return ProblemSettings.read(path)

    def build(self, *args, **keys):
        return build(plan(self.settings(*args, **keys)), self.out / f"problem{self.count}")

    @property
    def parcels(self) -> str:
        return f'extract = "parcels"\nlabels = "{self.data / "atlas.nii.gz"}"'


@pytest.fixture
def brain(example, tmp_path):
    return Example(example, tmp_path)


@pytest.fixture(scope="session")
def built(example, tmp_path_factory):
    """The example's two problems, parcels and whole brain."""
    return _once("built", lambda: _build(example, tmp_path_factory))


def _build(example, tmp_path_factory):
    made = Example(example, tmp_path_factory.mktemp("built"))
    return {
        "parcels": made.build(made.parcels),
        "whole-brain": made.build('extract = "whole-brain"\nmask = "anat"'),
        "folder": made.out,
    }
