"""List, make, build and look at ridge problems: synthetic ones, or your own fMRI data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench_core.cli.options import option

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn
    from rich.table import Table

    from bench_core.data import Problem

_SAME_REASON = 5
"""Rows that one reason for leaving out may have before they become one."""

_NOTES_OF_A_RUN = 10


@click.group()
def command() -> None:
    """List, make, build and look at ridge problems: synthetic ones, or your own fMRI data."""


@command.command("list")
@option("scale", "subject")
def list_(scale: float, subject: str) -> None:
    """Show every problem's size at a scale."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from bench_core import data
    from bench_core.errors import readable_bytes

    table = Table(title=f"Problems at scale {scale:g}, {subject}", box=SIMPLE)
    table.add_column("name", no_wrap=True)
    for column in ("samples t", "features p", "targets s", "float64", "float32"):
        table.add_column(column, justify="right", no_wrap=True)
    for name in data.names():
        # The real problem has one size and one subject.
        real = name == data.HAXBY
        size = data.shape(name) if real else data.shape(name, scale=scale, subject=subject)
        table.add_row(
            name,
            *(f"{count:,}" for count in (size.t, size.p, size.s)),
            readable_bytes(size.nbytes("float64")),
            readable_bytes(size.nbytes("float32")),
        )
    Console().print(table)


@command.command()
@click.argument("name")
@option("scale", "subject")
@option("seed")
@option("dtype")
@click.option(
    "--out",
    "folder",
    metavar="DIR",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder to create.",
)
def make(name: str, scale: float, subject: str, seed: int, dtype: str, folder: Path) -> None:
    """Write problem NAME into a folder, block by block."""
    from rich.progress import DownloadColumn

    from bench_core import data

    size = data.shape(name, scale=scale, subject=subject)
    with _progress(DownloadColumn()) as progress:
        task = progress.add_task(name, total=size.nbytes(dtype))

        def show(what: str, done: int = 0, total: int = 0) -> None:
            progress.update(task, completed=done)

        problem = data.make(
            name,
            scale=scale,
            subject=subject,
            seed=seed,
            dtype=dtype,
            folder=folder,
            progress=show,
        )
        progress.update(task, completed=size.nbytes(dtype))
    click.echo(_one_line(problem, folder))


@command.command()
@click.argument("config", metavar="CONFIG", type=click.Path(path_type=Path))
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder to create, instead of the one that CONFIG names.",
)
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be built; read no images.")
def build(config: Path, out: Path | None, only_plan: bool) -> None:
    """Build a problem from fMRI data and features, as the TOML file CONFIG says.

    One run after the other is read, so memory stays near what one run needs. What was interrupted
    goes on where it stopped. docs/problems.md describes CONFIG.
    """
    _needs()
    from rich.progress import MofNCompleteColumn

    from bench_core.brain.build import build as write
    from bench_core.brain.build import plan
    from bench_core.brain.settings import ProblemSettings
    from bench_core.errors import InputError

    settings = ProblemSettings.read(config)
    folder = out or settings.out
    if folder is None and not only_plan:
        raise InputError(f"{config} names no folder: give out, or --out DIR")
    planned = plan(settings)
    _print_pairing(planned.table(), planned.notes())
    if only_plan or folder is None:
        click.echo(f"{settings.name}: X {planned.t} × {planned.p}, Y {planned.t} × {planned.s}")
        return
    with _progress(MofNCompleteColumn()) as progress:
        task = progress.add_task("building", total=len(planned.runs))

        def show(run: str, done: int = 0, total: int = 0) -> None:
            progress.update(task, completed=done, description=run)

        problem = write(planned, folder, progress=show)
    click.echo(_one_line(problem, folder))


@command.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@option("seed")
def example(folder: Path, seed: int) -> None:
    """Write a small example into DIR: videos, an fMRIPrep folder, and CONFIG files."""
    _needs("av")
    from bench_core.brain.example import write_example

    click.echo(f"{folder}: {write_example(folder, seed=seed)}")


@command.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Read every value: NaN, infinity, constant targets.")
def show(folder: Path, check: bool) -> None:
    """Say what a problem folder holds."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from bench_core.checks import check_xy, constant_columns
    from bench_core.data import Problem
    from bench_core.errors import readable_bytes

    problem = Problem.open(folder)
    table = Table(title=str(folder), show_header=False, title_justify="left")
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for row in _facts(problem):
        table.add_row(*map(escape, row))
    if check:
        with Console(stderr=True).status(f"reading {readable_bytes(problem.nbytes)}"):
            check_xy(problem.X, problem.Y)
            constant = int(constant_columns(problem.Y).sum())
        table.add_row("checked", f"all values finite; {constant} of {problem.s} targets constant")
    console = Console()
    console.print(table)
    if problem.meta.get("pairing"):
        _print_pairing(problem.meta["pairing"], problem.meta.get("notes", ()))


def _progress(count: ProgressColumn) -> Progress:
    """Return a progress bar on standard error that counts as ``count`` does."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), count, TimeRemainingColumn()
    return Progress(*columns, console=Console(stderr=True))


