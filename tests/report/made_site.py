"""A site with every page, of records whose figures are chosen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np

from bench_core.history.asv_results import AsvResults
from bench_core.history.commits import Commit, CommitOrder
from bench_core.history.figures import asv_figure
from bench_core.history.regressions import Regressions, find_regressions
from bench_core.history.series import CaseHistory, Point, case_histories
from bench_core.records import (
    SCHEMA_KERNELS,
    AnyRecord,
    EnvironmentRun,
    KernelCase,
    KernelRate,
    KernelsRecord,
    Record,
)
from bench_core.records.blas import BlasCalls
from bench_core.records.phases import PhaseSeconds, PhasesRecord
from bench_core.records.skips import make_skips
from bench_core.report.pages import write_site
from bench_core.report.pairs import compare_all
from bench_core.report.sections import compare as compare_section
from tests.comparison.made_runs import make_record

COMMITS = [f"{number:08x}" + 32 * "0" for number in range(1, 13)]
PLAIN = "parcels"
PAIRS = 12
"""Pairs that the page Compare has: not all, so that some are left out."""


@dataclass(frozen=True)
class MadeSite:
    """The first page of a site, its other pages, and what it was made from."""

    path: Path
    pages: list[Path]
    runs: list[EnvironmentRun]
    everything: list[EnvironmentRun]
    history: Regressions


def _fits(commit: str, library: str, slower: float, name: str) -> list[AnyRecord]:
    """Return fits over threads and nodes: N threads take 1/N of the time and a tenth."""
    found: list[AnyRecord] = []
    noise = np.random.default_rng(int(commit[:8], 16) + len(library))
    cases = [("ridgecv", 1, threads, 8.0) for threads in (1, 2, 4)]
    cases += [("bmor", nodes, threads, 6.0) for nodes in (1, 2) for threads in (1, 2)]
    cases += [("mor", nodes, 1, 30.0) for nodes in (1, 2)]
    for strategy, nodes, threads, whole in cases:
        seconds = slower * whole * (0.9 / (nodes * threads) + 0.1)
        times = [seconds * factor for factor in np.exp(noise.normal(0, 0.01, 5))]
        made = make_record(
            *times,
            library=library,
            started="2026-01-01T00:00:00Z",
            suite="accuracy" if (strategy, nodes, threads) == ("ridgecv", 1, 1) else "threads",
            strategy=strategy,
            nodes=nodes,
            threads=threads,
            problem={"name": name, "scale": 0.0625, "subject": "sub-01"},
        )
        assert made.times is not None
        low, high = min(times), max(times)
        main = PhaseSeconds("main", factorisation=seconds * 0.75, scores=seconds * 0.25)
        path = replace(main, process="critical path")
        found.append(
            replace(
                made,
                id=f"{commit[:8]}-{library}-{strategy}-{nodes}x{threads}-{name}",
                commit=commit,
                times=replace(made.times, ci95_s=(low, high)),
                phases=PhasesRecord(seconds, path, (main,)),
                versions={"numpy": "2.0" if library == "openblas" else "2.1", "scipy": "1.17"},
            )
        )
    return found


def _kernels(found: list[AnyRecord]) -> KernelsRecord:
    first = next(one for one in found if isinstance(one, Record))
    assert first.blas is not None
    rate = KernelRate(0.1, 50.0, 0.5)
    names = ("gemm", "syrk", "eigh", "svd")
    rates = {kind: dict.fromkeys(names, rate) for kind in ("float64", "float32")}
    case = KernelCase(2, 1024, None, "default", names)
    calls = BlasCalls(first.blas.numpy, first.blas.scipy)
    return KernelsRecord(SCHEMA_KERNELS, "ok", None, case, rates, calls)


def make_runs(name: str = PLAIN) -> list[EnvironmentRun]:
    """Return runs of two environments on two machines over commits; from the seventh on, slower."""
    runs = []
    for number, commit in enumerate(COMMITS):
        for library, factor in (("openblas", 1.0), ("mkl", 1.3)):
            records = _fits(commit, library, factor * (1.5 if number >= 6 else 1.0), name)
            records.append(_kernels(records))
            records.append(make_skips({("threads", f"{name}: needs 8 cores"): 3}, "small"))
            environment = f"env-{library}-{name}".replace("/", "_")
            runs.append(EnvironmentRun("here", commit[:8], environment, records))
    last = [one for one in runs if one.commit == COMMITS[-1][:8]]
    there = [
        replace(record, id=f"there-{record.id}") if isinstance(record, Record) else record
        for record in last[0].records
    ]
    runs.append(EnvironmentRun("there", last[0].commit, last[0].environment, there))
    return runs


def make_site(path: Path, name: str = PLAIN) -> MadeSite:
    """Write the site of `make_runs` to ``path``; ``name`` is in everything that has a name."""
    everything = make_runs(name)
    runs = [one for one in everything if one.commit == COMMITS[-1][:8]]
    order = CommitOrder(
        tuple(Commit(one[:8], one, f"{name} {one[:4]}", 0.0) for one in COMMITS), ()
    )
    history = find_regressions(case_histories(everything), order, notes=[name])
    figure = asv_figure("encoders.Encoders.track_network_time", "seconds per frame")
    encoder = CaseHistory("here", "env-openblas", f"{figure.name}({name}, cpu)", "")
    value = figure.to_scale(0.25)
    assert value is not None
    encoder.figures[figure.name] = figure
    encoder.points[COMMITS[-1][:8]] = Point({figure.name: value}, None, "env-openblas", {}, "")
    few = partial(compare_all, most_pairs=PAIRS)
    with mock.patch.object(compare_section, "compare_all", few):
        pages = write_site(
            runs,
            path,
            history,
            everything=everything,
            asv=AsvResults([encoder], {COMMITS[-1][:8]: 1.0}),
            feed="feed.xml",
        )
    return MadeSite(path, pages, runs, everything, history)
