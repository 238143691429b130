"""What the cost model says of one machine, and how far off it is: predictions beside measurements.

`ridgebench validate` writes one file for each BLAS, ``results/MACHINE/BLAS.model.jsonl``; the page
reads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from bench_core.records import codec
from bench_core.records.scalars import STRICT, Bytes, Count, Positive, Seconds

SCHEMA_MODEL: Final = "ridgebench-model/1"
MODEL_SUFFIX: Final = ".model.jsonl"
"""One line. asv takes every ``.json`` there for its own."""

Time = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, config=STRICT)
class PredictedFit:
    """A fit that was measured and predicted.

    Parameters
    ----------
    problem : with its scale. form : of the cost model. options : beyond those that choose a form.
    low_s, high_s : 95 % interval of the prediction.
    source : "record", or "A/A" for one side of a pair that was measured in turn with itself.

    Examples
    --------
    >>> fit = PredictedFit(
    ...     "parcels 1/24", "ridgecv", "cov", "float64", {}, 1, 2, 0.5, 0.6, 0.4, 0.8, "record"
    ... )
    >>> round(fit.error, 2)
    0.2
    """

    problem: str
    strategy: str
    form: str
    dtype: str
    options: dict[str, str]
    nodes: Positive
    threads: Positive
    measured_s: Time
    predicted_s: Time
    low_s: Time
    high_s: Time
    source: Literal["record", "A/A"]

    @property
    def error(self) -> float:
        """Predicted over measured, less 1."""
        return self.predicted_s / self.measured_s - 1


@dataclass(frozen=True, config=STRICT)
class PredictionErrors:
    """Absolute relative errors of predictions: |predicted / measured - 1|."""

    fits: Count
    median: Seconds
    p95: Seconds
    worst: Seconds


@dataclass(frozen=True, config=STRICT)
class ChosenWay:
    """What the model would have chosen for one problem among the ways that were measured.

    Parameters
    ----------
    problem : with scale and precision. ways : that were measured.
    chosen, best : of them, in words. excess : time of the chosen one over the best one's, less 1.
    """

    problem: str
    ways: Positive
    chosen: str
    best: str
    excess: Seconds


@dataclass(frozen=True, config=STRICT)
class CurvePoint:
    """Predicted time on so many nodes, the phase that takes most of it, and its part."""

    nodes: Positive
    seconds: Time
    phase: str
    share: Annotated[float, Field(ge=0, le=1 + 1e-9)]
    memory_bytes: Bytes


@dataclass(frozen=True, config=STRICT)
class PredictedCurve:
    """Predicted times of one strategy over nodes.

    Parameters
    ----------
    t, p, s : of the training part. threads : of every node.
    stops_at : nodes from which twice as many gain less than a tenth; None where they still do.
    reason : in one sentence.
    """

    strategy: str
    t: Positive
    p: Positive
    s: Positive
    threads: Positive
    points: tuple[CurvePoint, ...]
    stops_at: Positive | None
    reason: str


@dataclass(frozen=True, config=STRICT)
class UsedCalibration:
    """The calibration that predictions were made with.

    Parameters
    ----------
    blas : with version and kernels. started : UTC; None where it was fitted and not measured.
    """

    source: Literal["measured", "records", "published"]
    machine: str | None
    cpu: str | None
    cores: Positive
    blas: str
    started: str | None
    seconds: Seconds
    spread: Seconds
    notes: tuple[str, ...]


@dataclass(frozen=True, config=STRICT)
class ModelRecord:
    """Predictions of one machine with one BLAS beside what was measured.

    Parameters
    ----------
    machine : of the measurements. blas : by its name.
    fits : in the order of the records. all_fits, long_fits : their errors, and those of the fits
        that took a tenth of a second or more.
    chosen : a choice for every problem and precision of which several ways were measured.
    left_out : measurements that were not compared, with the reason.
    curves : predictions beyond what was measured.
    started : UTC, of the comparison.

    Examples
    --------
    >>> calibration = UsedCalibration("measured", "here", None, 2, "openblas", None, 60.0, 0.1, ())
    >>> errors = PredictionErrors(0, 0.0, 0.0, 0.0)
    >>> record = ModelRecord(
    ...     SCHEMA_MODEL, "here", "openblas", "2026-01-01T00:00:00Z", calibration, (), errors,
    ...     errors, ()
    ... )
    >>> record.within
    (0, 0)
    """

    schema: Literal["ridgebench-model/1"]
    machine: str
    blas: str
    started: str
    calibration: UsedCalibration
    fits: tuple[PredictedFit, ...]
    all_fits: PredictionErrors
    long_fits: PredictionErrors
    chosen: tuple[ChosenWay, ...]
    left_out: tuple[str, ...] = ()
    curves: tuple[PredictedCurve, ...] = ()

    @property
    def within(self) -> tuple[int, int]:
        """Choices within a tenth of the best measured way, and all choices."""
        return sum(one.excess <= WITHIN for one in self.chosen), len(self.chosen)


WITHIN = 0.10
"""A choice counts as good where it takes at most so much longer than the best one."""

LONG_S = 0.1
"""Seconds from which a fit counts as long: below, start-up and calls are most of it."""


def write_model(record: ModelRecord, results: Path) -> Path:
    """Write the record to its place in a folder of results; return the file."""
    from bench_core.files import write_text

    path = results / record.machine / f"{record.blas}{MODEL_SUFFIX}"
    return write_text(path, codec.to_json(record, indent=None) + "\n")


def read_models(results: Path) -> list[ModelRecord]:
    """Return the models of all machines in a folder of results, by machine and BLAS.

    Raises `InputError` for a damaged one.
    """
    return [
        codec.read(ModelRecord, path) for path in sorted(results.glob(f"*/[!.]*{MODEL_SUFFIX}"))
    ]