def _needs(*more: str) -> None:
    """Say which extra to install when a package is absent, rather than fail on its import."""
    from importlib.util import find_spec

    from bench_core.errors import RidgebenchError

    absent = [name for name in ("nilearn", "h5py", *more) if find_spec(name) is None]
    if absent:
        extras = "brain,encoders" if "av" in absent else "brain"
        raise RidgebenchError(f"this needs {', '.join(absent)}: pip install 'ridgebench[{extras}]'")


def _print_pairing(rows: list[dict[str, Any]], notes: Sequence[str]) -> None:
    """Print the table of runs and, below it, what was lost or guessed for all or for one."""
    from rich.console import Console
    from rich.markup import escape

    console = Console()
    console.print(_pairing(rows))
    notes = list(notes)
    for row in rows:
        of_run = [f"{row['name']}: {note}" for note in row.get("notes", ())]
        notes += of_run[:_NOTES_OF_A_RUN]
        if len(of_run) > _NOTES_OF_A_RUN:
            notes.append(
                f"{row['name']}: {len(of_run) - _NOTES_OF_A_RUN} more, in the problem's "
                'meta["pairing"]'
            )
    for note in notes:
        console.print(f"note: {escape(note)}", highlight=False, soft_wrap=True)


def _pairing(rows: list[dict[str, Any]]) -> Table:
    """Return the table of what was paired, what was left out, and why.

    Many that were left out for one reason, such as all images in another space, share a row.
    """
    from rich.box import SIMPLE
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="runs and stimuli", title_justify="left", box=SIMPLE)
    table.add_column("run", justify="right")
    table.add_column("name", overflow="fold")
    table.add_column("stimulus", overflow="fold")
    for name in ("TRs", "volumes", "samples"):
        table.add_column(name, justify="right")
    left_out: dict[str, list[str]] = {}
    for row in rows:
        if "left_out" in row:
            left_out.setdefault(row["left_out"], []).append(row["name"])
            continue
        trs = "" if row["stimulus_trs"] is None else str(row["stimulus_trs"])
        numbers = (trs, str(row["volumes"]), str(row["samples"]))
        table.add_row(str(row["number"]), *map(escape, (row["name"], row["stimulus"])), *numbers)
    for reason, names in left_out.items():
        few = names if len(names) <= _SAME_REASON else [f"{names[0]}, … ({len(names)} in all)"]
        for name in few:
            table.add_row("–", *map(escape, (name, f"left out: {reason}")), "", "", "")
    return table


def _one_line(problem: Problem, folder: Path) -> str:
    from bench_core.errors import readable_bytes

    return (
        f"{folder}: {problem.name}, X {problem.t} × {problem.p}, Y {problem.t} × {problem.s}, "
        f"{problem.dtype}, {readable_bytes(problem.nbytes)}"
    )


def _facts(problem: Problem) -> list[tuple[str, str]]:
    """Return the rows of `show`'s table: what it is, and a sentence."""
    from bench_core.data import random_split, run_split
    from bench_core.data.delays import run_slices
    from bench_core.errors import InputError, readable_bytes
    from bench_core.machine import available_memory

    lengths = [rows.stop - rows.start for rows in run_slices(problem.runs)]
    spread = f"{min(lengths)}–{max(lengths)}" if min(lengths) < max(lengths) else f"{lengths[0]}"
    facts = [
        ("problem", problem.name),
        ("X", f"{problem.t:,} samples × {problem.p:,} features, {problem.dtype}"),
        ("Y", f"{problem.t:,} samples × {problem.s:,} targets, {problem.dtype}"),
        (
            "memory",
            f"{readable_bytes(problem.nbytes)} for X and Y ({problem.nbytes:,} bytes); "
            f"{readable_bytes(available_memory())} available now",
        ),
        ("runs", f"{len(lengths)} of {spread} samples"),
    ]
    if problem.meta.get("delays"):
        facts.append(("delays", ", ".join(map(str, problem.meta["delays"])) + " samples"))
    for label, draw in (("random split", random_split), ("split by run", run_split)):
        try:
            split = draw(problem)
        except InputError as error:
            facts.append((label, f"not possible: {error}"))
            continue
        held = f", {_range(problem.runs[split.test])} held out" if split.kind == "run" else ""
        text = f"{len(split.train):,} to train, {len(split.test):,} to test{held}"
        facts.append((label, f"{text}. Warning: {split.warning}" if split.warning else text))
    if problem.planted is not None:
        strong = problem.planted[problem.planted > 0]
        span = f", r {strong.min():.2f}–{strong.max():.2f}" if strong.size else ""
        facts.append(("planted response", f"{strong.size:,} of {problem.s:,} targets{span}"))
    about = {
        key: problem.meta.get(key) for key in ("subject", "scale", "seed", "source", "licence")
    }
    return facts + [(key, str(value)) for key, value in about.items() if value is not None]


def _range(runs: Any) -> str:
    low, high = int(runs.min()), int(runs.max())
    return f"run {low}" if low == high else f"runs {low}–{high}"
