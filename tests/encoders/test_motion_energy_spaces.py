"""Motion energy as any encoder: stored layers of films, a problem of two spaces, banded ridge."""

from __future__ import annotations

import numpy as np
import pytest
from gratings import grating, write_film

from bench_core.brain.build import build, plan
from bench_core.brain.settings import ProblemSettings
from bench_core.ridge.banded import BandedRidgeCV
from encoders.encode import encode
from encoders.plugins.motion_energy import MotionEnergy
from encoders.store import FeatureStore

TR, RATE, TRS, DELAY = 0.8, 15.0, 50, 2
LAYERS = {"moving": "tf-4", "still": "tf-0"}
CONFIG = f"""
[targets]
source = "npy"
folder = "targets"
[samples]
tr = {TR}
window = 1
start = {DELAY}
[features]
source = "spaces"
""" + "".join(
    f'[features.spaces.{name}]\nsource = "store"\nfolder = "features"\nlayer = "{layer}"\n'
    for name, layer in LAYERS.items()
)


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    """Films of gratings that stand or move at random, and a target that follows each space."""
    folder, rng = tmp_path_factory.mktemp("spaces"), np.random.default_rng(0)
    films = {}
    for name in ("a", "b", "c"):
        of_tr = (np.arange(round(TRS * TR * RATE)) / RATE / TR).astype(int)
        hertz, amplitude = rng.choice([0.0, 4.0], TRS)[of_tr], rng.uniform(0, 0.45, TRS)[of_tr]
        frames = grating((24, 32), 4, 90, np.cumsum(hertz) / RATE, amplitude)
        times = (np.arange(len(frames)) / RATE).tolist()
        films[name] = write_film(folder / f"{name}.mkv", frames, times)
    encoder = MotionEnergy(tr=TR, size=[24, 32], spatial_frequencies=[4], compression="sqrt")
    found = encode(films, encoder, list(LAYERS.values()), FeatureStore(folder / "features"), tr=TR)
    (folder / "targets").mkdir()
    targets = {name: rng.normal(0, 1, (TRS, 2)) for name in films}
    for each in found:
        # The filter of the film's own direction, or orientation.
        (own,) = (
            number
            for number, one in enumerate(encoder.filters_of(each.features.layer))
            if one.direction == 90 and one.x == min(one.x for one in encoder.filters)
        )
        space = list(LAYERS.values()).index(each.features.layer)
        shown = each.features.read()[:, own]
        kept = each.features.trs + DELAY < TRS
        rows = each.features.trs[kept] + DELAY
        targets[each.features.run][rows, space] += 2 * ((shown - shown.mean()) / shown.std())[kept]
    for name, values in targets.items():
        np.save(folder / "targets" / f"{name}.npy", values)
    (folder / "config.toml").write_text(CONFIG, encoding="utf-8")
    return build(plan(ProblemSettings.read(folder / "config.toml")), folder / "problem")


def test_each_target_is_explained_by_the_space_that_it_follows(problem):
    spaces = problem.feature_spaces
    assert spaces.names == tuple(LAYERS)
    test = problem.runs == 3
    model = BandedRidgeCV(
        np.logspace(-1, 4, 6),
        spaces=spaces.numbers(),
        candidates=10,
        refine=0,
        alpha_per_target=True,
    ).fit(problem.X[~test], problem.Y[~test])
    found = model.space_scores(problem.X[test], problem.Y[test])
    for target in (0, 1):
        assert found.unique[target, target] > 0.3
        assert abs(found.unique[1 - target, target]) < 0.1
