"""List, make and look at ridge problems: the thesis's shapes, synthetic or real."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bench_core.data import Problem


class _Scale(click.ParamType):
    """A number such as 0.25, or a fraction such as 1/4."""

    name = "scale"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            return float(Fraction(str(value)))
        except (ValueError, ZeroDivisionError):
            self.fail(f"{value!r} is not a number such as 0.25 or 1/4", param, ctx)


_scale = click.option(
    "--scale", type=_Scale(), default=1.0, help="Shrink t, p and s together, e.g. 1/4 [default: 1]."
)
_subject = click.option("--subject", default="sub-01", show_default=True, help="sub-01 … sub-06.")


@click.group()
def command() -> None:
    """List, make and look at ridge problems: the thesis's shapes, synthetic or real."""


@command.command("list")
@_scale
@_subject
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
@_scale
@_subject
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--dtype", type=click.Choice(["float64", "float32"]), default="float64")
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
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from bench_core import data

    size = data.shape(name, scale=scale, subject=subject)
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=size.nbytes(dtype))
        problem = data.make(
            name,
            scale=scale,
            subject=subject,
            seed=seed,
            dtype=dtype,
            folder=folder,
            progress=lambda done, _: progress.update(task, completed=done),
        )
        progress.update(task, completed=size.nbytes(dtype))
    click.echo(_one_line(problem, folder))


@command.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Read every value: NaN, infinity, constant targets.")
def show(folder: Path, check: bool) -> None:
    """Say what a problem folder holds."""
    from rich.console import Console
    from rich.table import Table

    from bench_core.checks import check_xy, constant_columns
    from bench_core.data import Problem
    from bench_core.errors import readable_bytes

    problem = Problem.open(folder)
    table = Table(title=str(folder), show_header=False, title_justify="left")
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for row in _facts(problem):
        table.add_row(*row)
    if check:
        with Console(stderr=True).status(f"reading {readable_bytes(problem.nbytes)}"):
            check_xy(problem.X, problem.Y)
            constant = int(constant_columns(problem.Y).sum())
        table.add_row("checked", f"all values finite; {constant} of {problem.s} targets constant")
    Console().print(table)


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
    from bench_core.errors import BadInput, readable_bytes
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
        except BadInput as error:
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
