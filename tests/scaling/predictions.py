"""How well times are predicted, for docs/scaling.md.

Run as ``python -m tests.scaling.predictions published``: fits the shipped calibrations to the
thesis's published times, and writes their errors on times that a fit did not use to
docs/scaling.json. Less than a minute.
``python -m tests.scaling.predictions records``: predicts the committed fits of the reference
machine, once a quarter of them from the others, once every problem's from those of all other
problems. ``… curves``: predicts whole-brain fits on up to 1,024 nodes, and draws docs/scaling.svg.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench_core.advice import Curve, scaling_curve
from bench_core.advice.candidates import ProblemSize
from bench_core.advice.curve import STRATEGIES, as_dict
from bench_core.advice.fitted import describe
from bench_core.advice.recorded import RecordedFit, recorded_fits, recorded_kernels
from bench_core.advice.validation import chosen_ways, predicted_fit, prediction_errors
from bench_core.records import EnvironmentRun, read_runs
from bench_core.records.model import LONG_S, WITHIN, ChosenWay, PredictedFit, read_models
from bench_core.scaling.calibration import Calibration, read_calibration
from bench_core.scaling.parameters import (
    Parameters,
    build_calibration,
    fit_parameters,
    predicted,
    rounded,
)
from bench_core.scaling.thesis import thesis_shape
from tests.scaling.prediction_tables import PAGE, filled
from tests.scaling.published_errors import published

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "docs" / "scaling.json"
REFERENCE = "reference-2core"


PARTS = 4


def records() -> dict[str, Any]:
    """Return the errors of predicting the reference machine's fits from others of its fits."""
    runs = read_runs(ROOT / "results", REFERENCE)
    fits = list(recorded_fits(runs))
    problems = sorted({one.problem for one in fits})
    return {
        "by_part": _by_group(runs, fits, {id(one): i % PARTS for i, one in enumerate(fits)}),
        "by_problem": _by_group(runs, fits, {id(one): problems.index(one.problem) for one in fits}),
    }


def _by_group(
    runs: Sequence[EnvironmentRun], fits: Sequence[RecordedFit], group: dict[int, int]
) -> dict[str, Any]:
    """Predict the fits of every group from those of all other groups, for each BLAS by itself."""
    found: dict[str, Any] = {}
    seconds: dict[int, float] = {}
    everything: list[PredictedFit] = []
    choices: list[ChosenWay] = []
    for blas in sorted({one.blas for one in fits}):
        own = [one for one in fits if one.blas == blas]
        kernels = list(recorded_kernels(runs, REFERENCE, blas))
        machine, library = describe(runs, REFERENCE, blas)

        def build(
            values: Parameters, machine: Any = machine, library: Any = library
        ) -> Calibration:
            return build_calibration(values, machine=machine, blas=library, threads=(1, 2))

        for number in sorted({group[id(one)] for one in own}):
            known = [one.observation for one in own if group[id(one)] != number]
            wanted = [one for one in own if group[id(one)] == number]
            values, _ = fit_parameters([*kernels, *known], build)
            times = predicted([one.observation for one in wanted], build(values))
            seconds |= {id(one): float(time) for one, time in zip(wanted, times, strict=True)}
        rows = [_row(one, seconds[id(one)]) for one in own]
        everything += rows
        choices += chosen_ways(rows)
        found[blas] = {"fits": [_plain(row) for row in rows], **_summary(rows)}
    return {
        **found,
        "all": _summary(everything),
        "tenth_of_a_second_and_more": _summary(
            [row for row in everything if row.measured_s >= LONG_S]
        ),
        "recommended": _choices(choices),
    }


def _row(one: RecordedFit, seconds: float) -> PredictedFit:
    """Return a fit beside its prediction, which has no interval here."""
    return _short(predicted_fit(one, seconds, (seconds, seconds)))


def _plain(row: PredictedFit) -> dict[str, Any]:
    """Return a prediction as docs/scaling.json keeps it."""
    left_out = ("low_s", "high_s", "source")
    return {name: value for name, value in asdict(row).items() if name not in left_out}


