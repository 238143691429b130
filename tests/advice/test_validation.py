"""Validation: errors by hand, choices, what is left out, and A/A pairs as fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench_core.advice.recorded import paired_fits, recorded_fit, recorded_fits
from bench_core.advice.validation import chosen_ways, prediction_errors, validate
from bench_core.errors import InputError
from bench_core.records import EnvironmentRun, read_runs
from bench_core.records.model import PredictedFit, read_models, write_model
from bench_core.records.runs import case_words
from bench_core.records.session import SCHEMA_SESSION, SamePair, SessionCase, SessionRecord
from bench_core.runner.spec import FitSpec
from bench_core.scaling.calibration import CalibratedBlas, Calibration, read_calibration
from bench_core.scaling.prediction import predict

RESULTS = Path(__file__).parents[2] / "results"


@pytest.fixture(scope="module")
def fits():
    return list(recorded_fits(read_runs(RESULTS, "reference-2core")))


@pytest.fixture
def table(fits) -> Calibration:
    """The thesis's table under the name of a BLAS that was recorded."""
    blas = next(one for one in fits if one.blas == "mkl")
    made = read_calibration("xeon-6130-mkl")
    return replace(made, blas=CalibratedBlas("mkl", "1", blas.architecture), spread=0.1)


def fit(strategy: str, measured: float, predicted: float, **other) -> PredictedFit:
    values = {
        "problem": "parcels 1/24",
        "strategy": strategy,
        "form": "cov",
        "dtype": "float64",
        "options": {},
        "nodes": 1,
        "threads": 1,
        "measured_s": measured,
        "predicted_s": predicted,
        "low_s": predicted / 2,
        "high_s": predicted * 2,
        "source": "record",
    }
    return PredictedFit(**(values | other))


@given(st.lists(st.tuples(st.floats(0.01, 1e3), st.floats(0.01, 1e3)), min_size=1, max_size=40))
def test_errors_are_those_of_numpy(times):
    found = prediction_errors([fit("ridgecv", measured, told) for measured, told in times])
    errors = np.abs([told / measured - 1 for measured, told in times])
    assert found.fits == len(times)
    assert found.median == pytest.approx(np.median(errors))
    assert found.p95 == pytest.approx(np.percentile(errors, 95))
    assert found.worst == pytest.approx(errors.max())


def test_a_choice_is_judged_by_what_was_measured():
    ways = [
        fit("ridgecv", 2.0, 1.9),
        fit("bmor", 1.5, 1.6, nodes=2),
        fit("multitarget", 1.0, 1.7),
        fit("multitarget", 0.5, 0.1, options={"coef": "None"}),  # returns something else
        fit("ridgecv", 9.0, 1.0, problem="roi 1/24"),  # alone
    ]
    (found,) = chosen_ways(ways)
    assert found.problem == "parcels 1/24 float64"
    assert found.ways == 3
    assert found.chosen.startswith("bmor")
    assert found.best.startswith("multitarget")
    assert found.excess == pytest.approx(0.5)


def test_recorded_fits_are_predicted_by_the_calibration(fits, table):
    made = validate(table, fits, machine="reference-2core")
    own = [one for one in fits if one.blas == "mkl"]
    assert len(made.fits) == len(own) == made.all_fits.fits
    for one, row in zip(own, made.fits, strict=True):
        seen = one.observation
        told = predict(
            seen.cost, table, seen.threads, nodes_per_machine=seen.nodes_per_machine
        ).seconds
        assert row.measured_s == seen.seconds
        assert row.predicted_s == pytest.approx(told)
        assert row.low_s < row.predicted_s < row.high_s
    assert made.long_fits.fits == sum(one.observation.seconds >= 0.1 for one in own)
    (others,) = made.left_out
    assert "openblas" in others
    assert str(len(fits) - len(own)) in others


def test_other_kernels_of_the_same_library_are_left_out(fits, table):
    other = replace(table, blas=replace(table.blas, architecture="other"))
    with pytest.raises(InputError, match="mkl"):
        validate(other, fits, machine="reference-2core")


