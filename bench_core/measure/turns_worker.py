"""The process that measures in one environment when it is its turn.

Run as ``python -m bench_core.measure.turns_worker FOLDER SESSION`` by `bench_core.measure.turns`,
with the variables of the environment's plan, which lies in FOLDER; of these ``RIDGEBENCH_CLUSTER``
says where the nodes are, and ``RIDGEBENCH_ALLOW_MIXED`` that they may differ. It answers every line
of JSON on stdin by one on stdout, and ends with its stdin.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench_core.cluster.settings import LOCAL, ClusterSettings, chosen_cluster
from bench_core.measure.again import measure_again
from bench_core.measure.run import measure
from bench_core.measure.turns_plan import PLAN, TurnsPlan, side_of_same
from bench_core.processes import answer_channel
from bench_core.records import codec
from bench_core.records.record import Record
from bench_core.records.session import SessionRecord
from bench_core.records.store import publish
from bench_core.records.times import Times
from bench_core.runner.spec import FitSpec


def measure_run(
    spec: FitSpec,
    store: Path,
    session: str,
    runs: int | None = None,
    *,
    cluster: ClusterSettings = LOCAL,
) -> Record:
    """Return the record of a case with one run more, of this session.

    runs : as many as it is to have; None for any number. A record that an interrupted sweep has
        finished stays as it is, with the name of that session; one with fewer is made anew, since
        its first runs were in turn with others.
    cluster : where the nodes are, which ``spec`` names.
    """
    path = store / f"{spec.stem}.json"
    if path.is_file():
        kept = codec.read(Record, path)
        if runs is None or kept.session == session:
            return measure_again(spec, store=store, cluster=cluster)
        if kept.times is not None and count_runs(kept.times) >= runs:
            return kept
    store.mkdir(parents=True, exist_ok=True)
    measured = measure(spec, store=store, again=path.is_file(), cluster=cluster)
    record = replace(measured, session=session)
    codec.write(record, path)
    return record


def count_runs(times: Times) -> int:
    """Return the number of runs, each of which may have been tried several times."""
    return len({one.number for one in times.runs})


def answer(plan: TurnsPlan, folder: Path, session: str, request: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to one request.

    ``{"case": 3, "store": ""}`` measures the plan's fourth case, ``{"case": null, …}`` its
    reference; ``{"publish": "…"}`` publishes the text of a session's record.
    """
    if "publish" in request:
        publish(codec.from_json(SessionRecord, request["publish"], "the session"))
        return {"status": "ok"}
    number, store = request["case"], folder / request["store"]
    spec = plan.reference if number is None else plan.cases[number]
    assert spec is not None
    if request["store"]:
        spec = side_of_same(spec)
    runs = None if number is None else plan.runs
    cluster = LOCAL if spec.cluster == LOCAL.label else chosen_cluster()
    record = measure_run(spec, store, session, runs, cluster=cluster)
    if not request["store"]:  # sides of an environment with itself are no records of their own
        publish(record)
    return {"status": record.status, "record": str(store / f"{spec.stem}.json")}


def main(folder: Path, session: str) -> None:
    """Answer until stdin ends."""
    channel = answer_channel()
    plan = codec.read(TurnsPlan, folder / PLAN)
    for line in sys.stdin:
        print(json.dumps(answer(plan, folder, session, json.loads(line))), file=channel, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
