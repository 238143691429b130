"""Records as files: the schema, what breaks it, and what is written whole or not at all."""

from __future__ import annotations

import copy
import json
import os
import platform
import re
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bench_core.errors import InputError
from bench_core.measure import (
    FitSpec,
    provenance,
    publish,
    publish_kernels,
    read,
    read_all,
    records_folder,
    schema,
    session_store,
    skipped,
    validate,
)
from bench_core.measure import record as records
from bench_core.runner.launcher import worker_environment

CASE = FitSpec("parcels", "ridgecv", scale=1 / 64, suite="threads")


def _library() -> dict[str, Any]:
    return {
        "name": "openblas",
        "version": "0.3.30",
        "architecture": "Haswell",
        "threading_layer": "pthreads",
        "threads": 1,
        "file": "libopenblas.so",
        "interface": "lp64",
    }


@pytest.fixture
def ok() -> dict[str, Any]:
    """Return a complete valid record, of no measurement."""
    figures = {"mean": 0.1, "median": 0.1, "p95": 0.4, "max": 0.5, "defined": 5, "undefined": 1}
    return {
        **skipped(CASE, "made up"),
        "status": "ok",
        "reason": None,
        "times": {
            "fit_s": [1.0, 2.0],
            "median_s": 1.5,
            "ci95_s": [1.0, 2.0],
            "predict_s": 0.1,
            "warm_up_s": 0.1,
            "cluster_start_s": None,
        },
        "memory": {
            "peak_bytes": 3,
            "baseline_bytes": 1,
            "peak_rss_bytes": 4,
            "interval_ms": 25.0,
            "longest_gap_ms": 30.0,
            "samples": 7,
            "sampler_cpu_s": 0.01,
            "per_process": [{"process": "main", "private_bytes": 2, "shared_bytes": 1}],
        },
        "bytes_moved": {"to_workers": 4, "total": 4},
        "penalty": {"scope": "all", "values": [100.0], "counts": [6]},
        "accuracy": figures,
        "null": {"method": "fit", "targets": 6, **figures},
        "agreement": {
            "tolerance": 1e-8,
            "worst": 1e-13,
            "targets": 6,
            "solver": "svd",
            "same_penalty": True,
            "reference_penalty": 100.0,
            "note": None,
            "agrees": True,
        },
        "blas": {
            "declared": None,
            "numpy": _library(),
            "scipy": _library(),
            "workers": [],
            "proof": None,
        },
    }


