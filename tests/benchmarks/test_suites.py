"""The asv suites as asv sees them: names, pinned versions, profiles, the matrix."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import itertools
import json
import math
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import benchmarks
from bench_core.data import shape
from bench_core.errors import UnknownNameError
from bench_core.records.skips import make_skips
from bench_core.records.statistics import few_samples
from bench_core.records.store import RECORDS
from benchmarks import common

ROOT = Path(benchmarks.__file__).parents[1]


def _suites():
    for module in pkgutil.iter_modules(benchmarks.__path__):
        loaded = importlib.import_module(f"benchmarks.{module.name}")
        for name, item in vars(loaded).items():
            if inspect.isclass(item) and item.__module__ == loaded.__name__:
                tracks = [
                    one for one in dir(item) if one.startswith(("track_", "time_", "peakmem_"))
                ]
                if tracks:
                    yield pytest.param(item, tracks, id=f"{module.name}.{name}")


@pytest.mark.parametrize(("suite", "tracks"), list(_suites()))
def test_versions_are_pinned_and_units_given(suite, tracks):
    """asv drops the history of a benchmark whose source changed unless its version is pinned."""
    for track in tracks:
        function = getattr(suite, track)
        assert isinstance(getattr(function, "version", getattr(suite, "version", None)), str)
        if track.startswith("track_"):
            assert getattr(function, "unit", getattr(suite, "unit", None))


@pytest.mark.parametrize(("suite", "tracks"), list(_suites()))
def test_every_parameter_has_a_name(suite, tracks):
    params = getattr(suite, "params", ())
    grids = params if params and isinstance(params[0], list | tuple) else [params]
    if params:
        assert len(suite.param_names) == len(grids)


def test_the_thesis_grids_are_there():
    assert common.THREADS == [1, 2, 4, 8, 16, 32]
    assert common.NODES == [1, 2, 4, 6, 8]


@pytest.mark.parametrize("name", ["small", "medium", "full"])
def test_profiles_name_values_of_the_grids(name, monkeypatch):
    """A profile that names a value which no grid has would leave everything out."""
    monkeypatch.setenv("RIDGEBENCH_PROFILE", name)
    chosen = common.profile()
    for section, allowed in chosen.items():
        if not isinstance(allowed, dict):
            continue
        module = importlib.import_module(f"benchmarks.{section}")
        grids = [
            dict(zip(item.param_names, item.params, strict=True))
            for item in vars(module).values()
            if inspect.isclass(item) and getattr(item, "suite", None) == section
        ]
        for key, values in allowed.items():
            known = {value for grid in grids for value in grid.get(key, ())}
            assert set(values) <= known, (section, key)


@pytest.mark.parametrize("name", ["small", "medium"])
def test_every_case_holds_out_enough_samples_for_r_to_mean_something(name, monkeypatch):
    """A fit whose r says nothing is no answer, so there is no use in timing it."""
    monkeypatch.setenv("RIDGEBENCH_PROFILE", name)
    monkeypatch.setattr(common, "available_cores", lambda: 8)
    seen = set()
    for case in common.cases_in_turn():
        size = shape(case.problem, scale=case.scale, subject=case.subject)
        held_out = math.ceil(size.t * 0.1 - 1e-9)
        assert few_samples(held_out) is None, case
        seen.add((case.suite, case.problem))
    assert ("nodes_mor", "whole-brain-mor") in seen


@pytest.mark.parametrize(("name", "subjects"), [("small", 0), ("medium", 2), ("full", 6)])
def test_every_figure_takes_the_subjects_of_its_profile(name, subjects, monkeypatch):
    from benchmarks import subjects as module

    monkeypatch.setenv("RIDGEBENCH_PROFILE", name)
    monkeypatch.setattr(common, "available_cores", lambda: 256)
    problems = set()
    for suite in (module.Subjects, module.SubjectsSpeedUp, module.SubjectsMor):
        cases = [
            suite().case(*parameters)
            for parameters in itertools.product(*suite.params)
            if suite.reason_to_skip(*parameters) is None
        ]
        assert len({case.subject for case in cases}) == subjects
        assert all(case.nodes == 1 for case in cases if case.strategy == "ridgecv")
        problems |= {case.problem for case in cases}
    figures = {"parcels", "roi", "whole-brain-mor", "whole-brain-bmor"}
    assert problems == (figures if subjects else set())


LOAD = """
import os
before = dict(os.environ)
from benchmarks import common
assert len(list(common.suites())) > 10
assert dict(os.environ) == before, set(os.environ) - set(before)
"""


def test_loading_the_suites_changes_no_variable():
    variables = {name: value for name, value in os.environ.items() if name != RECORDS}
    subprocess.run([sys.executable, "-c", LOAD], cwd=ROOT, env=variables, check=True)


@pytest.mark.parametrize("named", [True, False])
def test_records_go_to_the_checkout_of_the_suites_unless_a_folder_is_named(
    named, monkeypatch, tmp_path
):
    monkeypatch.setenv(RECORDS, str(tmp_path / "named"))
    monkeypatch.setenv("ASV_CONF_DIR", str(tmp_path / "envs"))
    monkeypatch.setattr(common, "__file__", str(tmp_path / "benchmarks" / "common.py"))
    if not named:
        monkeypatch.delenv(RECORDS)
    common.publish(make_skips({("threads", "2 cores"): 3}))
    (found,) = tmp_path.rglob("left-out.json")
    root = tmp_path / "named" if named else tmp_path / ".asv" / "records"
    assert found.is_relative_to(root)


def test_an_unknown_profile_offers_near_ones(monkeypatch):
    monkeypatch.setenv("RIDGEBENCH_PROFILE", "smal")
    with pytest.raises(UnknownNameError, match="did you mean 'small'"):
        common.profile()


def test_what_does_not_run_has_a_reason(monkeypatch):
    from benchmarks.threads import Threads

    monkeypatch.setenv("RIDGEBENCH_PROFILE", "small")
    monkeypatch.setattr(common, "available_cores", lambda: 2)
    assert Threads.reason_to_skip("parcels", 2, "1/24") is None
    left_out = "profile small runs no other scale than 1/24"
    assert Threads.reason_to_skip("parcels", 2, "1") == left_out
    assert "2 cores" in (Threads.reason_to_skip("parcels", 4, "1/24") or "")
    counts = common.count_skips()
    assert counts["threads", left_out] == 2 * 2 * len(common.THREADS)
    cores = "more nodes x threads than the 2 cores that are available"
    assert counts["threads", cores] == 2 * (len(common.THREADS) - 2)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A Slurm cluster of two nodes with four cores, as RIDGEBENCH_CLUSTER names it."""
    file = tmp_path / "site.toml"
    file.write_text(
        'kind = "slurm"\nnodes = 2\ncores = 4\nmemory = "8G"\ninterface = "ib0"\n'
        f'scratch = "{tmp_path}"\n'
    )
    monkeypatch.setenv("RIDGEBENCH_PROFILE", "small")
    monkeypatch.setenv("RIDGEBENCH_CLUSTER", str(file))
    for each in (common.other_cluster, common.cluster_capacity):
        each.cache_clear()
    yield
    for each in (common.other_cluster, common.cluster_capacity):
        each.cache_clear()


