"""A report where packages for maps are absent: nothing that was computed is lost."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from bench_core import data
from bench_core.accuracy import FitResult
from bench_core.accuracy.report import AccuracyRequest, accuracy_report
from bench_core.data import Problem
from bench_core.errors import InputError


@pytest.fixture
def fit(tmp_path: Path) -> Path:
    """Return the folder of a fit whose problem has positions of its targets."""
    rng = np.random.default_rng(0)
    space = data.TargetSpace.of_mask(np.ones((2, 2, 2)), np.eye(4), template="MNI152")
    X, Y = rng.normal(size=(40, 3)), rng.normal(size=(40, 8))
    Problem(X=X, Y=Y, runs=np.repeat([0, 1], 20), name="small", space=space).save(tmp_path / "p")
    train, test = np.arange(20), np.arange(20, 40)
    predicted = rng.normal(size=(20, 8))
    FitResult(tmp_path / "p", "ridge", train, test, predicted, np.full(8, 10.0)).save(
        tmp_path / "fit"
    )
    return tmp_path / "fit"


@pytest.mark.parametrize(
    ("absent", "maps"), [("nilearn", True), ("matplotlib", True), ("nibabel", False)]
)
def test_what_needs_an_absent_package_is_left_out_and_the_rest_is_written(
    absent: str, maps: bool, fit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == absent]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, absent, None)
    found = accuracy_report(fit, AccuracyRequest(permutations=3))
    (reason,) = found["not drawn"].values()
    assert absent in reason
    written = {path.name for path in (fit / "accuracy").iterdir()}
    assert {"accuracy.json", "targets.tsv"} <= written
    assert ("r.nii.gz" in written) == maps
    assert not any(name.endswith(".png") for name in written)
    if not maps:
        with pytest.raises(InputError, match="nibabel"):
            accuracy_report(fit, AccuracyRequest(regions=fit / "atlas.nii.gz"))
