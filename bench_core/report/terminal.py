"""The summary that `make bench` ends with, as rich tables that fit 80 columns."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bench_core.errors import counted
from bench_core.report.answers import Answer, find_answers
from bench_core.report.encoding import print_tables
from bench_core.report.rows import (
    Issue,
    Row,
    environment_label,
    find_issues,
    place_texts,
    proved_libraries,
    record_label,
    rows,
)
from bench_core.report.runs import EnvironmentRun
from bench_core.report.screen import SCREEN, AnswerPart, Part, print_parts
from bench_core.report.units import seconds_text

_FASTEST = 3
"""Fits of a problem that are shown where all are too many."""

_NAMED_SUITES = 3
"""Suites that a line of skipped parameters names; it counts more."""

KERNELS = ("gemm", "syrk", "eigh", "svd")


def print_summary(
    runs: list[EnvironmentRun],
    console: Console,
    *,
    profile: str | None = None,
    lines: int = SCREEN,
    answers: Sequence[Answer] | None = None,
) -> None:
    """Print whose results these are, proof, kernels, fits, what gave no number, and the answers.

    What takes more than ``lines`` lines is cut, and says what is left out and where it is; the
    answers, which come last, are cut last.

    profile : that was asked for, where this run did; else the one that the records name.
    answers : to print, where they are known; none are printed where this is empty.
    """
    if not runs:
        console.print(Text("Nothing measured yet: run `ridgebench bench`."), soft_wrap=True)
        return
    labels = [environment_label(run) for run in runs]
    environments = len(set(place_texts(runs).values()))
    labels += [
        record_label(one, label)
        for run, label in zip(runs, labels, strict=True)
        for one in run.fits
    ]
    short = short_names(labels)
    found = find_answers(runs) if answers is None else answers
    parts = [
        Part("Environments", 3, lambda: _print_origin(runs, profile, console)),
        Part("Environments", 5, lambda: _print_proof(runs, short, console)),
        Part("Limits", 5, lambda: _print_kernels(runs, short, console)),
        Part("All fits", 0, lambda: _print_fits(rows(runs), short, console, lines)),
        Part("Encoders and training", 6, lambda: print_tables(runs, short, console)),
        Part("Skipped", 4, lambda: _print_issues(find_issues(runs), environments, console, lines)),
    ]
    several = len({run.machine for run in runs}) > 1
    shown = AnswerPart(
        found, lambda one, whole: print_answer(one, console, whole=whole, where=several)
    )
    print_parts(parts, shown, console, lines)


def _print_kernels(runs: list[EnvironmentRun], short: dict[str, str], console: Console) -> None:
    if any(run.kernels for run in runs):
        console.print(_kernels(runs, short))


def _print_fits(table: list[Row], short: dict[str, str], console: Console, lines: int) -> None:
    """Print the fits of every suite and problem; the fastest of each where they are many."""
    console.print("c×N: c nodes of N threads; SU, PE: over one thread; DSU: over ridgecv 1×1\n")
    groups: dict[tuple[str, str, Fraction, str], list[Row]] = {}
    for row in table:
        groups.setdefault((row.suite, row.problem, row.size, row.dtype), []).append(row)
    most = len(table) if len(table) <= lines else _FASTEST
    left = lines
    for key in sorted(groups):
        chosen = groups[key][:most]  # rows are sorted by time
        columns = _ACCURACY if key[0] == "accuracy" else _SPEED
        more = len(groups[key]) - len(chosen)
        rest = f" ({len(chosen)} fastest of {len(groups[key])})" if more else ""
        title = f"{key[0]}: {_problem(chosen[0])}{rest}"
        console.print(_fits(title, chosen, columns, short))
        left -= len(chosen)
        if left < 0 and most == _FASTEST:
            break  # further ones are beyond the screen


def short_names(labels: Iterable[str]) -> dict[str, str]:
    """Return each label's first word where that tells it from the others, else the whole label."""
    whole = sorted(set(labels))
    first = [label.partition(" ")[0] for label in whole]
    return {
        label: word if first.count(word) == 1 else label
        for label, word in zip(whole, first, strict=True)
    }


