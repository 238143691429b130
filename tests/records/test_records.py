"""Records as files: their types, what breaks them, and what is written whole or not at all."""

from __future__ import annotations

import json
import os
import platform
import re
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bench_core.errors import InputError
from bench_core.measure import FitSpec, publish, records_folder, session_store
from bench_core.records import (
    SCHEMA_KERNELS,
    KernelCase,
    KernelsRecord,
    Record,
    SkipsRecord,
    from_json,
    json_schema,
    provenance,
    read,
    read_all,
    read_folder,
    to_dict,
    to_json,
    write,
)
from bench_core.records.record import PlanRecord
from bench_core.records.skips import make_skips
from bench_core.runner.launcher import worker_environment
from bench_core.runner.run import start_record
from bench_core.runner.spec import ProblemShape
from tests.valid_record import valid_record

SPEC = FitSpec("parcels", "ridgecv", scale=1 / 64, suite="threads")
SHAPE = ProblemShape("parcels", 1081, 256, 6, "float64", "sub-01", 1 / 64)


@pytest.fixture
def ok() -> Record:
    """Return a complete valid record, of no measurement."""
    plan = PlanRecord("dual", 2e9, 1e9, 10, (), None, {"width": 4})
    return replace(valid_record(SPEC, SHAPE), plan=plan)


def _parsed(values: dict[str, Any]) -> Record:
    return from_json(Record, json.dumps(values), "this")


def _set(values: dict[str, Any], path: str, value: object) -> None:
    *steps, last = path.split("/")
    for step in steps:
        values = values[step]
    assert last in values
    values[last] = value


def test_types_and_schema_accept_the_same_records(ok: Record) -> None:
    schema = json_schema(Record)
    jsonschema.Draft202012Validator.check_schema(schema)
    for record in (ok, start_record(SPEC, SHAPE)):
        assert _parsed(to_dict(record)) == record
        jsonschema.validate(to_dict(record), schema)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema", "ridgebench-measurement/4"),
        ("status", "fine"),
        ("key", "abc"),
        ("reason", "an ok record needs none"),
        ("times", None),
        ("agreement/agrees", False),
        ("agreement/targets", 0),
        ("times/fit_s", []),
        ("times/median_s", -1.0),
        ("times/median_s", "1.5"),
        ("times/median_s", None),
        ("times/ci95_s", [1.0]),
        ("memory/peak_bytes", -1),
        ("memory/peak_bytes", 1.5),
        ("bytes_moved/to_workers", 1.5),
        ("penalty/scope", "some"),
        ("accuracy/defined", -1),
        ("case/threads", 0),
        ("case/problem/dtype", "float16"),
        ("case/problem/scale", 2),
        ("case/alphas", [0.0]),
        ("commit", "main"),
        ("started", "yesterday"),
        ("blas/numpy/threads", 0),
        ("plan/peak_bytes", None),
    ],
)
def test_a_value_of_another_type_is_refused(ok: Record, path: str, value: object) -> None:
    values = to_dict(ok)
    _set(values, path, value)
    with pytest.raises(InputError):
        _parsed(values)


def test_every_field_is_required_and_no_other_is_known(ok: Record) -> None:
    values = to_dict(ok)
    later = {
        "plan",
        "warnings",
        "variables",
        "processor",
        "device_memory",
        "recovery",
        "phases",
        "session",
        "cluster",
    }  # which older versions had not
    for name in set(values) - later:
        with pytest.raises(InputError, match=name):
            _parsed({key: value for key, value in values.items() if key != name})
    with pytest.raises(InputError, match="surplus"):
        _parsed({**values, "surplus": 1})


@pytest.mark.parametrize("status", ["skipped", "failed", "invalid", "disturbed"])
def test_a_record_without_a_number_needs_a_reason(ok: Record, status: str) -> None:
    without = to_dict(start_record(SPEC, SHAPE)) | {"status": status, "reason": "because"}
    _parsed(without)
    with pytest.raises(InputError):
        _parsed({**without, "reason": None})
    if status not in ("invalid", "disturbed"):
        with pytest.raises(InputError):
            _parsed({**without, "times": to_dict(ok)["times"]})