def test_a_calibration_from_records_validates_nothing(fits, table):
    with pytest.raises(InputError):
        validate(replace(table, source="records"), fits, machine="reference-2core")


def test_a_model_is_read_as_it_was_written(fits, table, tmp_path):
    made = validate(table, fits, machine="reference-2core")
    path = write_model(made, tmp_path)
    assert path.parent.name == "reference-2core"
    assert len(path.read_text().splitlines()) == 1
    assert read_models(tmp_path) == [made]


def test_a_pair_is_a_fit_of_its_case(fits):
    runs = read_runs(RESULTS, "reference-2core")
    run = next(one for one in runs if any(fit.status == "ok" for fit in one.fits))
    record = next(one for one in run.fits if recorded_fit(one, "here") is not None)
    pairs = (
        SamePair(case_words(record.case), "0" * 20, ((1.0, 2.0), (3.0,)), ((4.0,), (5.0,))),
        SamePair(case_words(record.case), "1" * 20, ((9.0,),), ((9.0,),), disturbed="others"),
        SamePair("something unknown", "2" * 20, ((1.0,),), ((1.0,),)),
    )
    session = SessionRecord(
        SCHEMA_SESSION,
        SessionCase("same", "20260101T000000Z"),
        "2026-01-01T00:00:00Z",
        60.0,
        (run.environment,),
        2,
        3,
        None,
        (),
        pairs,
    )
    elsewhere = EnvironmentRun("here", "c0ffee00", run.environment, [session])
    (found,) = paired_fits([run, elsewhere])
    assert found.machine == "here"
    assert found.pair
    assert found.observation.seconds == 3.0  # the median of all repeats of both sides
    expected = recorded_fit(record, "here")
    assert (found.size, found.strategy, found.form) == (
        expected.size,
        expected.strategy,
        expected.form,
    )
    other = EnvironmentRun("here", "c0ffee00", "another environment", [session])
    assert list(paired_fits([run, other])) == []


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            FitSpec("whole-brain-bmor", "bmor", nodes=2, scale=1 / 24),
            "whole-brain-bmor 0.04167, bmor 2×1 float64",
        ),
        (
            FitSpec("parcels", "ridgecv", options={"gcv_mode": "svd"}, dtype="float32", threads=2),
            "parcels 1, ridgecv gcv_mode=svd 1×2 float32",
        ),
    ],
)
def test_pairs_have_the_words_of_committed_ones(spec, words):
    from bench_core.runner.run import start_record
    from bench_core.runner.spec import ProblemShape

    shape = ProblemShape(spec.problem, 100, 64, 9, spec.dtype, "sub-01", spec.scale)
    assert case_words(start_record(spec, shape).case) == words


def _until(run: EnvironmentRun, moment: str) -> EnvironmentRun:
    """Return a run without what was measured after a moment in UTC."""
    kept = [one for one in run.records if getattr(one, "started", "") <= moment]
    return replace(run, records=kept)


@pytest.mark.parametrize("blas", ["mkl", "openblas"])
def test_the_committed_models_are_those_of_the_committed_calibrations(blas):
    """What docs/scaling.md says can be made again from what lies in the repository."""
    kept = next(one for one in read_models(RESULTS) if one.blas == blas)
    calibration = read_calibration(
        RESULTS.parent / "docs" / "calibrations" / f"{kept.machine}-{blas}.json"
    )
    runs = [_until(run, kept.started) for run in read_runs(RESULTS, kept.machine)]
    made = validate(calibration, [*recorded_fits(runs), *paired_fits(runs)], machine=kept.machine)
    assert [one.problem for one in made.fits] == [one.problem for one in kept.fits]
    for one, other in zip(made.fits, kept.fits, strict=True):
        assert one.measured_s == other.measured_s
        assert one.predicted_s == pytest.approx(other.predicted_s, rel=1e-6)
    assert made.all_fits.median == pytest.approx(kept.all_fits.median, rel=1e-6)
    assert made.within == kept.within
