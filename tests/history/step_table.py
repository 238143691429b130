"""What each way to detect steps finds in made series, for docs/comparing.md.

Run as ``python -m tests.history.step_table``; about a minute. Apache Otava is in the table where it
is installed (``pip install apache-otava``, in an environment of its own: it pins old packages).
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from bench_core.history import find_steps
from tests.history.made_series import KINDS, MadeSeries, make_series, thousand

RECORD = Path(__file__).parents[2] / "docs" / "change-points.json"
NEAR = 2
"""Commits by which a step that is found may be off."""

Finder = Callable[[MadeSeries], list[int]]


def ours(made: MadeSeries) -> list[int]:
    """Return the steps of `bench_core.history`, as `ridgebench regressions` asks for them."""
    found = find_steps(np.log(made.seconds), least=math.log(1.05))
    return [step.position for step in found]


def asv_steps(made: MadeSeries) -> list[int]:
    """Return the steps that asv's graphs are cut at."""
    from asv.step_detect import detect_steps

    return [int(start) for start, *_ in detect_steps(list(made.seconds))[1:]]


def asv_regressions(made: MadeSeries) -> list[int]:
    """Return asv's regressions, and improvements as regressions of the inverse, from 5 %."""
    from asv.step_detect import detect_regressions, detect_steps

    found = []
    for values in (made.seconds, 1 / made.seconds):
        _, _, places = detect_regressions(detect_steps(list(values)), 0.05)
        found += [int(after) for _, after, *_ in places or []]
    return sorted(found)


def otava(made: MadeSeries) -> list[int]:
    """Return Apache Otava's change points with its default settings."""
    from otava.analysis import compute_change_points

    points, _ = compute_change_points(made.seconds.tolist(), window_len=30, max_pvalue=0.001)
    return [int(point.index) for point in points]


def finders() -> dict[str, Finder]:
    """Return the ways that are installed here."""
    found: dict[str, Finder] = {"ridgebench": ours}
    if importlib.util.find_spec("asv"):
        found |= {"asv, steps": asv_steps, "asv, regressions": asv_regressions}
    if importlib.util.find_spec("otava"):
        found["Apache Otava"] = otava
    return found


def count(find: Finder, made: Iterable[MadeSeries]) -> dict[str, int]:
    """Count series with and without a step, steps found, and false alarms.

    An alarm is false where it is not near a step; a series counts once.
    """
    counts = {"steps": 0, "found": 0, "false beside a step": 0, "flat": 0, "false alarms": 0}
    for one in made:
        places = find(one)
        if one.position is None:
            counts["flat"] += 1
            counts["false alarms"] += bool(places)
            continue
        near = [abs(place - one.position) <= NEAR for place in places]
        counts["steps"] += 1
        counts["found"] += any(near)
        counts["false beside a step"] += not all(near)
    return counts


def by_kind(find: Finder, made: list[MadeSeries]) -> dict[str, dict[str, int]]:
    """Return the counts of every kind."""
    return {kind: count(find, [one for one in made if one.kind == kind]) for kind in KINDS}


def coverage(made: Iterable[MadeSeries]) -> dict[str, int]:
    """Count the steps found, and those whose interval and range hold the true size and place."""
    counts = {"found": 0, "size in interval": 0, "place in range": 0}
    for one in made:
        if one.position is None:
            continue
        found = find_steps(np.log(one.seconds), least=math.log(1.05))
        for step in found:
            if abs(step.position - one.position) > NEAR:
                continue
            counts["found"] += 1
            low, high = step.interval
            counts["size in interval"] += low <= math.log(one.ratio) <= high
            counts["place in range"] += step.first <= one.position <= step.last
    return counts


def smallest(seed: int = 1, each: int = 100) -> dict[str, dict[str, int]]:
    """Return the counts for steps of exactly 15 %, by kind, and by commits after the step."""
    rng = np.random.default_rng(seed)
    found = {
        kind: count(ours, [make_series(kind, rng, step=True, ratio=1.15) for _ in range(each)])
        for kind in KINDS
    }
    for after in (1, 2, 3, 5):
        for ratio in (1.15, 1.3):
            made = [
                make_series(KINDS[0], rng, step=True, ratio=ratio, position=40 - after)
                for _ in range(each)
            ]
            found[f"{KINDS[0]}, {ratio - 1:.0%} up or down, {after} commits after"] = count(
                ours, made
            )
    return found


def _versions() -> dict[str, str]:
    found = {}
    for package in ("numpy", "scipy", "asv", "apache-otava"):
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def as_markdown(record: dict[str, Any]) -> str:
    """Return the record's table, for the documentation."""
    ways = record["ways"]
    lines = [
        "| series | " + " | ".join(f"{way}: found | false" for way in ways) + " |",
        "|---|" + "---:|---:|" * len(ways),
    ]
    for kind in KINDS:
        cells = [
            text
            for counts in ways.values()
            for one in [counts[kind]]
            for text in (
                f"{100 * one['found'] / one['steps']:.0f} %",
                f"{100 * one['false alarms'] / one['flat']:.0f} %",
            )
        ]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Write the table of every way that is installed."""
    made = list(thousand())
    found: dict[str, Any] = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    ways = found.get("ways", {}) | {name: by_kind(find, made) for name, find in finders().items()}
    found = {
        "series": len(made),
        "commits": len(made[0].seconds),
        "seed": 0,
        "near": NEAR,
        "versions": found.get("versions", {}) | _versions(),
        "ways": ways,
        "ridgebench, coverage": coverage(made),
        "ridgebench, steps of 15 %": smallest(),
    }
    RECORD.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
