"""docs/walkthrough.md: its commands are run, in order, and give what it says."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from pathlib import Path

import nibabel
import numpy as np
import pytest

from bench_core.accuracy import plotting
from bench_core.brain.example import PLANTED, brain, parcels
from tests.brain.docs_figures import FIGURES, PICTURES
from tests.brain.walkthrough_page import blocks, run_page

DRAWN = ("draw_slices", "draw_glass_brain", "draw_surface")


def once(draw):
    """Return ``draw`` of one map; further maps get a copy of its picture.

    Pictures take a third of the page's time. What is drawn of a map, tests/accuracy tells.
    """
    kept = []

    def drawn(image, path, *options):
        if kept:
            path.write_bytes(kept[0])
        else:
            draw(image, path, *options)
            kept.append(path.read_bytes())

    return drawn


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Run the page in an empty folder, of two subjects and with one picture of each kind."""
    before, path = Path.cwd(), list(sys.path)
    os.chdir(tmp_path_factory.mktemp("walkthrough"))
    with pytest.MonkeyPatch.context() as patch:
        for name in DRAWN:
            patch.setattr(plotting, name, once(getattr(plotting, name)))
        try:
            run_page(subjects=2)
            yield Path.cwd()
        finally:
            os.chdir(before)
            sys.path[:] = path


def test_the_page_s_settings_are_those_of_the_file(study):
    for (_, text), name in zip(blocks("toml"), ("parcels", "spaces", "subjects"), strict=True):
        text = text.replace('["01", "02", "03"]', '["01", "02"]')
        assert tomllib.loads(text) == tomllib.loads((study / f"{name}.toml").read_text())


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


def inside(name):
    """Return the parcels of a planted box."""
    labels = parcels()
    return np.unique(labels[PLANTED[name].box][brain()[PLANTED[name].box]]) - 1


def test_the_planted_layer_wins_where_it_was_planted(study):
    folder = study / "layers" / "parcels"
    found = json.loads((folder / "layers.json").read_text())
    assert [row["layer"] for row in found["layers"]] == ["first", "second"]
    for row in found["layers"]:
        assert row["fit_s"] > 0
        assert row["peak_bytes"] > 0
        assert row["stored_bytes"] > 0
    preferred = np.load(folder / "preferred.npy")
    r = np.load(folder / "r.npy")
    for number, name in enumerate(("early", "late")):
        assert (preferred[inside(name)] == number + 1).all()
        assert (r[number, inside(name)] > 0.5).all()
        assert (np.abs(r[1 - number, inside(name)]) < 0.4).all()
        shown = nibabel.load(folder / "preferred.nii.gz").get_fdata()[PLANTED[name].box]
        assert (shown[np.isfinite(shown)] == number + 1).all()
        best = [row["preferred"] for row in found["regions"] if row["region"] - 1 in inside(name)]
        assert set(best) == {("first", "second")[number]}
    assert (folder / "preferred.png").stat().st_size > 5_000
    assert (folder / "layers.svg").stat().st_size > 5_000


def test_the_planted_space_explains_where_it_was_planted(study):
    folder = study / "results" / "spaces"
    assert json.loads((folder / "record.json").read_text())["status"] == "ok"
    unique, r = np.load(folder / "space_unique.npy"), np.load(folder / "space_r.npy")
    # The problem and its predictions are in float32.
    assert np.allclose(r.sum(axis=0), np.load(folder / "r.npy"), atol=1e-4)
    for number, name in enumerate(("early", "late")):
        targets = inside(name)
        assert (unique[number, targets] > 0.3).all()
        assert (np.abs(unique[1 - number, targets]) < 0.1).all()
    maps = {path.name for path in folder.glob("space_unique-*-map.nii.gz")}
    assert maps == {"space_unique-first-map.nii.gz", "space_unique-second-map.nii.gz"}


def test_the_planted_parcels_stand_out_in_every_subject(study):
    out = study / "results" / "subjects"
    values = json.loads((out / "subjects.json").read_text())
    assert [row["subject"] for row in values["subjects"]] == ["sub-01", "sub-02"]
    trained, shuffled = (
        np.array(values["regions"][name], float) for name in ("trained", "shuffled")
    )
    assert trained.shape == shuffled.shape == (122, 2)
    planted = np.concatenate([inside(name) for name in PLANTED])
    assert (trained[planted] > 0.5).all()
    assert (np.abs(shuffled[planted]) < 0.4).all()
    for column in trained.T:
        assert set(np.argsort(column)[-len(planted) :]) == set(planted)
    maps = np.array(values["between"]["r"])
    assert np.allclose(maps, np.corrcoef(trained.T), atol=1e-6)
    assert (maps > 0.2).all()  # two of 122 parcels are all that they share
    found = json.loads((out / "accuracy" / "subjects.json").read_text())
    assert all(row["significant"] >= len(planted) for row in found["subjects"])


def test_the_pictures_of_the_docs_are_those_of_the_page(study):
    for place, name in PICTURES.items():
        assert (study / place).stat().st_size > 5_000
        assert (FIGURES / name).is_file(), "python -m tests.brain.docs_figures"
