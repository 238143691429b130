"""Sweeps of one's own problems as asv results, beside those of the suites.

No suite has these cases, so asv does not know the benchmark: its entry in ``benchmarks.json`` is
written here, again whenever the pages are built, since `asv run` writes that file anew.
"""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bench_core.records import EnvironmentRun, Record, read_runs
from bench_core.records.runs import problem_text, scale_text, strategy_text

SUITE = "own_problem"
BENCHMARK = f"{SUITE}.OwnProblem.track_time"
AXES = ("problem", "strategy", "precision", "nodes", "threads")
_VERSION = "1"


def write_own(
    results_dir: Path, repository: Path, runs: Iterable[EnvironmentRun] | None = None
) -> list[Path]:
    """Write the valid fits of one's own problems as asv results and return the files.

    Records of an unknown commit, or one that ``repository`` has not, are in no file: asv shows
    results at commits. Without any such fit nothing is written.

    runs : those of ``results_dir``, where they were read already.
    """
    from asv.results import Results
    from asv.runner import BenchmarkResult
    from asv.util import write_json

    everything = read_runs(results_dir) if runs is None else runs
    own = [(run, fits) for run in everything if (fits := own_fits(run))]
    dated = [(run, fits, _date(repository, fits[0])) for run, fits in own]
    known = [(run, fits, date) for run, fits, date in dated if date is not None]
    if not known:
        return []
    axes = _axes(one for _, fits, _ in known for one in fits)
    written = []
    for run, fits, date in known:
        machine = _machine(results_dir, run.machine)
        python = ".".join(fits[0].versions.get("python", "").split(".")[:2])
        results = Results(
            params={**machine, "python": python},
            requirements={},
            commit_hash=fits[0].commit,
            date=date,
            python=python,
            env_name=run.environment,
            env_vars={"RIDGEBENCH_BLAS": fits[0].case.blas or ""},
        )
        by_place = {_place(one): one for one in fits}
        found = [by_place.get(place) for place in itertools.product(*axes)]
        results.add_result(
            {"name": BENCHMARK, "type": "track", "version": _VERSION, "params": _shown(axes)},
            BenchmarkResult(
                result=[float("nan") if one is None else _median(one) for one in found],
                samples=[None if one is None else list(_times(one)) for one in found],
                number=[None if one is None else 1 for one in found],
                errcode=0,
                stderr="",
                profile=None,
            ),
            started_at=datetime.fromisoformat(max(one.started for one in fits)),
            record_samples=True,
        )
        results.save(str(results_dir))
        written.append(results_dir / run.machine / f"{run.commit}-{run.environment}.json")
    _describe(results_dir, axes, write_json)
    return written


def own_fits(run: EnvironmentRun) -> list[Record]:
    """Return the valid fits of one's own problems in a run."""
    return [
        one
        for one in run.fits
        if one.case.suite == SUITE and one.status == "ok" and one.commit is not None
    ]


def _place(record: Record) -> tuple[str, str, str, int, int]:
    case, problem = record.case, record.case.problem
    name = " ".join(filter(None, (problem_text(problem), scale_text(problem.scale))))
    return name, strategy_text(case), problem.dtype, case.nodes, case.threads


def _axes(records: Iterable[Record]) -> list[Sequence[Any]]:
    """Return the values of every parameter, sorted."""
    return [sorted(set(values)) for values in zip(*map(_place, records), strict=True)]


def _shown(axes: Sequence[Sequence[Any]]) -> list[list[str]]:
    """Return values as asv writes them."""
    return [[repr(value) for value in axis] for axis in axes]


def _times(record: Record) -> tuple[float, ...]:
    assert record.times is not None
    return record.times.fit_s


def _median(record: Record) -> float:
    assert record.times is not None
    return record.times.median_s


def _date(repository: Path, record: Record) -> int | None:
    """Return the date of a record's commit in milliseconds since 1970, None where git has none."""
    done = subprocess.run(
        ["git", "-C", str(repository), "show", "-s", "--format=%ct", f"{record.commit}^{{commit}}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return int(done.stdout) * 1000 if done.returncode == 0 else None


def _machine(results_dir: Path, name: str) -> dict[str, Any]:
    """Return asv's description of a machine; it is written beside the results where it is not."""
    from asv.machine import Machine
    from asv.util import load_json

    path = results_dir / name / "machine.json"
    if not path.is_file():
        Machine.load(machine_name=name, interactive=False).save(str(results_dir))
    found: dict[str, Any] = load_json(str(path))
    return {key: value for key, value in found.items() if key != "version"}


def _describe(results_dir: Path, axes: Sequence[Sequence[Any]], write_json: Any) -> None:
    """Put the benchmark into asv's list."""
    from asv.benchmarks import Benchmarks
    from asv.util import load_json

    path = results_dir / "benchmarks.json"
    known = load_json(str(path), Benchmarks.api_version) if path.is_file() else {}
    known[BENCHMARK] = {
        "code": "Fits of `ridgebench bench --problem`",
        "name": BENCHMARK,
        "param_names": list(AXES),
        "params": _shown(axes),
        "timeout": 60.0,
        "type": "track",
        "unit": "seconds",
        "version": _VERSION,
    }
    write_json(str(path), known, Benchmarks.api_version)
