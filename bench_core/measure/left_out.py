"""What a run leaves out of the suites' grids, so that a summary can say so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench_core.measure.record import write_json
from bench_core.records.store import records_folder

SCHEMA = "ridgebench-left-out/1"


def publish_left_out(counts: Mapping[tuple[str, str], int]) -> Path | None:
    """Publish how many parameter sets of each suite are left out, and why.

    One record per environment and commit, which replaces an earlier run's; None where there is no
    project to publish to.

    Parameters
    ----------
    counts : (suite, reason) → number of parameter sets.
    """
    folder = records_folder()
    if folder is None:
        return None
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "status": "skipped",
        "reason": "left out of the grids",
        "case": {},
        "left_out": [
            {"suite": suite, "reason": reason, "count": count}
            for (suite, reason), count in sorted(counts.items())
        ],
    }
    write_json(record, folder / "left-out.json")
    return folder / "left-out.json"
