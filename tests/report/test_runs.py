import shutil
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench_core.records.skips import make_skips
from bench_core.report.rows import find_issues
from bench_core.report.runs import (
    EnvironmentRun,
    collect,
    fullest,
    latest,
    newest_whole,
    read_runs,
)


def test_collect_merges_by_parameters_and_can_be_repeated(tmp_path, record, leave):
    pending, results = tmp_path / "pending", tmp_path / "results"
    leave(pending, "env-a", "c" * 40, [record(8.0), record(4.0, threads=2)])
    (first,) = collect(pending, results, "here")
    assert first == results / "here" / "cccccccc-env-a.records.jsonl"
    assert collect(pending, results, "here") == [first]
    leave(pending, "env-a", "c" * 40, [record(7.0)])  # the same parameters, measured again
    collect(pending, results, "here")
    (run,) = read_runs(results)
    assert (run.machine, run.commit, run.environment) == ("here", "cccccccc", "env-a")
    assert sorted(one.times.median_s for one in run.fits) == [4.0, 7.0]
    assert [path.name for path in first.parent.iterdir()] == [first.name]


def test_nothing_pending_writes_nothing(tmp_path):
    assert collect(tmp_path / "pending", tmp_path / "results", "here") == []
    assert read_runs(tmp_path / "results") == []


def test_skips_of_a_second_run_join_those_of_the_first(tmp_path, leave):
    pending, results = tmp_path / "pending", tmp_path / "results"
    leave(pending, "env-a", "c" * 40, [make_skips({("threads", "2 cores"): 9})])
    collect(pending, results, "here")
    shutil.rmtree(pending)
    leave(pending, "env-a", "c" * 40, [make_skips({("solvers", "scale 1"): 4})])
    collect(pending, results, "here")
    (run,) = read_runs(results)
    (skips,) = run.skips
    assert {(one.suite, one.count) for one in skips.left_out} == {("threads", 9), ("solvers", 4)}


def _spoiled(tmp_path, record, leave, spoil):
    leave(tmp_path / "p", "env-a", "c" * 40, [record(8.0), record(4.0, threads=2)])
    (path,) = collect(tmp_path / "p", tmp_path / "results", "here")
    lines = path.read_text().splitlines()
    path.write_text("\n".join(spoil(lines)) + "\n")
    (run,) = read_runs(tmp_path / "results")
    return run, lines


@given(cut=st.integers(1, 5000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_truncated_line_is_skipped_and_said(tmp_path_factory, record, leave, cut):
    folder = tmp_path_factory.mktemp("cut")
    run, lines = _spoiled(folder, record, leave, lambda lines: [lines[0], lines[1][:-cut]])
    assert len(run.fits) == 1
    assert len(run.problems) == (cut < len(lines[1]))


def test_a_record_of_a_newer_version_is_skipped_and_said(tmp_path, record, leave):
    run, _ = _spoiled(
        tmp_path,
        record,
        leave,
        lambda lines: [lines[0], lines[1].replace("measurement/3", "measurement/9")],
    )
    assert len(run.fits) == 1
    (problem,) = run.problems
    assert "ridgebench-measurement/9" in problem
    (issue,) = find_issues([run])
    assert issue.reason == problem


def test_a_duplicate_is_skipped_and_said(tmp_path, record, leave):
    run, _ = _spoiled(tmp_path, record, leave, lambda lines: [*lines, lines[0]])
    assert len(run.fits) == 2
    (problem,) = run.problems
    assert "line 1" in problem
    assert "line 3" in problem


def test_what_cannot_be_read_is_collected_and_named(tmp_path, record, leave):
    leave(tmp_path / "p", "env-a", "c" * 40, [record()])
    (tmp_path / "p" / "env-a" / ("c" * 40) / "cut.json").write_text('{"schema": ')
    for _ in range(2):
        collect(tmp_path / "p", tmp_path / "results", "here")
    (run,) = read_runs(tmp_path / "results")
    assert (len(run.fits), len(run.problems)) == (1, 1)


def test_latest_is_per_machine_by_start(tmp_path, record, leave):
    old, new = record(8.0), record(4.0)
    new = replace(new, started="2026-02-01T00:00:00Z")
    leave(tmp_path / "p", "env-a", "f" * 40, [old])
    leave(tmp_path / "p", "env-a", "0" * 40, [new])
    collect(tmp_path / "p", tmp_path / "results", "here")
    leave(tmp_path / "q", "env-a", "f" * 40, [old])
    collect(tmp_path / "q", tmp_path / "results", "there")
    found = {(run.machine, run.commit) for run in latest(read_runs(tmp_path / "results"))}
    assert found == {("here", "00000000"), ("there", "ffffffff")}


def test_commits_measured_in_part_change_neither_pages_nor_tables(record):
    """The third commit was measured whole; the others in part, before it and after."""

    def at(name, day, count, environment="env-a"):
        fits = [
            replace(record(8.0, threads=threads), started=f"2026-02-{day:02}T00:00:00Z")
            for threads in range(1, count + 1)
        ]
        return EnvironmentRun("here", name, environment, fits)

    names = [f"{number:08d}" for number in range(1, 6)]
    whole = [at(names[2], 3, 20), at(names[2], 3, 20, "env-b")]
    older = [at(names[0], 9, 5), at(names[1], 10, 14), at(names[1], 10, 14, "env-b")]
    later = [at(names[3], 11, 14), at(names[4], 12, 1, "env-b")]
    runs = [*older, *whole, *later]
    assert newest_whole(runs, names) == whole
    assert newest_whole(runs) == whole
    assert fullest(runs) == whole
    assert latest(runs) == [later[1]]
    # Another whole one is newer in git's order, whenever it was measured; the table stays.
    again = at(names[3], 1, 19)
    assert newest_whole([*runs, again], names) == [later[0], again]
    assert newest_whole([*whole, again]) == whole
    assert fullest([*whole, again]) == whole
    there = EnvironmentRun("there", names[0], "env-a", older[0].records)
    assert newest_whole([*runs, there], names) == [*whole, there]
    assert newest_whole([]) == fullest([]) == []
    # Where nothing was measured whole or at all, what there is is shown.
    empty = EnvironmentRun("here", names[0], "env-a", [])
    assert newest_whole([empty]) == fullest([empty]) == [empty]


def test_the_clock_alone_is_no_measurement_of_a_commit(tmp_path, record, leave):
    old = record(8.0)
    clock = replace(record(4.0, suite="clock"), started="2026-02-01T00:00:00Z")
    leave(tmp_path / "p", "env-a", "f" * 40, [old])
    leave(tmp_path / "p", "env-a", "0" * 40, [clock])
    collect(tmp_path / "p", tmp_path / "results", "here")
    assert {run.commit for run in latest(read_runs(tmp_path / "results"))} == {"ffffffff"}
