"""One self-contained page: figures inline, no script, nothing fetched; it reads offline."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench_core import __version__
from bench_core.errors import readable_bytes
from bench_core.files import write_text
from bench_core.history.regressions import Regressions
from bench_core.records.machine import MachineRecord
from bench_core.records.phases import PHASE_NAMES
from bench_core.records.record import Record
from bench_core.report import figures
from bench_core.report.answers import find_answers
from bench_core.report.encoding import suite_tables
from bench_core.report.history import history_view
from bench_core.report.phases import phase_rows, phases_figure, phases_text, used_phases
from bench_core.report.rows import (
    environment_label,
    find_issues,
    proved_libraries,
    rows,
)
from bench_core.report.runs import EnvironmentRun
from bench_core.report.terminal import where
from bench_core.report.units import seconds_text


@dataclass(frozen=True)
class Drawing:
    """A figure of the page, with a text alternative; ``table`` : headings and rows of its data."""

    title: str
    caption: str
    svg: str
    table: tuple[list[str], list[list[str]]] | None = None


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
        answers=find_answers(runs),
        proofs=[_proof(run) for run in runs],
        figures=_figures(runs),
        rows=table,
        several=len({run.machine for run in runs}) > 1,
        suites=suite_tables(runs),
        issues=find_issues(runs),
        history=None if history is None else history_view(history),
        where=lambda one: where(one, len({environment_label(run) for run in runs})),
    )
    return write_text(path, text)


def _figures(runs: list[EnvironmentRun]) -> list[Drawing]:
    """Return each figure that there is something to draw for.

    The caption is the picture's text alternative where the figure has no words of its own.
    """
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
    found = [
        Drawing(title, caption, _on_page(svg, title, caption))
        for title, caption, svg in candidates
        if svg is not None
    ]
    phases = _phases(runs)
    return found if phases is None else [*found[:1], phases, *found[1:]]


def _phases(runs: list[EnvironmentRun]) -> Drawing | None:
    """Return the figure of where the time goes, None where no record says so."""
    rows = phase_rows(runs)
    svg = phases_figure(rows)
    if svg is None:
        return None
    names = used_phases(rows)
    headings = ["problem", "strategy", "BLAS", "nodes × threads", "process", "fit"]
    cells = [
        [
            " ".join(word for word in (row.problem, row.scale, row.dtype) if word),
            row.strategy,
            row.environment,
            f"{row.nodes} × {row.threads}",
            row.seconds.process,
            seconds_text(row.whole),
            *(seconds_text(row.seconds.seconds[name]) for name in names),
        ]
        for row in rows
    ]
    title = "Where the time goes"
    return Drawing(
        title,
        "Phases along the critical path of the fit of median time, as measured "
        "(docs/measurements.md, phases). scikit-learn's own time is not divided.",
        _on_page(svg, title, phases_text(rows)),
        (headings + [PHASE_NAMES[name] for name in names], cells),
    )


def _on_page(svg: str, title: str, text: str) -> str:
    """Return a figure's ``<svg>`` with ids that no other figure has, and a text alternative."""
    prefix = title.lower().replace(" ", "-")
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{prefix}-", svg)
    named = html.escape(f"{title}: {text}")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{named}" ', 1)


def _proof(run: EnvironmentRun) -> dict[str, Any]:
    """Return what one environment's records prove of its BLAS."""
    return {
        "machine": run.machine,
        "label": environment_label(run),
        "name": run.environment,
        "commit": run.commit,
        "libraries": proved_libraries(run),
    }


def _where_it_ran(record: Record) -> MachineRecord:
    """Return the machine of a record: the first host of its nodes where these were elsewhere."""
    if record.cluster is None or not record.cluster.hosts:
        return record.machine
    host = record.cluster.hosts[0]
    names = ("cpu", "cores", "cgroup", "memory", "gpus", "system")
    return replace(record.machine, **{name: getattr(host, name) for name in names})


def _machines(runs: list[EnvironmentRun]) -> list[MachineRecord]:
    """Return name and description of each machine, from the first record that has one."""
    found: dict[str, MachineRecord] = {}
    for run in runs:
        for record in run.fits:
            if record.machine.cpu is not None:
                found.setdefault(run.machine, _where_it_ran(record))
    return [replace(about, name=name) for name, about in found.items()]
