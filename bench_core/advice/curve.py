"""Predicted times over nodes, and the point where a strategy stops scaling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bench_core import strategies
from bench_core.advice.advise import largest
from bench_core.advice.candidates import ProblemSize
from bench_core.errors import InputError, counted, readable_bytes
from bench_core.runner.planning import planned_options
from bench_core.scaling.calibration import Calibration
from bench_core.scaling.prediction import predict

MOST_NODES = 1024
LEAST_GAIN = 0.1
"""A strategy has stopped scaling where twice the nodes take off less than this part of its time."""

STRATEGIES = ("mor", "bmor", "bmor-shared")


@dataclass(frozen=True)
class CurvePoint:
    """Predicted time with so many nodes, and the phase that takes most of it."""

    nodes: int
    seconds: float
    phase: str
    share: float
    memory_bytes: int


@dataclass(frozen=True)
class Curve:
    """Predicted times of one strategy over nodes.

    stops_at : number of nodes from which twice as many gain less than `LEAST_GAIN`; None where that
    is not reached. reason : why, in one sentence.

    Examples
    --------
    >>> from bench_core.scaling.calibration import read_calibration
    >>> size = ProblemSize(9000, 16_384, 264_805)
    >>> curve = scaling_curve("bmor", size, read_calibration("xeon-6130-mkl"), 32)
    >>> curve.points[0].seconds > curve.points[3].seconds, curve.stops_at > 8
    (True, True)
    """

    strategy: str
    dtype: str
    threads: int
    points: tuple[CurvePoint, ...]
    stops_at: int | None
    reason: str


def scaling_curve(
    strategy: str,
    size: ProblemSize,
    calibration: Calibration,
    threads: int,
    *,
    dtype: str = "float64",
    most: int = MOST_NODES,
    options: dict[str, Any] | None = None,
) -> Curve:
    """Return the predicted times of a strategy on 1, 2, 4, … nodes, each a machine of its own.

    Raises `InputError` where the strategy cannot choose penalties as ``size.penalty`` says.
    """
    if (unable := size.penalty.unable(strategy, size.t)) is not None:
        raise InputError(unable)
    kind = strategies.get(strategy)
    counts = [2**k for k in range(most.bit_length()) if 2**k <= most]
    points = []
    chosen = {**size.penalty.options_of(strategy), **(options or {})}
    model = kind(**size.penalty.candidates, **planned_options(chosen, size.t))
    for nodes in counts if kind.distributed else [1]:
        cost = model.cost(size.t, size.p, size.s, dtype, nodes)
        if cost is None:
            continue
        found = predict(cost, calibration, threads)
        phase, share = largest(found)
        points.append(CurvePoint(nodes, found.seconds, phase, share, cost.machine_bytes(1)))
    stops = _stops(points)
    return Curve(
        strategy,
        dtype,
        threads,
        tuple(points),
        stops,
        _reason(strategy, points, stops, calibration),
    )


def _stops(points: Sequence[CurvePoint]) -> int | None:
    """Return the nodes of the first point that the next one hardly improves."""
    for here, there in pairwise(points):
        if there.seconds > (1 - LEAST_GAIN) * here.seconds:
            return here.nodes
    return None


def _reason(
    strategy: str, points: Sequence[CurvePoint], stops: int | None, calibration: Calibration
) -> str:
    if len(points) < 2:
        return f"{strategy} runs in one process."
    if stops is None:
        last = points[-1]
        return f"{strategy} still gains at {counted(last.nodes, 'node')}."
    at = next(one for one in points if one.nodes == stops)
    short = at.memory_bytes - calibration.machine.memory_bytes
    memory = f" It lacks {readable_bytes(short)} of memory there." if short > 0 else ""
    return (
        f"{strategy} stops at {counted(stops, 'node')}: {at.phase} takes {at.share:.0%} of the "
        f"time, and more nodes do not shorten it.{memory}"
    )


def as_dict(curve: Curve) -> dict[str, Any]:
    """Return a curve as JSON's own types."""
    return {
        "strategy": curve.strategy,
        "dtype": curve.dtype,
        "threads": curve.threads,
        "stops_at": curve.stops_at,
        "reason": curve.reason,
        "points": [
            {
                "nodes": one.nodes,
                "seconds": one.seconds,
                "phase": one.phase,
                "share": one.share,
                "memory_bytes": one.memory_bytes,
            }
            for one in curve.points
        ],
    }
