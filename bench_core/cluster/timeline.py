"""Timeline of a fit on several processes: seconds of every node, and of the critical path.

The driver notes when it submitted a task, which other tasks that one needs, and when it waited for
which. Nodes report when their tasks ran. All else is arithmetic here.

The critical path is found backwards from the end of the fit: what was done last, what that had
waited for, and so on. Its seconds sum to the fit, as do those of every process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from bench_core.cluster.task_times import NodeReport, TaskTime
from bench_core.phases import PHASES, Phase, Phases
from bench_core.records.phases import PhaseSeconds, PhasesRecord

Seconds = dict[Phase, float]


@dataclass(frozen=True)
class Moment:
    """A time of the driver's clock, and the seconds of the driver's phases until then."""

    time: float
    seconds: Seconds

    @classmethod
    def now(cls, phases: Phases) -> Moment:
        """Return the present one."""
        return cls(*phases.so_far())

    def since(self, earlier: Moment) -> Seconds:
        """Return the seconds of the driver's phases in between."""
        return {name: self.seconds[name] - earlier.seconds[name] for name in PHASES}


@dataclass(frozen=True)
class Task:
    """One task that ran on a node, all times by the driver's clock.

    needs : keys of the tasks whose results it takes. submitted : None where the driver did not
    submit it itself.
    """

    key: str
    node: int
    began: float
    ended: float
    seconds: Mapping[Phase, float]
    needs: tuple[str, ...] = ()
    submitted: Moment | None = None


@dataclass(frozen=True)
class Wait:
    """The driver waited for the tasks with these keys; None: for any."""

    began: Moment
    ended: Moment
    keys: frozenset[str] | None


@dataclass
class Timeline:
    """Everything that happened in one fit.

    Examples
    --------
    The driver submits one task after 1 s and waits for it from 2 s to 7 s; the task runs from 3 s
    to 6 s. The fit ends after 8 s.

    >>> def moment(time, waited):
    ...     seconds = dict.fromkeys(PHASES, 0.0)
    ...     return Moment(time, seconds | {"waiting": waited, "other": time - waited})
    >>> line = Timeline(
    ...     moment(0.0, 0.0),
    ...     moment(8.0, 5.0),
    ...     [Wait(moment(2.0, 0.0), moment(7.0, 5.0), frozenset({"a"}))],
    ...     [Task("a", 0, 3.0, 6.0, {"gram": 3.0}, submitted=moment(1.0, 0.0))],
    ... )
    >>> {name: spent for name, spent in line.critical_path().items() if spent}
    {'gram': 3.0, 'transfers': 3.0, 'other': 2.0}
    >>> {name: spent for name, spent in line.node(0).items() if spent}
    {'gram': 3.0, 'transfers': 2.0, 'waiting': 3.0}
    """

    began: Moment
    ended: Moment
    waits: Sequence[Wait]
    tasks: Sequence[Task]

    def __post_init__(self) -> None:
        self._by_key = {task.key: task for task in self.tasks if task.key}
        self._before: dict[int, Task] = {}
        last: dict[int, Task] = {}
        for task in sorted(self.tasks, key=lambda one: one.began):
            if task.node in last:
                self._before[id(task)] = last[task.node]
            last[task.node] = task

    def main(self) -> Seconds:
        """Return the seconds of the driver."""
        return self.ended.since(self.began)

    def node(self, number: int) -> Seconds:
        """Return the seconds of a node; between tasks it waits, or takes what it needs."""
        found = _nothing()
        cursor = self.began.time
        for task in sorted(self._on(number), key=lambda one: one.began):
            ready = min(max(self._ready(task), cursor), max(task.began, cursor))
            found["waiting"] += ready - cursor
            found["transfers"] += max(task.began, cursor) - ready
            _add(found, task.seconds)
            cursor = max(cursor, task.ended)
        found["waiting"] += max(0.0, self.ended.time - cursor)
        return found

    def critical_path(self) -> Seconds:
        """Return the seconds of the path that decided how long the fit took.

        From a task the path goes back to the last of: the results that it needs, the task before
        it on the same node, its submission. The time in between is "transfers", Dask's own time to
        start a task included. A wait that no task explains is "waiting".
        """
        found = _nothing()
        here: Moment | Task = self.ended
        for _ in range(2 * (len(self.tasks) + len(self.waits)) + 2):  # every step goes back
            if isinstance(here, Task):
                _add(found, here.seconds)
                before, came = self._cause(here)
                found["transfers"] += max(0.0, here.began - came)
                here = before
                continue
            wait = self._last_wait(here)
            if wait is None:
                _add(found, here.since(self.began))
                break
            _add(found, here.since(wait.ended))
            task = self._awaited(wait)
            if task is None:
                found["waiting"] += wait.ended.time - wait.began.time
                here = wait.began
            else:
                found["transfers"] += wait.ended.time - min(task.ended, wait.ended.time)
                here = task
        return found

    def _on(self, node: int) -> list[Task]:
        return [task for task in self.tasks if task.node == node]

    def _ready(self, task: Task) -> float:
        """Return when the results that a task needs were there and it was submitted."""
        times = [self._by_key[key].ended for key in task.needs if key in self._by_key]
        if task.submitted is not None:
            times.append(task.submitted.time)
        return max(times, default=self.began.time)

    def _cause(self, task: Task) -> tuple[Moment | Task, float]:
        """Return what a task had waited for last, and when that was there."""
        causes: list[tuple[float, Moment | Task]] = [
            (self._by_key[key].ended, self._by_key[key])
            for key in task.needs
            if key in self._by_key
        ]
        if id(task) in self._before:
            earlier = self._before[id(task)]
            causes.append((earlier.ended, earlier))
        if task.submitted is not None:
            causes.append((task.submitted.time, task.submitted))
        if not causes:  # another program submitted it while the driver waited
            began = [wait.began for wait in self.waits if wait.began.time <= task.began]
            causes = [(one.time, one) for one in began or [self.began]]
        came, cause = max(causes, key=lambda one: one[0])
        return cause, came

    def _last_wait(self, moment: Moment) -> Wait | None:
        """Return the last wait that had ended by then, with time left in the fit before it."""
        ended = [wait for wait in self.waits if wait.ended.time <= moment.time > wait.began.time]
        return max(ended, key=lambda wait: wait.ended.time, default=None)

    def _awaited(self, wait: Wait) -> Task | None:
        """Return the task that ended a wait, None where all had ended before it began."""
        done = [
            task
            for task in self.tasks
            if (wait.keys is None or task.key in wait.keys) and task.ended > wait.began.time
        ]
        if wait.keys is None:
            done = [task for task in done if task.ended <= wait.ended.time]
        return max(done, key=lambda task: task.ended, default=None)