def _print_origin(runs: list[EnvironmentRun], profile: str | None, console: Console) -> None:
    """Print machine, commit, day and profile of what follows."""
    for machine, commit in dict.fromkeys((run.machine, run.commit) for run in runs):
        own = [run for run in runs if (run.machine, run.commit) == (machine, commit)]
        days = sorted({one.started[:10] for run in own for one in run.fits})
        named = {one.profile for run in own for one in run.skips if one.profile is not None}
        parts = [
            f"machine {machine}",
            _software(commit, own),
            " to ".join(dict.fromkeys(days[:1] + days[-1:])) or "no fit measured",
            f"profile {profile or ', '.join(sorted(named)) or 'not recorded'}",
        ]
        console.print(Text(", ".join(parts), "bold"), soft_wrap=True)
    console.print()


def _software(commit: str, runs: list[EnvironmentRun]) -> str:
    """Return the commit that was measured, or the releases where a package was installed."""
    found = {one.versions.get("ridgebench", "") for run in runs for one in run.fits}
    if commit != "unknown" or not (releases := sorted(found - {""})):
        return f"commit {commit}"
    return f"ridgebench {', '.join(releases)}"


def print_answer(
    answer: Answer, console: Console, *, whole: bool = True, where: bool = False
) -> None:
    """Print the fastest configuration, how sure that is, what it saves, and the command.

    Parameters
    ----------
    whole : or the first of these alone. where : name the machine, too.
    """
    named = f"{answer.problem} on {answer.best.place.machine}" if where else answer.problem
    console.print(Text.assemble((named, "bold green"), f": {answer.fastest}"))
    if not whole:
        return
    for text in (answer.sureness, answer.against_default, *answer.notes, *answer.warnings):
        console.print(Padding(Text(text), (0, 0, 0, 2), expand=False))
    console.print(Text(_in_lines(f"  $ {answer.command}", console.width), "dim"), soft_wrap=True)


