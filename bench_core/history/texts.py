"""Regressions as text, JSON and Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from bench_core.errors import counted
from bench_core.history.commits import Commit
from bench_core.history.regressions import Change, Kind, Regressions

KINDS: tuple[Kind, ...] = ("broken", "worse", "missing", "better", "mended")


def answer(found: Regressions) -> str:
    """Return what was found in one sentence."""
    commits = counted(len(found.order.commits), "commit")
    if len(found.order.commits) < 2:
        return f"No history: {commits} measured, and steps need two or more"
    regressions = [one for one in found.changes if one.is_regression]
    cases = len({(one.machine, one.environment, one.case, one.detail) for one in regressions})
    counts = ", ".join(f"{found.count(kind)} {kind}" for kind in KINDS if found.count(kind))
    undone = sum(one.undone for one in found.changes)
    rest = f" ({counts or 'nothing changed'}{f'; {undone} undone since' if undone else ''})"
    head = "No regression" if not regressions else counted(len(regressions), "regression")
    where = f" of {counted(cases, 'case')}" if regressions else ""
    joined = {at for line in found.lines for at in line.positions}
    alone = len(found.order.commits) - len(joined)
    lines = counted(found.tests, "line")
    over = f"over {counted(len(joined), 'commit')} and {lines}{rest}"
    if alone:
        over += f"; {counted(alone, 'further commit')} share no case with another"
    return f"{head}{where} {over}"


def method(found: Regressions) -> str:
    """Return how sure the steps are."""
    return f"False-discovery rate {found.rate:g} over {counted(found.tests, 'line')}."


def size_text(change: Change) -> str:
    """Return the size of a change with its interval, or why a case broke."""
    if change.figure is None or change.size is None:
        return change.reason or {"missing": "not measured since"}.get(change.kind, "")
    text = change.figure.change_text(change.size)
    if change.interval is None or not all(map(math.isfinite, change.interval)):
        return text
    low, high = (change.figure.change_text(edge) for edge in change.interval)
    return f"{text} ({low} … {high})"


def what_text(change: Change) -> str:
    """Return the figure that changed, or that the case did."""
    return "the case" if change.figure is None else change.figure.name


def range_text(change: Change) -> str:
    """Return the commits among which a change is, as git's range."""
    after, last = change.after.name[:8], change.last.name[:8]
    return f"{after}..{last}"


def state_text(change: Change) -> str:
    """Return the kind of a change, and whether it is undone."""
    return f"{change.kind}, undone" if change.undone else change.kind


def case_text(change: Change, found: Regressions) -> str:
    """Return the case with its library, and its machine where there are several."""
    machines = {one.history.machine for one in found.lines} | {one.machine for one in found.changes}
    labels = {one.environment for one in found.changes}
    parts = [change.case]
    if len(labels) > 1 or change.label not in change.case:
        parts.append(change.label)
    if len(machines) > 1:
        parts.append(change.machine)
    return ", ".join(parts)


def as_dict(found: Regressions) -> dict[str, Any]:
    """Return everything as JSON's own types."""
    return {
        "commits": [_commit(one) for one in found.order.commits],
        "false_discovery_rate": found.rate,
        "lines": found.tests,
        "regressions": sum(one.is_regression for one in found.changes),
        "counts": {kind: found.count(kind) for kind in KINDS},
        "changes": [change_dict(one) for one in found.changes],
        "notes": list(found.notes),
    }


def change_dict(change: Change) -> dict[str, Any]:
    """Return one change as JSON's own types."""
    figure = change.figure
    return {
        "kind": change.kind,
        "undone": change.undone,
        "machine": change.machine,
        "environment": change.environment,
        "label": change.label,
        "case": change.case,
        "detail": change.detail,
        "figure": None if figure is None else figure.name,
        "unit": None if figure is None else figure.unit,
        "scale": None if figure is None else figure.scale,
        "commits": {
            "after": change.after.full,
            "first": change.first.full,
            "last": change.last.full,
        },
        "before": _finite(change.before),
        "now": _finite(change.now),
        "size": _finite(change.size),
        "interval": None if change.interval is None else [_finite(one) for one in change.interval],
        "p": change.p,
        "adjusted_p": change.adjusted,
        "reason": change.reason,
        "differs": list(change.differs),
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _commit(commit: Commit) -> dict[str, Any]:
    return {"hash": commit.full, "subject": commit.subject, "seconds": commit.seconds}


def as_markdown(found: Regressions) -> str:
    """Return the regressions for a pull request: the answer, then tables, the better one folded."""
    lines = [f"**{plain(answer(found))}**", ""]
    standing = [one for one in found.changes if one.is_regression]
    others = [one for one in found.changes if not one.is_regression]
    if standing:
        lines += _table(standing, found)
    if others:
        lines += ["<details><summary>better, undone or missing</summary>", ""]
        lines += [*_table(others, found), "</details>", ""]
    lines.append(plain(method(found)))
    lines += [f"- {plain(note)}" for note in found.notes]
    return "\n".join(lines)


def _table(changes: Iterable[Change], found: Regressions) -> list[str]:
    rows = ["| case | figure | change | commits | state |", "|---|---|---:|---|---|"]
    for one in changes:
        cells = [
            case_text(one, found),
            what_text(one),
            size_text(one),
            range_text(one),
            "; ".join([state_text(one), *one.differs]),
        ]
        rows.append(f"| {' | '.join(map(plain, cells))} |")
    return [*rows, ""]


def plain(text: str) -> str:
    """Return a text that is no Markdown and no HTML, on one line."""
    found = " ".join(text.split()).replace("&", "&amp;")
    for mark in "\\`*_[]|<>#@":
        found = found.replace(mark, f"\\{mark}")
    return found