def test_the_document_explains_every_field() -> None:
    text = (Path(__file__).parents[2] / "docs" / "measurements.md").read_text("utf-8")
    explained = set(re.findall(r"`([a-z0-9_]+)`", text))

    def names(part: Any) -> set[str]:
        if isinstance(part, dict):
            return set(part.get("properties", {})).union(*map(names, part.values()))
        return set().union(*map(names, part)) if isinstance(part, list) else set()

    assert names(json_schema(Record)) - explained == set()


def test_a_file_is_written_whole_or_not_at_all(
    ok: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "deep" / "one.json"
    write(ok, path)
    assert read(Record, path) == ok

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(replace(ok, seed=5), path)
    assert read(Record, path) == ok
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_honour_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    code = f"""
import os
from pathlib import Path
os.umask({umask})
from bench_core.files import new_folder, write_json
with new_folder(Path({str(tmp_path)!r}) / "folder") as folder:
    write_json(folder / "file.json", 1)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    folder = tmp_path / "folder"
    assert stat.S_IMODE((folder / "file.json").stat().st_mode) == mode
    assert stat.S_IMODE(folder.stat().st_mode) == 0o777 & ~umask


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"schema": "ridgebench-measurement/1"}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "one.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"one\.json"):
        read(Record, path)
    with pytest.raises(InputError, match=r"none\.json"):
        read(Record, tmp_path / "none.json")


def test_records_of_a_folder_are_read_and_damaged_ones_named(ok: Record, tmp_path: Path) -> None:
    write(ok, tmp_path / "1.json")
    (tmp_path / "cut.json").write_text(to_json(ok)[:150])
    found = read_folder(tmp_path)
    assert found.records == [ok]
    (problem,) = found.problems
    assert "cut.json" in problem


def test_all_records_below_a_folder_are_read_in_order(ok: Record, tmp_path: Path) -> None:
    later = replace(ok, started="2030-01-01T00:00:00Z")
    write(later, tmp_path / "a" / "1.json")
    write(ok, tmp_path / "b" / "2.json")
    (tmp_path / "other.json").write_text('{"schema": "ridgebench-kernels/1"}')
    assert read_all(tmp_path) == [ok, later]
    (tmp_path / "cut.json").write_text(to_json(ok)[:150])
    with pytest.raises(InputError, match=r"cut\.json"):
        read_all(tmp_path)


def test_numbers_that_are_not_finite_are_null_or_refused(ok: Record) -> None:
    record = replace(ok, accuracy=replace(ok.accuracy, mean=float("nan")))
    assert to_dict(record)["accuracy"]["mean"] is None
    with pytest.raises(InputError, match="median_s"):
        to_json(replace(ok, times=replace(ok.times, median_s=float("inf"))))


def test_places_are_renamed_and_other_words_left_alone() -> None:
    home = str(Path.home())
    values = {
        "file": f"{sys.prefix}/lib/libx.so",
        "system": "/usr/lib/libblas.so.3",
        "why": f"no file '{home}/a/b' and none in {home}, {home}ly",
        "deep": [{"at": "/data/disk/problem"}],
        "unit": "GFLOP/s",
        f"{sys.prefix}/lib/liby.so": 3,
    }
    assert provenance.without_paths(values, {"/data/disk": "<scratch>"}) == {
        "file": "<environment>/lib/libx.so",
        "system": "libblas.so.3",
        "why": f"no file '<home>/a/b' and none in <home>, {home}ly",
        "deep": [{"at": "<scratch>/problem"}],
        "unit": "GFLOP/s",
        "<environment>/lib/liby.so": 3,
    }


@pytest.mark.parametrize("before", [None, "cd" * 20])
def test_an_environment_that_shares_a_folder_finds_asvs_note(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, before: str | None
) -> None:
    """asv 0.6.6 sets no ASV_COMMIT for a second environment on the same installation.

    Where it installs another commit there, the variable keeps the one before.
    """
    if before is None:
        monkeypatch.delenv("ASV_COMMIT", raising=False)
    else:
        monkeypatch.setenv("ASV_COMMIT", before)
    monkeypatch.setenv("ASV_ENV_DIR", str(tmp_path))
    (tmp_path / "asv-install-status.json").write_text(
        '{"commit_hash": "CAFE"}'.replace("CAFE", "ab" * 20)
    )
    assert provenance.commit() == ("ab" * 20, False)


def test_the_commit_is_asvs_or_the_checkouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASV_COMMIT", "0123456789" * 4)
    assert provenance.commit() == ("0123456789" * 4, False)
    monkeypatch.delenv("ASV_COMMIT")
    found, uncommitted = provenance.commit()
    if (Path(__file__).parents[2] / ".git").exists():
        assert found is not None
        assert re.fullmatch("[0-9a-f]{40}", found)
        assert uncommitted in (True, False)
    else:
        assert (found, uncommitted) == (None, None)


def test_the_machine_is_called_as_its_user_says_and_never_by_its_host_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(provenance.MACHINE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert provenance.machine_name() is None
    machines = tmp_path / ".asv-machine.json"
    machines.write_text(json.dumps({"version": 1, "bench": {"cpu": "x"}}))
    assert provenance.machine_name() == "bench"
    machines.write_text(json.dumps({"version": 1, platform.node(): {"cpu": "x"}}))
    assert provenance.machine_name() is None
    monkeypatch.setenv(provenance.MACHINE, "mine")
    assert provenance.machine_name() == "mine"


def test_published_records_lie_by_environment_and_commit(
    ok: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RIDGEBENCH_RECORDS", raising=False)
    monkeypatch.setenv("ASV_CONF_DIR", str(tmp_path))
    monkeypatch.setenv("ASV_ENV_NAME", "virtualenv-py3.11/mkl x")
    monkeypatch.setenv("ASV_COMMIT", "a" * 40)
    folder = tmp_path / ".asv" / "records" / "virtualenv-py3.11_mkl_x" / ("a" * 40)
    assert records_folder() == folder
    path = publish(ok)
    assert path == folder / f"threads-{ok.key}.json"
    assert read(Record, path) == ok
    case = KernelCase(2, 64, None, "best", ("gemm",))
    kernels = KernelsRecord(SCHEMA_KERNELS, "skipped", "no", case)
    assert publish(kernels) == folder / "kernels-best-2-64-gemm.json"
    publish(make_skips({("threads", "2 cores"): 3}))
    skips = publish(make_skips({("solvers", "2 cores"): 5}))
    assert {one.suite: one.count for one in read(SkipsRecord, skips).left_out} == {
        "threads": 3,
        "solvers": 5,
    }
    monkeypatch.setenv("RIDGEBENCH_RECORDS", str(tmp_path / "elsewhere"))
    monkeypatch.delenv("ASV_ENV_NAME")
    assert records_folder() == tmp_path / "elsewhere" / "existing" / ("a" * 40)


def test_a_session_is_the_folder_that_asv_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Path(session_store()).samefile(tmp_path)


def test_the_workers_environment_holds_its_threads_kernels_and_blas(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from bench_core import blas

    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("OPENBLAS_CORETYPE", "HASWELL")
    monkeypatch.setenv("UNRELATED", "kept")
    chosen = {"default": {}, "best": {"OPENBLAS_CORETYPE": "ZEN"}}
    monkeypatch.setattr(blas, "kernel_environment", chosen.__getitem__)
    built = worker_environment(3, "default", "mkl")
    values = built.variables
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        assert values[name] == "3"
    assert "OPENBLAS_CORETYPE" not in values
    assert values["RIDGEBENCH_BLAS"] == "mkl"
    assert values["UNRELATED"] == "kept"
    assert built.overridden["OMP_NUM_THREADS"] == "7"
    assert built.overridden["OPENBLAS_CORETYPE"] == "HASWELL"
    best = worker_environment(1, "best", None)
    assert best.variables["OPENBLAS_CORETYPE"] == "ZEN"
