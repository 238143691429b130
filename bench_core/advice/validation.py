"""Validation of a calibration: its predictions of recorded fits that it was not made from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from statistics import median

import numpy as np

from bench_core.advice.curve import Curve
from bench_core.advice.recorded import RecordedFit
from bench_core.errors import InputError, counted
from bench_core.records.model import (
    LONG_S,
    SCHEMA_MODEL,
    ChosenWay,
    CurvePoint,
    ModelRecord,
    PredictedCurve,
    PredictedFit,
    PredictionErrors,
    UsedCalibration,
)
from bench_core.scaling.calibration import Calibration
from bench_core.scaling.prediction import predict


def validate(
    calibration: Calibration,
    fits: Sequence[RecordedFit],
    *,
    machine: str,
    curves: Sequence[PredictedCurve] = (),
) -> ModelRecord:
    """Return the predictions of recorded fits of one machine beside their times.

    Parameters
    ----------
    fits : those of another BLAS, or of other kernels of the same, are left out and named.
    machine : of the fits. curves : to keep beside them.

    Raises
    ------
    InputError : the calibration was fitted to recorded fits, or none of these is of its BLAS.
    """
    if calibration.source == "records":
        raise InputError(
            "this calibration was fitted to recorded fits, so that they cannot validate it: "
            "measure one with `ridgebench calibrate`"
        )
    own, left_out = _comparable(calibration, fits)
    if not own:
        raise InputError(
            f"none of {counted(len(fits), 'recorded fit')} is of {calibration.blas.text}: "
            f"{'; '.join(left_out) or 'measure some with `ridgebench bench`'}"
        )
    found = tuple(_predicted(one, calibration) for one in own)
    return ModelRecord(
        schema=SCHEMA_MODEL,
        machine=machine,
        blas=calibration.blas.name,
        started=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        calibration=used(calibration),
        fits=found,
        all_fits=prediction_errors(found),
        long_fits=prediction_errors([one for one in found if one.measured_s >= LONG_S]),
        chosen=chosen_ways(found),
        left_out=tuple(left_out),
        curves=tuple(curves),
    )


def used(calibration: Calibration) -> UsedCalibration:
    """Return what a record keeps of a calibration."""
    return UsedCalibration(
        source=calibration.source,
        machine=calibration.machine.name,
        cpu=calibration.machine.cpu,
        cores=calibration.machine.cores,
        blas=calibration.blas.text,
        started=calibration.started,
        seconds=calibration.seconds,
        spread=calibration.spread,
        notes=calibration.notes,
    )


def prediction_errors(fits: Sequence[PredictedFit]) -> PredictionErrors:
    """Return median, 95th percentile and largest of the relative errors; 0 without fits."""
    if not fits:
        return PredictionErrors(0, 0.0, 0.0, 0.0)
    found = np.abs([one.error for one in fits])
    return PredictionErrors(
        len(fits),
        float(np.median(found)),
        float(np.percentile(found, 95)),
        float(np.max(found)),
    )


def chosen_ways(fits: Iterable[PredictedFit]) -> tuple[ChosenWay, ...]:
    """Return how the predicted best way of every problem and precision compares with the best.

    A way that was measured several times counts once, with its median. Ways that return something
    else (without coefficients, say) are no rivals and left out.
    """
    rivals: dict[str, dict[str, list[PredictedFit]]] = defaultdict(lambda: defaultdict(list))
    for one in fits:
        if not one.options:
            rivals[f"{one.problem} {one.dtype}"][way_text(one)].append(one)
    found = []
    for problem, ways in rivals.items():
        if len(ways) < 2:
            continue
        told = {way: median(one.predicted_s for one in same) for way, same in ways.items()}
        times = {way: median(one.measured_s for one in same) for way, same in ways.items()}
        chosen, best = min(told, key=told.__getitem__), min(times, key=times.__getitem__)
        excess = times[chosen] / times[best] - 1
        found.append(ChosenWay(problem, len(ways), chosen, best, excess))
    return tuple(found)


def way_text(one: PredictedFit) -> str:
    """Return a way to fit in words."""
    return f"{one.strategy} ({one.form}) {one.nodes} × {one.threads}"


def predicted_curve(curve: Curve, size: tuple[int, int, int]) -> PredictedCurve:
    """Return a curve over nodes as a record keeps it; ``size`` : t, p and s."""
    points = tuple(
        CurvePoint(one.nodes, one.seconds, one.phase, one.share, one.memory_bytes)
        for one in curve.points
    )
    return PredictedCurve(
        curve.strategy, *size, curve.threads, points, curve.stops_at, curve.reason
    )


def _comparable(
    calibration: Calibration, fits: Sequence[RecordedFit]
) -> tuple[list[RecordedFit], list[str]]:
    """Return the fits of the calibration's library and kernels, and what was left out."""
    library = calibration.blas
    own: list[RecordedFit] = []
    others: dict[str, int] = defaultdict(int)
    for one in fits:
        if one.blas != library.name:
            others[one.blas] += 1
        elif one.architecture and library.architecture not in (None, one.architecture):
            others[f"{one.blas} {one.architecture}"] += 1
        else:
            own.append(one)
    return own, [f"{counted(count, 'fit')} of {name}" for name, count in others.items()]


def _predicted(one: RecordedFit, calibration: Calibration) -> PredictedFit:
    seen = one.observation
    found = predict(seen.cost, calibration, seen.threads, nodes_per_machine=seen.nodes_per_machine)
    return predicted_fit(one, found.seconds, (found.low, found.high))


def predicted_fit(one: RecordedFit, seconds: float, interval: tuple[float, float]) -> PredictedFit:
    """Return a recorded fit beside what was predicted of it."""
    seen = one.observation
    return PredictedFit(
        problem=one.problem,
        strategy=one.strategy,
        form=one.form,
        dtype=one.dtype,
        options=dict(one.free),
        nodes=seen.cost.nodes,
        threads=seen.threads,
        measured_s=seen.seconds,
        predicted_s=seconds,
        low_s=interval[0],
        high_s=interval[1],
        source="A/A" if one.pair else "record",
    )
