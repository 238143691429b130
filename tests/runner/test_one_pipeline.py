"""The same fit asked for in two ways gives the same record, but for what each keeps."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from bench_core import strategies
from bench_core.data import Problem
from bench_core.errors import InputError
from bench_core.fitting.request import FitRequest
from bench_core.fitting.run import fit
from bench_core.fitting.sources import ProblemSource
from bench_core.measure import FitSpec, measure
from bench_core.records import to_dict

#: What must differ: two runs at two times, under two names.
OWN = {
    "id",
    "key",
    "started",
    "seconds",
    "load",
    "times",
    "memory",
    "bytes_moved",
    "processor",
    "phases",
}


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    """Save a problem that both leave as it is, so that both split the same rows."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((150, 12))
    Y = X @ rng.standard_normal((12, 7)) + rng.standard_normal((150, 7))
    folder = tmp_path_factory.mktemp("problem") / "small"
    Problem.from_arrays(X, Y, np.repeat(range(5), 30), name="small").save(folder)
    return folder


@pytest.mark.parametrize(
    ("strategy", "split"),
    [
        *product(["multitarget", "ridgecv", "bmor"], ["random", "run"]),
        ("ridgecv", "auto"),  # by run: the problem has 5
    ],
)
def test_measure_and_fit_find_the_same(problem, scratch, tmp_path, strategy, split):
    spec = FitSpec(str(problem), strategy, null="skip", split=split)
    measured = to_dict(measure(spec, store=tmp_path / "store", scratch=scratch))
    request = FitRequest(
        strategy,
        ProblemSource(str(problem)),
        tmp_path / "out",
        split=split,
        figures=False,
    )
    fitted = to_dict(fit(request, scratch=scratch).record)
    assert measured["status"] == fitted["status"] == "ok"
    for record in (measured, fitted):
        assert set(record["times"]) == set(measured["times"])
        assert record["memory_needed"].pop("available_bytes") > 0
        for name in ("suite", "options"):  # a fit writes coefficients to a file
            record["case"].pop(name)
        record["machine"].pop("memory")
        assert set(record["bytes_moved"]) == set(measured["bytes_moved"])
    fitted["case"]["problem"]["fingerprint"] = measured["case"]["problem"]["fingerprint"]
    # A measurement also runs RidgeCV, to compare penalties.
    for name in ("same_penalty", "reference_penalty", "note"):
        measured["agreement"].pop(name)
        fitted["agreement"].pop(name)
    if strategy == "multitarget":  # plans for coefficients in memory and in a file differ
        assert measured.pop("plan")["form"] == fitted.pop("plan")["form"]
        measured.pop("memory_needed")
        fitted.pop("memory_needed")
    assert measured["case"]["split"]["kind"] == ("random" if split == "random" else "run")
    assert (measured["case"]["split"]["reason"] is None) == (split != "auto")
    if split == "auto":  # the same case as by run: nothing is measured again
        named = measure(replace(spec, split="run"), store=tmp_path / "store")
        assert named.id == measured["id"]
    if split != "random":  # before the split, a measurement plans for all samples
        measured.pop("memory_needed", None)
        fitted.pop("memory_needed", None)
    for name in set(measured) - OWN:
        assert measured[name] == fitted[name], name
    assert len(list((scratch / "blas").iterdir())) == 1  # both found the proof that was kept


@pytest.mark.parametrize(
    ("strategy", "changes"),
    [("short", {}), ("shifted", {})],
)
def test_a_wrong_answer_is_invalid_in_both(problem, scratch, tmp_path, oddities, strategy, changes):
    spec = FitSpec(str(problem), strategy, null="skip", **changes)
    record = measure(spec, store=tmp_path / "store", scratch=scratch)
    assert record.status == "invalid"
    request = FitRequest(
        strategy, ProblemSource(str(problem)), tmp_path / "out", figures=False, **changes
    )
    if record.times is None:
        from bench_core.fitting.run import FitFailedError

        with pytest.raises(FitFailedError) as error:
            fit(request, scratch=scratch)
        assert str(record.reason) in str(error.value)
        assert not (tmp_path / "out").exists()
    else:
        outcome = fit(request, scratch=scratch)
        assert (outcome.record.status, outcome.record.reason) == ("invalid", record.reason)


def test_the_recorded_plan_is_for_the_samples_that_trained(problem, scratch, tmp_path):
    spec = FitSpec(str(problem), "multitarget", null="skip", split="run", options={"coef": None})
    record = measure(spec, store=tmp_path / "store", scratch=scratch)
    size = record.case.problem
    assert size.t_train < size.t * 0.9 + 1
    model = strategies.get("multitarget")(spec.penalties, coef=None)
    assert record.plan.flops == model.plan(size.t_train, size.p, size.s).flops


def test_a_store_that_cannot_be_written_is_refused_before_measuring(tmp_path):
    (tmp_path / "file").touch()
    spec = FitSpec("parcels", "ridgecv", scale=1 / 512)
    with pytest.raises(InputError, match="file"):
        measure(spec, store=tmp_path / "file" / "store", scratch=tmp_path / "scratch")
    assert not (tmp_path / "scratch").exists()
