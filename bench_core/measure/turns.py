"""The cases of several environments, measured in turns.

A machine drifts within minutes: its clock, its neighbours. If one library is measured in the
morning and the other at noon, they differ by the time of day. So every case is measured in all
environments one after the other before the next case begins, and all cases several times: first in
order, then in reverse order, of cases and of environments. What drifts slowly then slows all sides
alike, and every strategy is measured early and late. Between them a reference is fitted again and
again: a clock of the machine.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any

from bench_core.measure.turns_plan import TurnsPlan, same_case, side_of_same
from bench_core.processes import end_tree
from bench_core.records import codec
from bench_core.records.record import Record
from bench_core.records.runs import case_words
from bench_core.records.session import (
    SCHEMA_SESSION,
    SamePair,
    SessionCase,
    SessionRecord,
    Tick,
)

WORKER = "bench_core.measure.turns_worker"
#: Cases, in all their environments, between two fits of the reference.
CLOCK_EVERY = 8
SIDES = ("first", "second")


@dataclass(frozen=True)
class Turn:
    """One run of one case.

    Parameters
    ----------
    side : number of the environment, or of the side of an A/A pair.
    case : number of the case in that environment's plan; None for the reference.

    Examples
    --------
    >>> Turn(0, None).case
    """

    side: int
    case: int | None


def schedule(cases: Sequence[Sequence[str]], runs: int, *, clock: bool = True) -> Iterator[Turn]:
    """Yield the turns: all sides of a case, then the next; every second run in reverse.

    Parameters
    ----------
    cases : of every side, the keys that equal cases share, in the order of its plan.
    clock : fit the reference, of the first side, at the begin, between cases and at the end.

    >>> for turn in schedule([["a", "b"], ["b"]], 2, clock=False):
    ...     print(turn.side, turn.case)
    0 0
    0 1
    1 0
    1 0
    0 1
    0 0
    """
    order = list(dict.fromkeys(key for side in cases for key in side))
    numbers = [{key: number for number, key in enumerate(side)} for side in cases]
    for run in range(runs):
        step = -1 if run % 2 else 1
        for place, key in enumerate(order[::step]):
            if clock and place % CLOCK_EVERY == 0:
                yield Turn(0, None)
            for side in range(len(cases))[::step]:
                if key in numbers[side]:
                    yield Turn(side, numbers[side][key])
    if clock:
        yield Turn(0, None)


@dataclass
class Helper:
    """A process in one environment that measures when asked; a new one where it died.

    Parameters
    ----------
    folder : of the environment in the session.
    log : file for what the process prints. variables : it gets them and its plan's.
    """

    plan: TurnsPlan
    folder: Path
    session: str
    log: Path
    variables: Mapping[str, str]
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def __enter__(self) -> Helper:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            if kind is not None:  # what it measures would only be waited for
                self._process.terminate()
            self._process.communicate()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the answer; None where the process ended without one."""
        if self._process is None:
            self._process = self._start()
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(dict(request)) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            process.communicate()
            self._process = None
            return None
        found: dict[str, Any] = json.loads(line)
        return found

    def stop(self) -> None:
        """End the process and all that it started, from another thread: `ask` returns None then."""
        if self._process is not None:
            end_tree(self._process.pid)

    def _start(self) -> subprocess.Popen[str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("a", encoding="utf-8") as log:
            return subprocess.Popen(
                [self.plan.executable, "-m", WORKER, str(self.folder), self.session],
                cwd=self.folder,
                env={**self.variables, **self.plan.variables},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )


def take_turns(
    plans: Mapping[Path, TurnsPlan],
    session: str,
    *,
    log: Path,
    say: Callable[[str], None],
    wanted: Callable[[str], bool] = lambda suite: True,
    variables: Mapping[str, str] | None = None,
    same: bool = False,
) -> SessionRecord:
    """Measure the cases of all plans in turns; return, and publish in each, the session's record.

    A case whose process died is left to asv, which measures what has no record.

    Parameters
    ----------
    plans : by the environments' folders in the session.
    session : name of the session, unique. log : file for what helpers print.
    wanted : whether the cases of a suite are to be measured.
    variables : of helpers, with those of their plans; None for this process's own.
    same : measure the first environment in turns with itself instead (A/A).
    """
    started, began = datetime.now(UTC), perf_counter()
    folders = list(plans)
    used = folders[:1] * 2 if same else folders
    with ExitStack() as stack:
        made = {
            folder: stack.enter_context(
                Helper(plans[folder], folder, session, log, variables or os.environ)
            )
            for folder in dict.fromkeys(used)
        }
        stores = SIDES if same else ("",) * len(used)
        keys = [
            [same_case(one) if wanted(one.suite) else "" for one in plans[folder].cases]
            for folder in used
        ]
        chosen = [[key for key in side if key] for side in keys]
        numbers = [[number for number, key in enumerate(side) if key] for side in keys]
        first = plans[used[0]]
        runs = max((plans[folder].runs for folder in used), default=1)
        lost: set[str] = set()
        for turn in schedule(chosen, runs, clock=first.reference is not None):
            helper, plan = made[used[turn.side]], plans[used[turn.side]]
            case = None if turn.case is None else numbers[turn.side][turn.case]
            store = "" if case is None else stores[turn.side]
            if helper.ask({"case": case, "store": store}) is None:
                spec = plan.reference if case is None else plan.cases[case]
                assert spec is not None
                text = f"{spec.strategy} on {spec.problem} in {plan.environment}"
                if text not in lost:
                    say(f"The process that measured {text} died: asv tries once more ({log.name})")
                lost.add(text)
        record = SessionRecord(
            schema=SCHEMA_SESSION,
            case=SessionCase("same" if same else "bench", session),
            started=f"{started:%Y-%m-%dT%H:%M:%SZ}",
            seconds=perf_counter() - began,
            environments=tuple(plans[folder].environment for folder in dict.fromkeys(used)),
            runs=runs,
            cases=len({key for side in chosen for key in side}),
            clock_environment=None if first.reference is None else first.environment,
            clock=_clock(first, used[0], started),
            same=tuple(_same_pairs(first, used[0])) if same else (),
        )
        for helper in made.values():
            helper.ask({"publish": codec.to_json(record)})
    return record


def _clock(plan: TurnsPlan, folder: Path, started: datetime) -> tuple[Tick, ...]:
    """Return the runs of the reference."""
    if plan.reference is None:
        return ()
    path = folder / f"{plan.reference.stem}.json"
    if not path.is_file():
        return ()
    record = codec.read(Record, path)
    if record.times is None:
        return ()
    return tuple(
        Tick(
            at_s=max(0.0, (datetime.fromisoformat(one.started) - started).total_seconds()),
            seconds=sorted(one.fit_s)[len(one.fit_s) // 2],
            use=one.use,
        )
        for one in record.times.runs
    )


def _same_pairs(plan: TurnsPlan, folder: Path) -> Iterator[SamePair]:
    """Yield the cases that both sides measured."""
    for spec in map(side_of_same, plan.cases):
        paths = [folder / side / f"{spec.stem}.json" for side in SIDES]
        if not all(path.is_file() for path in paths):
            continue
        first, second = (codec.read(Record, path) for path in paths)
        if first.times is None or second.times is None:
            continue
        runs = [
            {one.number: one.fit_s for one in side.times.runs if one.counted}
            for side in (first, second)
            if side.times is not None
        ]
        shared = sorted(set(runs[0]) & set(runs[1]))
        reasons = [one.reason for one in (first, second) if one.status != "ok"]
        if not shared:
            continue
        yield SamePair(
            case=case_words(first.case),
            key=first.key,
            first=tuple(runs[0][one] for one in shared),
            second=tuple(runs[1][one] for one in shared),
            disturbed=reasons[0] if reasons else None,
        )