def _at(record: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    *steps, last = path.split("/")
    for step in steps:
        record = record[step]
    return record, last


def test_the_schema_is_one(ok: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    validate(ok)
    validate(skipped(CASE, "no time"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema", "ridgebench-measurement/2"),
        ("status", "fine"),
        ("key", "abc"),
        ("reason", "an ok record needs none"),
        ("times", None),
        ("agreement/agrees", False),
        ("agreement/targets", 0),
        ("times/fit_s", []),
        ("times/median_s", -1.0),
        ("times/median_s", "1.5"),
        ("times/ci95_s", [1.0]),
        ("memory/peak_bytes", -1),
        ("bytes_moved/to_workers", 1.5),
        ("penalty/scope", "some"),
        ("accuracy/defined", -1),
        ("case/threads", 0),
        ("case/problem/dtype", "float16"),
        ("case/problem/scale", 2),
        ("case/alphas", [0.0]),
        ("commit", "main"),
        ("blas/numpy/threads", 0),
    ],
)
def test_a_record_that_breaks_the_schema_is_refused(
    ok: dict[str, Any], path: str, value: object
) -> None:
    part, last = _at(ok, path)
    assert last in part
    part[last] = value
    with pytest.raises(InputError):
        validate(ok)


def test_every_field_is_required_and_no_other_is_known(ok: dict[str, Any]) -> None:
    for name in ok:
        lacking = {key: value for key, value in ok.items() if key != name}
        with pytest.raises(InputError, match=name):
            validate(lacking)
    with pytest.raises(InputError, match="surplus"):
        validate({**ok, "surplus": 1})


@pytest.mark.parametrize("status", ["skipped", "failed", "invalid"])
def test_a_record_without_a_number_needs_a_reason(ok: dict[str, Any], status: str) -> None:
    without = skipped(CASE, "because") | {"status": status}
    validate(without)
    with pytest.raises(InputError):
        validate({**without, "reason": None})
    if status != "invalid":
        with pytest.raises(InputError):
            validate({**without, "times": ok["times"]})


def test_the_document_explains_every_field(ok: dict[str, Any]) -> None:
    text = (Path(__file__).parents[2] / "docs" / "measurements.md").read_text("utf-8")
    explained = set(re.findall(r"`([a-z0-9_]+)`", text))

    def names(part: Any) -> set[str]:
        if isinstance(part, dict):
            return set(part.get("properties", {})).union(*map(names, part.values()))
        return set().union(*map(names, part)) if isinstance(part, list) else set()

    assert names(schema()) - explained == set()


def test_a_file_is_written_whole_or_not_at_all(
    ok: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "deep" / "one.json"
    records.write(ok, path)
    assert read(path) == ok
    assert path.stat().st_mode & 0o777 == 0o644

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        records.write({**ok, "seed": 5}, path)
    with pytest.raises(InputError):
        records.write({**ok, "status": "fine"}, path)
    assert read(path) == ok
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"schema": "ridgebench-measurement/1"}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "one.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"one\.json.*(delete|measure again)"):
        read(path)
    with pytest.raises(InputError, match=r"none\.json"):
        read(tmp_path / "none.json")


def test_all_records_below_a_folder_are_read_in_order(ok: dict[str, Any], tmp_path: Path) -> None:
    later = {**copy.deepcopy(ok), "started": "2030-01-01T00:00:00Z"}
    records.write(later, tmp_path / "a" / "1.json")
    records.write(ok, tmp_path / "b" / "2.json")
    (tmp_path / "other.json").write_text('{"schema": "ridgebench-kernels/1"}')
    assert read_all(tmp_path) == [ok, later]
    (tmp_path / "cut.json").write_text(json.dumps(ok)[:150])
    with pytest.raises(InputError, match=r"cut\.json"):
        read_all(tmp_path)


def test_numbers_that_json_cannot_say_become_null() -> None:
    values = {"a": float("nan"), "b": [float("-inf"), 1.5], "c": (2, "nan"), "d": None}
    assert records.finite(values) == {"a": None, "b": [None, 1.5], "c": [2, "nan"], "d": None}


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


def test_an_environment_that_shares_a_folder_finds_asvs_note(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """asv 0.6.6 sets no ASV_COMMIT for a second environment on the same installation."""
    monkeypatch.delenv("ASV_COMMIT", raising=False)
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
    ok: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RIDGEBENCH_RECORDS", raising=False)
    monkeypatch.setenv("ASV_CONF_DIR", str(tmp_path))
    monkeypatch.setenv("ASV_ENV_NAME", "virtualenv-py3.11/mkl x")
    monkeypatch.setenv("ASV_COMMIT", "a" * 40)
    folder = tmp_path / ".asv" / "records" / "virtualenv-py3.11_mkl_x" / ("a" * 40)
    assert records_folder() == folder
    path = publish(ok)
    assert path == folder / f"threads-{ok['key']}.json"
    assert read(path) == ok
    kernels = {"case": {"kernels": "best", "threads": 2, "size": 64, "operations": ["gemm"]}}
    assert publish_kernels(kernels) == folder / "kernels-best-2-64-gemm.json"
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
    monkeypatch.setattr(blas, "kernel_environment", lambda choice: {"OPENBLAS_CORETYPE": "ZEN"})
    values = worker_environment(FitSpec("parcels", "ridgecv", threads=3, blas="mkl"))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        assert values[name] == "3"
    assert "OPENBLAS_CORETYPE" not in values
    assert values["RIDGEBENCH_BLAS"] == "mkl"
    assert values["UNRELATED"] == "kept"
    best = worker_environment(FitSpec("parcels", "ridgecv", kernels="best"))
    assert best["OPENBLAS_CORETYPE"] == "ZEN"