@dataclass
class FitLog:
    """What the driver notes while a fit runs.

    Parameters
    ----------
    phases : the driver's timer, whose `Phases.whole` is open.

    Attributes
    ----------
    fit : name of the fit, unique.
    """

    phases: Phases
    fit: str = field(default_factory=lambda: uuid4().hex)

    def __post_init__(self) -> None:
        self._submitted: dict[str, tuple[tuple[str, ...], Moment]] = {}
        self._waits: list[Wait] = []

    def submit(self, name: str, needs: tuple[str, ...]) -> str:
        """Note that a task called ``name`` is submitted now; return its key, which is unique."""
        key = f"{name}-{self.fit}-{len(self._submitted)}"
        self._submitted[key] = needs, Moment.now(self.phases)
        return key

    @contextmanager
    def waiting(self, keys: frozenset[str] | None) -> Iterator[None]:
        """Note that the driver waits for these tasks while the context lasts; None: for any."""
        began = Moment.now(self.phases)
        with self.phases("waiting"):
            yield
        self._waits.append(Wait(began, Moment.now(self.phases), keys))

    def record(self, fit_s: float, reports: Sequence[tuple[NodeReport, float]]) -> PhasesRecord:
        """Return the phases of the fit, once the timer's whole is closed.

        Parameters
        ----------
        fit_s : time of the fit by its caller's clock.
        reports : of every node, in order, each with what to add to the node's clock to have the
            driver's.
        """
        tasks = [
            self._task(node, offset, one)
            for node, (report, offset) in enumerate(reports)
            for one in report.tasks
        ]
        began = Moment(self.phases.began, _nothing())
        ended = Moment(self.phases.ended, dict(self.phases.seconds))
        line = Timeline(began, ended, self._waits, tasks)
        nodes = [to_record(f"node {n}", line.node(n)) for n in range(len(reports))]
        return PhasesRecord(
            fit_s=fit_s,
            critical=to_record("critical path", line.critical_path()),
            processes=(to_record("main", line.main()), *nodes),
        )

    def _task(self, node: int, offset: float, one: TaskTime) -> Task:
        needs, submitted = self._submitted.get(one.key, ((), None))
        began, ended = one.began + offset, one.ended + offset
        return Task(one.key, node, began, ended, one.seconds, needs, submitted)


def clock_offset(asked: float, answered: float, shown: float) -> float:
    """Return what to add to a node's clock, which showed ``shown`` between two times of ours.

    0 where the clocks agree as far as can be seen, as those of one machine do. Cristian, 1989,
    Probabilistic clock synchronization, Distributed Computing 3, 146–158.

    >>> clock_offset(10.0, 10.2, 10.1), clock_offset(10.0, 10.2, 510.1)
    (0.0, -500.0)
    """
    return 0.0 if asked <= shown <= answered else (asked + answered) / 2 - shown


def to_record(process: str, seconds: Mapping[Phase, float]) -> PhaseSeconds:
    """Return the seconds of one process for the record; rounding below 0 is 0."""
    return PhaseSeconds(process, **{name: max(0.0, spent) for name, spent in seconds.items()})


def _nothing() -> Seconds:
    return dict.fromkeys(PHASES, 0.0)


def _add(total: Seconds, more: Mapping[Phase, float]) -> None:
    for name, spent in more.items():
        total[name] += spent
