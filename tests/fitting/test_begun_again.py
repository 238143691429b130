"""How often a fit is begun again whose nodes, or the process that leads them, are lost."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench_core.cluster.settings import LOCAL, parse_cluster
from bench_core.fitting import unfinished
from bench_core.records import Record
from bench_core.runner.protocol import WorkerResult
from bench_core.runner.run import RunSettings, start_record
from bench_core.runner.spec import FitSpec, ProblemShape

SPEC = FitSpec("parcels", "bmor")
SHAPE = ProblemShape("parcels", 1081, 256, 6, "float64")


@pytest.mark.parametrize(
    ("where", "finished", "error", "times"),
    [
        ("local", 0, "NodeLostError", 3),
        ("local", 1, None, 3),
        ("local", 0, "InputError", 1),
        # A cluster that does not start; one that does not start again.
        ("tcp://127.0.0.1:9", 0, "NodeLostError", 1),
        ("tcp://127.0.0.1:9", 1, "NodeLostError", 3),
        # A scheduler of others, or work that loses its node again and again.
        ("tcp://127.0.0.1:9", 1, "SchedulerLostError", 1),
        ("tcp://127.0.0.1:9", 1, "RetriesUsedError", 1),
    ],
)
def test_retries_are_of_fits_that_lost_their_nodes(
    where: str,
    finished: int,
    error: str | None,
    times: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lost = WorkerResult("failed", "the cluster is gone", error=error)
    done: list[RunSettings] = []

    def run_fit(record: Record, _spec: Any, _data: Any, settings: RunSettings) -> Any:
        done.append(settings)
        return record, lost

    monkeypatch.setattr(unfinished, "run_fit", run_fit)
    settings = RunSettings(tmp_path, cluster=LOCAL if where == "local" else parse_cluster(where))
    ledger: Any = SimpleNamespace(folder=tmp_path, finished=finished)
    record, found = unfinished.fit_to_the_end(
        start_record(SPEC, SHAPE),
        SPEC,
        None,
        settings,
        ledger,
        2,  # type: ignore[arg-type]
    )
    assert found is lost
    assert len(done) == times
    again = times - 1
    assert (record.recovery is None) == (again == 0)
    if record.recovery is not None:
        assert (record.recovery.redone, len(record.recovery.lost)) == (again, again)
