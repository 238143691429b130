"""One self-contained page: figures inline, no script, nothing fetched; it reads offline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from bench_core import __version__
from bench_core.errors import readable_bytes
from bench_core.files import write_text
from bench_core.history.regressions import Regressions
from bench_core.records.record import MachineRecord
from bench_core.report import figures
from bench_core.report.history import history_view
from bench_core.report.rows import (
    environment_label,
    fastest,
    find_issues,
    proved_libraries,
    rows,
)
from bench_core.report.runs import EnvironmentRun
from bench_core.report.terminal import describe, seconds_text, where


def write_page(runs: list[EnvironmentRun], path: Path, history: Regressions | None = None) -> Path:
    """Write the page of ``runs`` (one machine or several) to ``path``, atomically.

    history : what changed over commits, of all machines; None leaves the section out.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("bench_core.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(seconds=seconds_text, bytes=readable_bytes)
    table = rows(runs)
    text = environment.get_template("page.html").render(
        version=__version__,
        machines=_machines(runs),
        answers=[describe(row) for row in fastest(table)],
        proofs=[_proof(run) for run in runs],
        figures=_figures(runs),
        rows=table,
        several=len({run.machine for run in runs}) > 1,
        issues=find_issues(runs),
        history=None if history is None else history_view(history),
        where=lambda one: where(one, len({environment_label(run) for run in runs})),
    )
    return write_text(path, text)


def _figures(runs: list[EnvironmentRun]) -> list[tuple[str, str, str]]:
    """Return title, caption and SVG of each figure that there is something to draw for."""
    table = rows(runs)
    candidates = [
        (
            "Strategies",
            "Time of a whole fit, median and 95 % interval; shorter is better.",
            figures.strategies_figure(table),
        ),
        (
            "Threads",
            "RidgeCV's speed-up over one thread (thesis figures 3.6 and 3.8, grey: as published).",
            figures.speed_up_figure(table),
        ),
        (
            "Kernels",
            "What each BLAS reaches on the operations that a ridge is made of, in one process.",
            figures.kernels_figure(runs),
        ),
        (
            "Accuracy",
            "Held-out correlation beside its shuffled null: a fast answer must be the same answer.",
            figures.accuracy_figure(table),
        ),
    ]
    return [(title, caption, svg) for title, caption, svg in candidates if svg is not None]


def _proof(run: EnvironmentRun) -> dict[str, Any]:
    """Return what one environment's records prove of its BLAS."""
    return {
        "machine": run.machine,
        "label": environment_label(run),
        "name": run.environment,
        "commit": run.commit,
        "libraries": proved_libraries(run),
    }


def _machines(runs: list[EnvironmentRun]) -> list[MachineRecord]:
    """Return name and description of each machine, from the first record that has one."""
    found: dict[str, MachineRecord] = {}
    for run in runs:
        for record in run.fits:
            if record.machine.cpu is not None:
                found.setdefault(run.machine, record.machine)
    return [replace(about, name=name) for name, about in found.items()]
