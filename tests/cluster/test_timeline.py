"""Timelines of made-up schedules, whose longest paths are known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench_core.cluster import task_phases
from bench_core.cluster.task_times import KEPT_FITS, NodeReport, TaskTime, report, run_task
from bench_core.cluster.timeline import FitLog, Moment, Task, Timeline, Wait, clock_offset
from bench_core.phases import NO_PHASES, PHASES, Phases


def moment(time: float, waited: float = 0.0, **seconds: float) -> Moment:
    rest = time - waited - sum(seconds.values())
    found = dict.fromkeys(PHASES, 0.0) | {"waiting": waited, "other": rest}
    return Moment(time, found | seconds)


def shown(seconds):
    return {name: value for name, value in seconds.items() if value}


def test_the_path_goes_through_the_node_that_ended_last():
    """Two tasks from 1 s on: node 0 takes 3 s, node 1 takes 6 s; the driver waits for both."""
    start = moment(1.0)
    line = Timeline(
        moment(0.0),
        moment(9.0, 7.0),
        [Wait(start, moment(8.0, 7.0), frozenset("ab"))],
        [
            Task("a", 0, 1.0, 4.0, {"gram": 3.0}, submitted=start),
            Task("b", 1, 2.0, 8.0, {"scores": 5.0, "reading": 1.0}, submitted=start),
        ],
    )
    path = {"reading": 1.0, "scores": 5.0, "transfers": 1.0, "other": 2.0}
    assert shown(line.critical_path()) == path
    assert shown(line.main()) == {"waiting": 7.0, "other": 2.0}
    assert shown(line.node(0)) == {"gram": 3.0, "waiting": 6.0}
    assert shown(line.node(1)) == {"reading": 1.0, "scores": 5.0, "transfers": 1.0, "waiting": 2.0}


def test_a_node_that_waits_for_another_is_told_from_one_that_fetches():
    """Node 1 has c ready at 2 s, but it needs a, which node 0 has at 5 s and which comes at 6 s."""
    start = moment(0.0)
    line = Timeline(
        start,
        moment(9.0, 9.0),
        [Wait(start, moment(9.0, 9.0), frozenset("c"))],
        [
            Task("a", 0, 0.0, 5.0, {"factorisation": 5.0}, submitted=start),
            Task("b", 1, 0.0, 2.0, {"scores": 2.0}, submitted=start),
            Task("c", 1, 6.0, 9.0, {"solution": 3.0}, needs=("a", "b"), submitted=start),
        ],
    )
    assert shown(line.node(1)) == {"scores": 2.0, "solution": 3.0, "waiting": 3.0, "transfers": 1.0}
    path = {"factorisation": 5.0, "solution": 3.0, "transfers": 1.0}
    assert shown(line.critical_path()) == path


def test_a_wait_that_no_task_explains_is_waiting():
    line = Timeline(
        moment(0.0), moment(5.0, 3.0), [Wait(moment(1.0), moment(4.0, 3.0), frozenset("a"))], []
    )
    assert shown(line.critical_path()) == {"waiting": 3.0, "other": 2.0}


def test_tasks_that_another_program_submitted_are_on_the_path():
    """joblib submits: the driver waits for any task and knows none."""
    began, ended = moment(1.0), moment(8.0, 7.0)
    tasks = [Task("", 0, 2.0, 4.0, {"sklearn": 2.0}), Task("", 0, 5.0, 7.0, {"sklearn": 2.0})]
    line = Timeline(moment(0.0), moment(9.0, 7.0), [Wait(began, ended, None)], tasks)
    assert shown(line.critical_path()) == {"sklearn": 4.0, "transfers": 3.0, "other": 2.0}
    assert shown(line.node(0)) == {"sklearn": 4.0, "transfers": 3.0, "waiting": 2.0}


_steps = st.lists(
    st.tuples(
        st.integers(0, 2),  # node
        st.integers(1, 20),  # seconds of work
        st.lists(st.integers(0, 30), max_size=3),  # needs, as numbers of earlier tasks
        st.sampled_from(["gram", "scores", "solution"]),
        st.integers(0, 3),  # what the driver does before it submits
        st.booleans(),  # wait for this task at once
    ),
    min_size=1,
    max_size=14,
)


@given(_steps, st.integers(0, 2))
def test_every_sum_is_the_fit_and_the_path_is_the_longest(steps, delay):
    """Schedules as Dask makes them: a task starts ``delay`` after all that it has to wait for."""
    now, waited = 0.0, 0.0
    free = {0: 0.0, 1: 0.0, 2: 0.0}
    tasks: list[Task] = []
    waits: list[Wait] = []

    def wait_for(keys):
        nonlocal now, waited
        began = moment(now, waited)
        last = max(task.ended for task in tasks if task.key in keys)
        if last > now:
            waited += last + delay - now
            now = last + delay
        waits.append(Wait(began, moment(now, waited), frozenset(keys)))

    for number, (node, work, wanted, phase, driver, at_once) in enumerate(steps):
        now += driver
        needs = tuple({str(one % number) for one in wanted}) if number else ()
        ready = max([now, free[node], *(tasks[int(key)].ended for key in needs)])
        began = ready + delay
        free[node] = began + work
        tasks.append(
            Task(
                str(number),
                node,
                began,
                began + work,
                {phase: float(work)},
                needs,
                moment(now, waited),
            )
        )
        if at_once:
            wait_for([str(number)])
    wait_for([task.key for task in tasks])
    now += 2
    line = Timeline(moment(0.0), moment(now, waited), waits, tasks)
    for seconds in (line.main(), *map(line.node, range(3)), line.critical_path()):
        assert sum(seconds.values()) == pytest.approx(now)
        assert min(seconds.values()) >= 0
    path = line.critical_path()
    assert path["waiting"] == 0
    if delay == 0:  # then the path is made of work alone: nothing was idle along it
        assert path["transfers"] == 0


def test_tasks_are_timed_where_asked_for_and_nodes_forget_what_they_have_told():
    assert task_phases() is NO_PHASES

    def work(a, b):
        with task_phases()("gram"):
            return a + b

    assert run_task("fit", "key", work, 1, 2) == 3
    assert task_phases() is NO_PHASES
    found = report("fit")
    (task,) = found.tasks
    assert task.key == "key"
    assert task.ended - task.began == pytest.approx(sum(task.seconds.values()))
    assert task.seconds["gram"] > 0
    assert found.now >= task.ended
    assert report("fit").tasks == []


def test_a_task_that_fails_is_timed_and_its_error_goes_on():
    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_task("failed", "key", fail)
    assert task_phases() is NO_PHASES
    assert len(report("failed").tasks) == 1


def test_times_of_fits_that_nobody_asks_for_are_dropped():
    for number in range(KEPT_FITS + 1):
        run_task(f"unasked-{number}", "", int)
    assert report("unasked-0").tasks == []
    for number in range(1, KEPT_FITS + 1):
        assert len(report(f"unasked-{number}").tasks) == 1


def test_clocks_of_other_machines_are_set_by_the_drivers():
    assert clock_offset(10.0, 12.0, 11.5) == 0.0
    assert clock_offset(10.0, 12.0, 3.0) == 8.0
    ticks = iter(float(n) for n in range(100))
    phases = Phases(ticks.__next__)
    with phases.whole():  # at 0
        log = FitLog(phases)
        key = log.submit("work", ())  # at 1
        with log.waiting(frozenset({key})):  # from 2 to 5
            pass
    # at 6
    task = TaskTime(key, 1002.0, 1004.0, dict.fromkeys(PHASES, 0.0) | {"gram": 2.0})
    record = log.record(6.0, [(NodeReport(1010.0, [task]), -1000.0)])
    assert [one.process for one in record.processes] == ["main", "node 0"]
    assert record.critical.gram == 2.0
    assert record.critical.total == record.processes[1].total == 6.0
    assert record.deviation == 0
