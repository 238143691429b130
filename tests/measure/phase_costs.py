"""What taking the seconds of phases costs, and how they add up, for docs/measurements.md.

Run as ``python -m tests.measure.phase_costs`` on a machine that does little else; minutes.
"""

from __future__ import annotations

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench_core import machine
from bench_core.measure import FitSpec, measure_overhead
from bench_core.records import provenance, to_dict

RECORD = Path(__file__).parents[2] / "docs" / "phase-costs.json"
CASES = (
    (60, FitSpec("haxby2001", "multitarget", split="run")),
    (8, FitSpec("whole-brain-bmor", "multitarget", scale=1 / 24)),
    (8, FitSpec("whole-brain-bmor", "bmor-shared", scale=1 / 48, nodes=2)),
    (8, FitSpec("parcels", "bmor", scale=1 / 64, nodes=2)),
)
"""Rounds of fits, and what is fitted."""


def measured(spec: FitSpec, pairs: int) -> dict[str, Any]:
    """Return the costs of one case, its configuration and the load of the machine around it."""
    before = machine.load()
    with tempfile.TemporaryDirectory() as store:
        found = measure_overhead(spec, pairs=pairs, store=Path(store))
    if found.phases is None:
        raise RuntimeError(f"{spec.strategy}: {found.reason}")
    return {
        "strategy": spec.strategy,
        "problem": spec.problem,
        "scale": None if spec.problem == "haxby2001" else spec.scale,
        "nodes": spec.nodes,
        "threads": spec.threads,
        "median_s": median(found.without_s),
        "busy_cores": [before["busy_cores"], machine.load()["busy_cores"]],
        "result": to_dict(found),
    }


def main() -> None:
    """Write the costs of every case."""
    cases = []
    for pairs, spec in CASES:
        cases.append(measured(spec, pairs))
        shown = dict(cases[-1]["result"]["phases"])
        del shown["with_s"]
        print(spec.strategy, spec.problem, shown, flush=True)
    record = {
        "commit": provenance.commit()[0],
        "started": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "cpu": machine.describe()["cpu"]["model"],
        "cases": cases,
    }
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
