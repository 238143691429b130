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
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.advice import Curve, scaling_curve
from bench_core.advice.candidates import ProblemSize
from bench_core.advice.curve import STRATEGIES, as_dict
from bench_core.advice.fitted import describe
from bench_core.advice.recorded import RecordedFit, recorded_fits, recorded_kernels
from bench_core.advice.validation import chosen_ways, predicted_fit, prediction_errors
from bench_core.cli.display import duration
from bench_core.records import EnvironmentRun, codec, read_runs
from bench_core.records.model import LONG_S, WITHIN, ChosenWay, PredictedFit, read_models
from bench_core.scaling.calibration import Calibration, read_calibration
from bench_core.scaling.parameters import (
    WIDTHS,
    Parameters,
    build_calibration,
    fit_parameters,
    predicted,
    rounded,
)
from bench_core.scaling.prediction import amdahl
from bench_core.scaling.published_times import published_times
from bench_core.scaling.thesis import (
    PRIOR,
    Configuration,
    PublishedPoint,
    fit_plain,
    plain_seconds,
    published_points,
    thesis_calibration,
    thesis_shape,
)

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "docs" / "scaling.json"
SHIPPED = ROOT / "bench_core" / "scaling" / "published"
Keep = Callable[[Configuration], bool]


HELD = 0.01
"""Standard deviation of the logarithm of a parameter that keeps its prior."""


def fitted(
    points: Sequence[PublishedPoint], blas: str = "mkl", prior: Parameters = PRIOR
) -> tuple[Parameters, Calibration]:
    """Return the parameters that the points speak for, and the calibration of these.

    Memory and what else is not of the library, or was not published of it, keeps MKL's values.
    """
    observations = [one.observation for one in points]
    widths = replace(WIDTHS, memory=1.0, fresh_part=HELD, task_s=4.0, task_parallel_s=4.0)
    if blas != "mkl":
        names = ("eigh", "eigh_serial", "memory", "network", "task_s", "task_parallel_s")
        widths = replace(widths, **dict.fromkeys(names, HELD))
    values, _ = fit_parameters(
        observations, lambda found: thesis_calibration(found, blas), prior, widths
    )
    return values, thesis_calibration(values, blas)


def errors(points: Sequence[PublishedPoint], calibration: Calibration) -> NDArray[np.float64]:
    """Return log(published / predicted) of every point."""
    seconds = np.log([one.observation.seconds for one in points])
    found: NDArray[np.float64] = seconds - np.log(
        predicted([one.observation for one in points], calibration)
    )
    return found


def mape(points: Sequence[PublishedPoint], seconds: NDArray[np.float64]) -> float:
    """Return the mean absolute percentage error, as a fraction."""
    measured = np.array([one.observation.seconds for one in points])
    return float(np.mean(np.abs(seconds - measured) / measured))


Plain = Callable[[Sequence[PublishedPoint], Sequence[PublishedPoint]], NDArray[np.float64]]


def by_equation(
    known: Sequence[PublishedPoint], wanted: Sequence[PublishedPoint]
) -> NDArray[np.float64]:
    """Return the seconds by equation 3.6 or 3.7, fitted to known times of the same strategy.

    RidgeCV's times on one node are B-MOR's, too.
    """
    family = ("mor",) if wanted[0].configuration.strategy == "mor" else ("ridgecv", "bmor")
    own = [
        one
        for one in known
        if one.configuration.strategy in family
        and one.configuration.problem.startswith("whole-brain")
    ]
    return plain_seconds(fit_plain(own), wanted)


def by_amdahl(
    known: Sequence[PublishedPoint], wanted: Sequence[PublishedPoint]
) -> NDArray[np.float64]:
    """Return the seconds by Amdahl's law, fitted to every thread curve by itself."""
    found = []
    for one in wanted:
        curve = [each for each in known if _curve(each) == _curve(one)]
        serial, parallel = amdahl(
            [each.configuration.threads for each in curve],
            [each.observation.seconds for each in curve],
        )
        found.append(serial + parallel / one.configuration.threads)
    return np.array(found)


