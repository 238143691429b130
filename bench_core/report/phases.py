"""Where the time of fits goes: rows of seconds by phase, and the figure of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

from bench_core.phases import PHASES, Phase
from bench_core.records.phases import PHASE_NAMES, PhaseSeconds
from bench_core.records.runs import environment_label, record_label, scale_text, strategy_text
from bench_core.report.figures import MOST_BARS, MOST_PANELS, panel_rows, patch, to_svg
from bench_core.report.runs import EnvironmentRun

_COLOURS: dict[Phase, str] = {
    "reading": "#8da0cb",
    "centring": "#c7d3ea",
    "gram": "#1b6ca8",
    "factorisation": "#d1495b",
    "scores": "#edae49",
    "solution": "#2e8b57",
    "predictions": "#9bc53d",
    "sklearn": "#7a5195",
    "transfers": "#5f5f5f",
    "waiting": "#a8a8a8",
    "other": "#dcdcdc",
}

HATCH = "////"
"""What is modelled and not measured."""


@dataclass(frozen=True)
class PhaseRow:
    """Phases of one process of a fit, or of its critical path.

    whole : the fit, in seconds. seconds : of the process or the path. modelled : of these, what
    the cost model divided scikit-learn's time into, and which was not measured; None where all was.
    """

    environment: str
    problem: str
    scale: str
    dtype: str
    strategy: str
    nodes: int
    threads: int
    whole: float
    seconds: PhaseSeconds
    modelled: PhaseSeconds | None = None

    @property
    def critical(self) -> bool:
        """True for the row of the critical path."""
        return self.seconds.process == "critical path" and self.modelled is None

    @property
    def panel(self) -> tuple[str, Fraction, str]:
        """The problem, its scale as a number to sort by, and its precision."""
        return self.problem, Fraction(self.scale or 1), self.dtype

    @property
    def title(self) -> str:
        """The problem with its scale and precision."""
        return " ".join(word for word in (self.problem, self.scale, self.dtype) if word)

    @property
    def name(self) -> str:
        """Strategy, nodes and threads."""
        return f"{self.strategy}  {self.nodes} x {self.threads}"


def phase_rows(runs: Iterable[EnvironmentRun]) -> list[PhaseRow]:
    """Return a row per process of every valid fit that has phases, its critical path first.

    One process has one row: its own phases are the path. Where scikit-learn's time was divided by
    the cost model, a row of that follows the path. Of equal fits the first counts.
    """
    found: dict[tuple[object, ...], list[PhaseRow]] = {}
    runs = list(runs)
    several_machines = len({run.machine for run in runs}) > 1
    for run in runs:
        label = environment_label(run)
        where = f", {run.machine}" if several_machines else ""
        for record in run.fits:
            phases = record.phases
            if record.status != "ok" or phases is None:
                continue
            case, problem = record.case, record.case.problem
            several = len(phases.processes) > 1
            rows = [
                PhaseRow(
                    environment=record_label(record, label) + where,
                    problem=problem.name,
                    scale=scale_text(problem.scale),
                    dtype=problem.dtype,
                    strategy=strategy_text(case),
                    nodes=case.nodes,
                    threads=case.threads,
                    whole=phases.fit_s,
                    seconds=seconds,
                )
                for seconds in (phases.critical, *(phases.processes if several else ()))
            ]
            if phases.modelled is not None:
                path, added = phases.modelled.critical, phases.modelled.added
                rows.insert(1, replace(rows[0], seconds=path, modelled=added))
            first = rows[0]
            found.setdefault((run.machine, *first.panel, first.name, first.environment), rows)
    in_order = sorted(
        found.values(),
        key=lambda rows: (
            *rows[0].panel,
            rows[0].strategy,
            rows[0].environment,
            rows[0].nodes,
            rows[0].threads,
        ),
    )
    return [row for rows in in_order for row in rows]


def used_phases(rows: Iterable[PhaseRow]) -> list[Phase]:
    """Return the phases that any row spent time in, in their order."""
    spent = [row.seconds.seconds for row in rows]
    return [name for name in PHASES if any(one[name] > 0 for one in spent)]


def drawn_rows(rows: Iterable[PhaseRow]) -> list[PhaseRow]:
    """Return the rows that a figure has room for: `MOST_BARS` paths in each of `MOST_PANELS`."""
    found: dict[tuple[str, Fraction, str], list[PhaseRow]] = {}
    for row in _paths(rows):
        if row.panel in found or len(found) < MOST_PANELS:
            found.setdefault(row.panel, []).append(row)
    return [row for own in found.values() for row in own[:MOST_BARS]]


def phases_text(rows: Iterable[PhaseRow]) -> str:
    """Return the figure in words: what took longest in every fit."""
    sentences = []
    for row in _paths(rows):
        longest, spent = max(row.seconds.seconds.items(), key=lambda one: one[1])
        sentences.append(
            f"{row.title}, {row.strategy} on {row.nodes} x {row.threads}, {row.environment}: "
            f"{PHASE_NAMES[longest]} {spent / row.seconds.total:.0%}"
            + (" (modelled)" if row.modelled is not None else "")
        )
    return "Longest phase of every fit. " + "; ".join(sentences) + "."


def _paths(rows: Iterable[PhaseRow]) -> list[PhaseRow]:
    """Return the paths of all fits, those that the model divided in the place of their own."""
    found: list[PhaseRow] = []
    for row in rows:
        if row.modelled is not None and found and found[-1].critical:
            own = (row.panel, row.name, row.environment)
            if own == (found[-1].panel, found[-1].name, found[-1].environment):
                found.pop()
        if row.critical or row.modelled is not None:
            found.append(row)
    return found


def _width(row: PhaseRow, name: Phase, *, modelled: bool) -> float:
    """Return the measured or the modelled seconds of a phase."""
    added = 0.0 if row.modelled is None else row.modelled.seconds[name]
    return added if modelled else max(0.0, row.seconds.seconds[name] - added)


def phases_figure(rows: Iterable[PhaseRow]) -> str | None:
    """Return bars of the critical path's phases, stacked, per problem, strategy, nodes and threads.

    What the cost model divided scikit-learn's time into is hatched. None where no fit has phases.
    """
    paths = _paths(rows)
    if not paths:
        return None
    names = used_phases(paths)
    panels = sorted({row.panel for row in paths})
    several = len({row.environment for row in paths}) > 1
    figure, axes = panel_rows([sum(row.panel == panel for row in paths) for panel in panels])
    for axis, panel in zip(axes, panels, strict=True):
        chosen = [row for row in paths if row.panel == panel][::-1]  # bars go up
        lefts = [0.0] * len(chosen)
        for name in names:
            for modelled in (False, True):
                widths = [_width(row, name, modelled=modelled) for row in chosen]
                if not any(widths):
                    continue
                axis.barh(
                    range(len(chosen)),
                    widths,
                    left=lefts,
                    color=_COLOURS[name],
                    linewidth=0,
                    hatch=HATCH if modelled else None,
                    edgecolor="white",
                )
                lefts = [left + width for left, width in zip(lefts, widths, strict=True)]
        labels = [f"{row.name}  {row.environment}" if several else row.name for row in chosen]
        axis.set_yticks(range(len(chosen)), labels, fontsize=8)
        axis.set(title=chosen[0].title, xlabel="seconds along the critical path")
        axis.grid(visible=False, axis="y")
    handles = [patch(_COLOURS[name], PHASE_NAMES[name]) for name in names]
    if any(row.modelled is not None for row in paths):
        handles.append(patch("#888888", "hatched: modelled", hatch=HATCH))
    figure.legend(handles=handles, fontsize=8, loc="upper center", ncols=6)
    return to_svg(figure, above=0.45)
