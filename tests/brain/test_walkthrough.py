"""docs/walkthrough.md: its commands are run, in order, and give what it says."""

from __future__ import annotations

import glob
import json
import os
import re
import shlex
import sys
import tomllib
from pathlib import Path

import nibabel
import numpy as np
import pytest

from bench_core.brain.example import PLANTED, brain
from bench_core.cli import cli

PAGE = Path(__file__).parents[2] / "docs" / "walkthrough.md"


def blocks(kind):
    text = PAGE.read_text(encoding="utf-8")
    return [
        (match.start(), match[1])
        for match in re.finditer(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    ]


def steps():
    """Return ("console", line) and ("python", text) in the order of the page."""
    found = [
        (place, "console", line[2:])
        for place, text in blocks("console")
        for line in text.splitlines()
        if line.startswith("$ ")
    ]
    found += [(place, "python", text) for place, text in blocks("python")]
    return [(kind, text) for _, kind, text in sorted(found, key=lambda step: step[0])]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Run the page in an empty folder and give what the commands printed."""
    before, path = Path.cwd(), list(sys.path)
    os.chdir(tmp_path_factory.mktemp("walkthrough"))
    try:
        for kind, text in steps():
            if kind == "python":
                exec(compile(text, str(PAGE), "exec"), {})
                continue
            words = [
                each
                for word in shlex.split(text)
                for each in (sorted(glob.glob(word)) if "*" in word else [word])
            ]
            if words[0] == "cd":
                os.chdir(words[1])
            elif words[0] == "export":
                name, value = words[1].split("=")
                assert name == "PYTHONPATH"
                sys.path.insert(0, str(Path(value).resolve()))
            else:
                assert words[0] == "ridgebench"
                try:
                    cli.main(words[1:], standalone_mode=False)
                except SystemExit as ended:  # some commands say with their status what came out
                    if ended.code:
                        raise
        yield Path.cwd()
    finally:
        os.chdir(before)
        sys.path[:] = path


def test_the_page_s_settings_are_those_of_the_file(study):
    ((_, text),) = blocks("toml")
    assert tomllib.loads(text) == tomllib.loads((study / "parcels.toml").read_text())


@pytest.mark.parametrize("name", ["parcels", "whole-brain"])
def test_the_map_shows_what_was_planted_and_nothing_else(study, name):
    folder = study / "results" / name / "accuracy"
    r = nibabel.load(folder / "r.nii.gz").get_fdata()
    far = brain()
    for planted in PLANTED.values():
        assert r[planted.box].mean() > (0.6 if name == "parcels" else 0.4)
        far[tuple(slice(max(0, b.start - 2), b.stop + 2) for b in planted.box)] = False
    assert abs(r[far].mean()) < 0.03
    significant = np.isfinite(nibabel.load(folder / "r_significant.nii.gz").get_fdata())
    for planted in PLANTED.values():
        assert significant[planted.box].mean() > 0.8
    assert significant[far].mean() < 0.01
    for figure in ("slices", "glass_brain", "surface"):
        assert (folder / f"r_{figure}.png").stat().st_size > 10_000


def test_the_figures_are_those_of_the_fit(study):
    found = json.loads((study / "results/whole-brain/accuracy/accuracy.json").read_text())
    assert found["samples"] == {"train": 219, "test": 132}
    assert found["null"]["refit_difference"] < 1e-5
    assert found["ceiling"]["repeats"] == 2
    assert {"slices", "surface"}.isdisjoint(found["not drawn"])
    assert (study / "results/whole-brain/accuracy/region_r.nii.gz").is_file()