def _curve(point: PublishedPoint) -> tuple[str, str, str, int]:
    c = point.configuration
    return c.problem, c.blas, c.strategy, c.nodes


def held_out(
    points: Sequence[PublishedPoint],
    use: Keep,
    test: Keep,
    strategies: Sequence[str],
    plain_of: Plain,
) -> dict[str, Any]:
    """Fit to the points of ``use`` and return the errors on those of ``test``, by strategy."""
    known = [one for one in points if use(one.configuration)]
    _, calibration = fitted(known)
    found: dict[str, Any] = {"fitted_to": len(known)}
    for strategy in strategies:
        wanted = [
            one
            for one in points
            if test(one.configuration) and one.configuration.strategy == strategy
        ]
        seconds = predicted([one.observation for one in wanted], calibration)
        plain = plain_of(known, wanted)
        found[strategy] = {
            "times": len(wanted),
            "mape": rounded(mape(wanted, seconds), 3),
            "worst": rounded(float(np.max(np.abs(np.expm1(-errors(wanted, calibration))))), 3),
            "plain_mape": rounded(mape(wanted, plain), 3),
            "points": [
                {
                    "problem": one.configuration.problem,
                    "nodes": one.configuration.nodes,
                    "threads": one.configuration.threads,
                    "published_s": rounded(one.observation.seconds),
                    "predicted_s": rounded(float(value)),
                }
                for one, value in zip(wanted, seconds, strict=True)
            ],
        }
    return found


def published() -> dict[str, Any]:
    """Write the shipped calibrations, and return the errors of held-out predictions."""
    points = published_points(published_times())
    mkl = [one for one in points if one.configuration.blas == "mkl"]
    nodes = held_out(
        mkl, lambda c: c.nodes <= 2, lambda c: c.nodes > 2, ("bmor", "mor"), by_equation
    )
    threads = held_out(
        mkl,
        lambda c: c.threads <= 8,
        lambda c: c.threads > 8,
        ("ridgecv", "bmor", "mor"),
        by_amdahl,
    )
    openblas = [one for one in points if one.configuration.blas == "openblas"]
    values, calibration = fitted(mkl)
    few = [one for one in openblas if one.configuration.threads <= 8]
    many = [one for one in openblas if one.configuration.threads > 8]
    _, other = fitted(few, "openblas", values)
    seconds = predicted([one.observation for one in many], other)
    threads["ridgecv, openblas"] = {
        "times": len(many),
        "mape": rounded(mape(many, seconds), 3),
        "plain_mape": rounded(mape(many, by_amdahl(few, many)), 3),
    }
    left = [
        np.log(one["published_s"] / one["predicted_s"])
        for part in (nodes, threads)
        for group in part.values()
        if isinstance(group, dict)
        for one in group.get("points", ())
    ]
    spread = rounded(float(np.sqrt(np.mean(np.square(left)))), 3)
    shipped = {"mkl": (values, calibration, mkl)}
    own, made = fitted(openblas, "openblas", values)
    shipped["openblas"] = (own, made, openblas)
    parameters = {}
    for blas, (found, one, used) in shipped.items():
        _ship(one, blas, spread, used)
        parameters[blas] = {
            field.name: rounded(getattr(found, field.name)) for field in fields(found)
        }
        parameters[blas]["in_sample_mape"] = rounded(
            mape(used, predicted([each.observation for each in used], one)), 3
        )
    return {"nodes": nodes, "threads": threads, "parameters": parameters, "spread": spread}


def _ship(made: Calibration, blas: str, spread: float, used: Sequence[PublishedPoint]) -> None:
    notes = [
        f"fitted to {len(used)} published times of the thesis (means over subjects)",
        "float32 taken as twice as fast; the start of a cluster is assumed: 10 s",
    ]
    if blas == "openblas":
        notes.append("decompositions of symmetric matrices, memory, network and tasks: as for MKL")
    kernels = tuple(replace(one, gflops=rounded(one.gflops)) for one in made.kernels)
    codec.write(
        replace(made, kernels=kernels, spread=spread, checked=len(used), notes=tuple(notes)),
        SHIPPED / f"xeon-6130-{blas}.json",
    )


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