@pytest.mark.usefixtures("site")
def test_suites_skip_what_the_cluster_cannot_hold_not_what_this_machine_cannot(monkeypatch):
    from benchmarks.kernels import Kernels
    from benchmarks.nodes_bmor import WholeBrain

    monkeypatch.setattr(common, "available_cores", lambda: 1)
    assert WholeBrain.reason_to_skip("bmor", 2, 4, "1/24") is None
    assert "holds 2 nodes of 4 threads" in WholeBrain.reason_to_skip("bmor", 4, 4, "1/24")
    assert "holds 0 nodes of 8 threads" in WholeBrain.reason_to_skip("bmor", 1, 8, "1/24")
    # Cases name the cluster, so that turns and asv find the same record.
    assert WholeBrain().case("bmor", 2, 4, "1/24").cluster == "slurm site"
    assert common.reference().cluster == "slurm site"
    # What measures the machine itself is not taken for the cluster's.
    assert "slurm site" in Kernels.reason_to_skip("gemm", "float64", 1, 1024)


def test_an_environment_of_best_kernels_says_when_there_are_none(monkeypatch, tmp_path):
    from bench_core import blas
    from benchmarks.threads import Threads

    monkeypatch.setenv("RIDGEBENCH_PROFILE", "small")
    monkeypatch.setenv("RIDGEBENCH_KERNELS", "best")
    monkeypatch.setenv("RIDGEBENCH_RECORDS", str(tmp_path / "records"))
    monkeypatch.setattr(common, "available_cores", lambda: 2)
    monkeypatch.chdir(tmp_path)
    advice = blas.kernel_advice()
    monkeypatch.setattr(blas, "kernel_advice", lambda: dataclasses.replace(advice, environment={}))
    session = Threads().setup_cache()
    with pytest.raises(NotImplementedError, match="no better kernels"):
        Threads().setup(session, "parcels", 1, "1/24")
    (published,) = (tmp_path / "records").rglob("left-out.json")
    left_out = json.loads(published.read_text())["left_out"]
    runs = sum(one["count"] for one in left_out if "no better kernels" in one["reason"])
    assert runs > 4
    assert sum(one["count"] for one in left_out if one["suite"] == "threads") == 36


