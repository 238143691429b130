import pytest

from bench_core.errors import InputError
from bench_core.report.runs import collect, latest, read_runs


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
    assert sorted(one["times"]["median_s"] for one in run.fits) == [4.0, 7.0]
    assert not list(results.rglob("*.part"))


def test_nothing_pending_writes_nothing(tmp_path):
    assert collect(tmp_path / "pending", tmp_path / "results", "here") == []
    assert read_runs(tmp_path / "results") == []


def test_a_damaged_record_is_named(tmp_path, record, leave):
    leave(tmp_path / "p", "env-a", "c" * 40, [record()])
    (path,) = collect(tmp_path / "p", tmp_path / "results", "here")
    path.write_text(path.read_text()[:-20])
    with pytest.raises(InputError, match=r"records\.jsonl holds a line that is no JSON"):
        read_runs(tmp_path / "results")


def test_latest_is_per_machine_by_start(tmp_path, record, leave):
    old, new = record(8.0), record(4.0)
    new["started"] = "2026-02-01T00:00:00+00:00"
    leave(tmp_path / "p", "env-a", "f" * 40, [old])
    leave(tmp_path / "p", "env-a", "0" * 40, [new])
    collect(tmp_path / "p", tmp_path / "results", "here")
    leave(tmp_path / "q", "env-a", "f" * 40, [old])
    collect(tmp_path / "q", tmp_path / "results", "there")
    found = {(run.machine, run.commit) for run in latest(read_runs(tmp_path / "results"))}
    assert found == {("here", "00000000"), ("there", "ffffffff")}