PAGE = ROOT / "docs" / "scaling.md"


def _percent(value: float) -> str:
    return f"{value:.1%}"


def tables(kept: dict[str, Any]) -> dict[str, str]:
    """Return the tables of docs/scaling.md by the names of their places."""
    lines = [
        "| predicted | from | times | mean error | largest | plain law's mean error |",
        "|---|---|---:|---:|---:|---:|",
    ]
    names = {"nodes": ("4, 6, 8 nodes", "1, 2 nodes"), "threads": ("16, 32 threads", "1 to 8")}
    for part, (what, source) in names.items():
        for strategy, one in kept["published"][part].items():
            if isinstance(one, dict):
                worst = _percent(one["worst"]) if "worst" in one else ""
                lines.append(
                    f"| {strategy}, {what} | {source} | {one['times']} | {_percent(one['mape'])} | "
                    f"{worst} | {_percent(one['plain_mape'])} |"
                )
    lines += [
        "",
        "| recorded fits | fits | median error | 95th percentile | choices within 10 % of best |",
        "|---|---:|---:|---:|---:|",
    ]
    words = {"by_part": "by part", "by_problem": "by problem"}
    for part, label in words.items():
        found = kept["records"][part]
        chosen = found["recommended"]
        within = f"{chosen['within_10_percent']} of {chosen['choices']}"
        for group, rest in (("all", ""), ("tenth_of_a_second_and_more", ", from 0.1 s")):
            one = found[group]
            lines.append(
                f"| {label}{rest} | {one['count']} | {_percent(one['median'])} | "
                f"{_percent(one['p95'])} | {within if group == 'all' else ''} |"
            )
    checked = [
        "| machine | BLAS | fits | median error | 95th percentile | largest "
        "| choices within 10 % of best |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for one in kept["calibrated"]["machines"]:
        chosen = one["recommended"]
        within = f"{chosen['within_10_percent']} of {chosen['choices']}"
        for group, rest in (("all", ""), ("tenth_of_a_second_and_more", ", from 0.1 s")):
            errors = one[group]
            checked.append(
                f"| {one['machine']}, {one['cpu']} | {one['blas']} | {errors['count']}{rest} | "
                f"{_percent(errors['median'])} | {_percent(errors['p95'])} | "
                f"{_percent(errors['worst'])} | {within if group == 'all' else ''} |"
            )
    ends = [
        "| strategy | 1 node | 8 nodes | 1,024 nodes | where it stops |",
        "|---|---:|---:|---:|---|",
    ]
    for curve in kept["curves"]["curves"]:
        times = {one["nodes"]: duration(one["seconds"]) for one in curve["points"]}
        ends.append(
            f"| {curve['strategy']} | {times[1]} | {times[8]} | {times[1024]} | {curve['reason']} |"
        )
    return {
        "errors": "\n".join(lines),
        "calibrated": "\n".join(checked),
        "curves": "\n".join(ends),
    }


def filled(page: str, kept: dict[str, Any]) -> str:
    """Return the page with the tables in their places."""
    for name, table in tables(kept).items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, rest = page.split(begin)
        after = rest.split(end)[1]
        page = f"{before}{begin}\n{table}\n{end}{after}"
    return page


def main(sections: Sequence[str]) -> None:
    """Write the sections that are asked for, and keep the others."""
    kept = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for name in sections or SECTIONS:
        kept[name] = SECTIONS[name]()
        RECORD.write_text(json.dumps(kept, indent=1) + "\n")
    PAGE.write_text(filled(PAGE.read_text(), kept))


if __name__ == "__main__":
    main(sys.argv[1:])
