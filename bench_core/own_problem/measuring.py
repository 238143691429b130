"""Measuring in the environments of a sweep: a process in each, records in a store that stays."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from bench_core.files import read_json, write_json
from bench_core.measure.turns import Helper
from bench_core.measure.turns_plan import PLAN, TurnsPlan
from bench_core.own_problem.cases import SweepCase
from bench_core.own_problem.environments import BlasEnvironment
from bench_core.own_problem.request import RUNS
from bench_core.records import Record, codec
from bench_core.records.provenance import commit
from bench_core.records.session import SessionRecord
from bench_core.records.store import RECORDS

SESSION_FILE = "session.json"


class EnvironmentRuns:
    """Runs of cases in environments, a context manager; see `bench_core.own_problem.sweep.Runs`.

    Parameters
    ----------
    folder : of the store; records of an earlier sweep of the same data are there.
    pending : folder to which records are published.
    variables : of the processes, beside those of the environments.

    Examples
    --------
    >>> runs = EnvironmentRuns([], [], Path("store"), Path("pending"), "20260101T000000Z", {})
    >>> runs.session
    '20260101T000000Z'
    """

    def __init__(
        self,
        environments: Sequence[BlasEnvironment],
        cases: Sequence[SweepCase],
        folder: Path,
        pending: Path,
        session: str,
        variables: Mapping[str, str],
    ) -> None:
        self.session = session
        self.environments = environments
        self._pending = pending
        self._folders = [(folder / one.name).absolute() for one in environments]
        self._plans = [
            TurnsPlan(
                one.name,
                one.python,
                {RECORDS: str(pending.absolute()), **variables, **one.variables},
                tuple(replace(case.spec, blas=one.blas) for case in cases),
                None,
                RUNS,
            )
            for one in environments
        ]
        self._log = (folder / "turns.log").absolute()
        self._stack = ExitStack()
        self._helpers: list[Helper] = []
        self._known: dict[tuple[int, int], Record | None] = {}

    def __enter__(self) -> Self:
        for plan, folder in zip(self._plans, self._folders, strict=True):
            codec.write(plan, folder / PLAN)
            helper = Helper(plan, folder, self.session, self._log, os.environ)
            self._helpers.append(self._stack.enter_context(helper))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def record(self, side: int, case: int) -> Record | None:
        """Return the record that is there, None without one."""
        if (side, case) not in self._known:
            path = self._path(side, case)
            self._known[side, case] = codec.read(Record, path) if path.is_file() else None
        return self._known[side, case]

    def measure(self, side: int, case: int, limit_s: float) -> Record | None:
        """Return the record after one run more; None if it did not end, or not in time."""
        helper = self._helpers[side]
        timer = threading.Timer(limit_s, helper.stop) if limit_s < threading.TIMEOUT_MAX else None
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            answered = helper.ask({"case": case, "store": ""})
        finally:
            if timer is not None:
                timer.cancel()
            self._known.pop((side, case), None)
        return None if answered is None else self.record(side, case)

    def forget(self, side: int, case: int) -> None:
        """Remove the record."""
        self._path(side, case).unlink(missing_ok=True)
        self._known.pop((side, case), None)

    def forget_all(self) -> None:
        """Remove the records of all these cases."""
        for side in range(len(self._plans)):
            for case in range(len(self._plans[side].cases)):
                self.forget(side, case)

    def publish(self, record: SessionRecord) -> None:
        """Publish the session's record in every environment, beside the records of its fits."""
        for environment in self.environments:
            folder = self._pending / environment.name / (commit()[0] or "unknown")
            codec.write(record, folder / f"session-{record.case.kind}-{self.session}.json")

    def _path(self, side: int, case: int) -> Path:
        return self._folders[side] / f"{self._plans[side].cases[case].stem}.json"


def session_name(folder: Path, *, again: bool = False) -> str:
    """Return the name of the session of a store: that of its first sweep, or a new one.

    Runs of equal number are compared as measured in turn within a session, so what was not is
    measured anew (`bench_core.own_problem.sweep`).
    """
    path = folder / SESSION_FILE
    if path.is_file() and not again:
        return str(read_json(path)["session"])
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    write_json(path, {"session": name})
    return name
