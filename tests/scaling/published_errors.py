"""Errors of calibrations that are fitted to the thesis's published times, on times held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.records import codec
from bench_core.scaling.calibration import Calibration
from bench_core.scaling.parameters import WIDTHS, Parameters, fit_parameters, predicted, rounded
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
)

SHIPPED = Path(__file__).parents[2] / "bench_core" / "scaling" / "published"
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