def _in_lines(command: str, width: int) -> str:
    """Return a command in lines that a shell takes as one; whole where quotes may hold spaces."""
    if len(command) <= width or {"'", '"'} & set(command):
        return command
    lines = textwrap.wrap(
        command,
        width - 2,
        subsequent_indent="      ",
        drop_whitespace=True,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return " \\\n".join(lines)


def _print_proof(runs: Iterable[EnvironmentRun], short: dict[str, str], console: Console) -> None:
    console.print(Text("BLAS proved by what was loaded", "bold"))
    for run in runs:
        proved = proved_libraries(run)
        if not proved:
            continue
        name = short[environment_label(run)]
        console.print(Text(f"  {name} ({counted(len(run.proofs), 'record')})"))
        for caller, library, records in proved:
            text = (
                f"{caller} calls {library.name} {library.version or ''}, "
                f"{library.architecture or 'unnamed'} kernels"
            )
            if caller.startswith("torch"):
                text += f" ({counted(records, 'record')} of its own)"
            console.print(Text(f"    {text}"))
    console.print()


def _kernels(runs: Iterable[EnvironmentRun], short: dict[str, str]) -> Table:
    table = _table("Kernel rates in GFLOP/s, and as a fraction of the gemm beside them")
    table.add_column("BLAS")
    table.add_column("precision")
    for heading in ("n", "threads", *KERNELS):
        table.add_column(heading, justify="right")
    for run in runs:
        measured = [one for one in run.kernels if one.status == "ok"]
        for record in sorted(measured, key=lambda one: (one.case.size, one.case.threads)):
            for precision, rates in (record.rates or {}).items():
                _add_row(
                    table,
                    short[environment_label(run)],
                    precision,
                    str(record.case.size),
                    str(record.case.threads),
                    f"{rates['gemm'].gflops:.0f}",
                    *(
                        f"{rates[name].gflops:.0f} ({rates[name].fraction_of_gemm:.2f})"
                        if name in rates
                        else ""
                        for name in KERNELS[1:]
                    ),
                )
    return table


def _problem(row: Row) -> str:
    return " ".join(word for word in (row.problem, row.scale, row.dtype) if word)


def _memory(count: int | None) -> str:
    return "" if not count else f"{count / 1024**3:.2f}"


Column = tuple[str, Callable[[Row], str]]
_SPEED: tuple[Column, ...] = (
    ("time", lambda row: seconds_text(row.seconds)),
    ("SU", lambda row: _number(row.su, ".2f")),
    ("PE", lambda row: _number(row.pe, ".2f")),
    ("DSU", lambda row: _number(row.dsu, ".2f")),
    ("GiB", lambda row: _memory(row.peak_bytes)),
    ("mean r", lambda row: _number(row.r_mean, ".3f")),
    ("error", lambda row: _number(row.disagreement, ".0e")),
)
_ACCURACY: tuple[Column, ...] = (
    ("mean r", lambda row: _number(row.r_mean, ".3f")),
    ("max r", lambda row: _number(row.r_max, ".3f")),
    ("shuffled max r", lambda row: _number(row.null_max, ".3f")),
    ("error", lambda row: _number(row.disagreement, ".0e")),
)


def _fits(title: str, found: list[Row], columns: Iterable[Column], short: dict[str, str]) -> Table:
    table = _table(title)
    table.add_column("strategy")  # the one that may wrap: a number belongs on its unit's line
    table.add_column("BLAS", no_wrap=True)
    table.add_column("c×N", justify="right", no_wrap=True)
    for heading, _ in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in found:
        _add_row(
            table,
            row.strategy,
            short[row.environment],
            f"{row.nodes}×{row.threads}",
            *(value(row) for _, value in columns),
        )
    return table


def _table(title: str) -> Table:
    return Table(
        title=Text(title), title_justify="left", title_style="bold", box=None, padding=(0, 1)
    )


def _add_row(table: Table, *cells: str, style: str = "") -> None:
    """Add a row of texts as they are: brackets in names and reasons are no markup."""
    table.add_row(*map(Text, cells), style=style)


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def where(one: Issue, environments: int) -> str:
    """Return where something gave no number: the environments, or that it was all of them."""
    if environments > 1 and len(one.environments) == environments:
        return "all"
    several = any("," in name for name in one.environments)  # with a machine, or short names
    return ("; " if several else ", ").join(one.environments)


def _print_issues(found: list[Issue], environments: int, console: Console, lines: int) -> None:
    """Print what failed or gave no answer line by line, and what was skipped grouped by reason."""
    if not found:
        return
    table = _table("Gave no number, or no answer")
    for heading in ("status", "reason"):
        table.add_column(heading)
    table.add_column("count", justify="right")
    table.add_column("where")
    colours = {"failed": "red", "invalid": "red", "disturbed": "yellow", "skipped": "dim"}
    for one in found[:lines]:
        if one.status != "skipped":
            _add_row(
                table,
                one.status,
                one.text,
                str(one.count * len(one.environments)),
                where(one, environments),
                style=colours.get(one.status, ""),
            )
    for reason, same in _by_reason(one for one in found if one.status == "skipped").items():
        suites = sorted({one.suite for one in same if one.suite is not None})
        count = sum(one.count * len(one.environments) for one in same)
        place = ", ".join(suites) if len(suites) <= _NAMED_SUITES else f"{len(suites)} suites"
        _add_row(table, "skipped", reason, str(count), place, style="dim")
    console.print(table)
    console.print()


def _by_reason(skipped: Iterable[Issue]) -> dict[str, list[Issue]]:
    """Group by reason, all suites and environments together; what a profile leaves out is one."""
    groups: dict[str, list[Issue]] = {}
    for one in skipped:
        profile = re.match(r"profile \S+ runs no other ", one.reason)
        reason = one.reason
        if profile is not None:
            reason = f"{profile[0].removesuffix(' ')} values of some parameters (see the page)"
        groups.setdefault(reason, []).append(one)
    return groups