def _summary(rows: Sequence[PredictedFit]) -> dict[str, Any]:
    """Return the median, the 95th percentile and the largest of the relative errors."""
    found = prediction_errors(rows)
    return {
        "count": found.fits,
        "median": rounded(found.median, 3),
        "p95": rounded(found.p95, 3),
        "worst": rounded(found.worst, 3),
    }


def _choices(found: Sequence[ChosenWay]) -> dict[str, Any]:
    """Return by how much the predicted best is slower than the best that was measured."""
    return {
        "choices": len(found),
        "within_10_percent": sum(one.excess <= WITHIN for one in found),
        "worst": rounded(max((one.excess for one in found), default=0.0), 3),
    }


def calibrated() -> dict[str, Any]:
    """Return the errors of measured calibrations, from the committed ``*.model.jsonl``.

    `ridgebench validate` has written these.
    """
    return {
        "machines": [
            {
                "machine": one.machine,
                "cpu": one.calibration.cpu,
                "blas": one.calibration.blas,
                "calibrated": one.calibration.started,
                "calibration_s": one.calibration.seconds,
                "notes": list(one.calibration.notes),
                "left_out": list(one.left_out),
                "fits": [_plain(_short(row)) for row in one.fits],
                "all": _summary(one.fits),
                "tenth_of_a_second_and_more": _summary(
                    [row for row in one.fits if row.measured_s >= LONG_S]
                ),
                "recommended": _choices(one.chosen),
            }
            for one in read_models(ROOT / "results")
        ]
    }


def _short(row: PredictedFit) -> PredictedFit:
    return replace(row, measured_s=rounded(row.measured_s), predicted_s=rounded(row.predicted_s))


def curves() -> dict[str, Any]:
    """Return predicted whole-brain curves to 1,024 nodes of 32 threads, and draw them."""
    table = read_calibration("xeon-6130-mkl")
    fitted_shape = thesis_shape("whole-brain-bmor")
    size = ProblemSize(fitted_shape.t, fitted_shape.p, fitted_shape.s)
    found = [scaling_curve(name, size, table, 32) for name in STRATEGIES]
    one = scaling_curve("ridgecv", size, table, 32).points[0]
    _draw(found, one.seconds)
    return {
        "t": size.t,
        "p": size.p,
        "s": size.s,
        "calibration": "xeon-6130-mkl",
        "ridgecv_s": one.seconds,
        "curves": [as_dict(each) for each in found],
    }


def _draw(found: Sequence[Curve], ridgecv: float) -> None:
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "ridgebench"
    figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    for curve in found:
        nodes = [one.nodes for one in curve.points]
        seconds = [one.seconds for one in curve.points]
        (line,) = axes.loglog(nodes, seconds, marker="o", markersize=3, label=curve.strategy)
        if curve.stops_at is not None:
            at = next(one for one in curve.points if one.nodes == curve.stops_at)
            axes.plot(
                at.nodes, at.seconds, "o", markersize=10, fillstyle="none", color=line.get_color()
            )
    axes.axhline(ridgecv, color="0.6", linestyle=":", label="ridgecv, one node")
    axes.set_xscale("log", base=2)
    axes.set_xlabel("nodes of 32 threads")
    axes.set_ylabel("predicted time (s)")
    axes.legend()
    figure.savefig(ROOT / "docs" / "scaling.svg", metadata={"Date": None})


SECTIONS: dict[str, Callable[[], dict[str, Any]]] = {
    "published": published,
    "records": records,
    "calibrated": calibrated,
    "curves": curves,
}


def main(sections: Sequence[str]) -> None:
    """Write the sections that are asked for, and keep the others."""
    kept = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for name in sections or SECTIONS:
        kept[name] = SECTIONS[name]()
        RECORD.write_text(json.dumps(kept, indent=1) + "\n")
    PAGE.write_text(filled(PAGE.read_text(), kept))


if __name__ == "__main__":
    main(sys.argv[1:])