def test_the_matrix_is_two_libraries_and_a_line_of_best_kernels():
    config = pytest.importorskip("asv.config", reason="asv is the bench extra")
    from asv.environment import iter_matrix

    conf = config.Config.load(str(ROOT / "asv.conf.json"))
    found = {
        (
            one["env", "RIDGEBENCH_BLAS"],
            one["env_nobuild", "RIDGEBENCH_KERNELS"],
            ("req", "pip+mkl") in one,
        )
        for one in iter_matrix("virtualenv", ["3.11"], conf)
    }
    assert found == {
        ("openblas", "default", False),
        ("openblas", "best", False),
        ("mkl", "default", True),
    }


def test_asv_is_asked_for_the_sets_that_run_and_no_others(monkeypatch):
    from benchmarks.threads import Threads

    monkeypatch.setenv("RIDGEBENCH_PROFILE", "small")
    monkeypatch.setattr(common, "available_cores", lambda: 2)
    (pattern,) = (one for one in common.selection() if "Threads" in one)
    for parameters in itertools.product(*Threads.params):
        # As asv spells a benchmark with its parameters.
        name = f"threads.Threads.track_time({', '.join(map(repr, parameters))})"
        runs = Threads.reason_to_skip(*parameters) is None
        assert bool(re.search(pattern, name)) == runs, name
    assert not any("Overhead" in one for one in common.selection())


def test_cases_take_turns_once_and_accuracy_does_not(monkeypatch):
    monkeypatch.setenv("RIDGEBENCH_PROFILE", "small")
    monkeypatch.setattr(common, "available_cores", lambda: 2)
    cases = list(common.cases_in_turn())
    assert len({case.key() for case in cases}) == len(cases) > 20
    assert {case.suite for case in cases} == {"threads", "nodes_mor", "nodes_bmor", "solvers"}
    assert all(case.until is not None for case in cases)
    assert common.reference().until is None


def test_a_session_is_planned_where_there_is_one(monkeypatch, tmp_path):
    from bench_core.measure.turns_plan import read_plans
    from benchmarks.threads import Threads

    monkeypatch.setenv("RIDGEBENCH_PROFILE", "small")
    monkeypatch.setenv("RIDGEBENCH_RECORDS", str(tmp_path / "records"))
    monkeypatch.setenv("RIDGEBENCH_SESSION", str(tmp_path / "session"))
    monkeypatch.setenv("ASV_ENV_NAME", "env-a")
    monkeypatch.setattr(common, "available_cores", lambda: 1)
    session = Threads().setup_cache()
    assert Path(session) == tmp_path / "session" / "env-a"
    (plan,) = read_plans(tmp_path / "session").values()
    assert (plan.runs, plan.reference) == (2, common.reference())
    assert all(case.nodes * case.threads == 1 for case in plan.cases)
