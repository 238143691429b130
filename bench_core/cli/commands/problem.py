"""List, make, build and look at ridge problems: synthetic ones, or your own fMRI data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench_core.cli.display import print_facts, print_table, progress, say
from bench_core.cli.options import option

if TYPE_CHECKING:
    from bench_core.data import Problem

_SAME_REASON = 5
"""Rows that one reason for leaving out may have before they become one."""

_NOTES_OF_A_RUN = 10

KEPT = (
    "Runs that `build` has finished are kept, and the same command goes on with the"
    " others; nothing is kept of a `make`."
)


@click.group()
def command() -> None:
    """List, make, build and look at ridge problems: synthetic ones, or your own fMRI data."""


@command.command("list")
@option("scale", "subject")
def list_(scale: float, subject: str) -> None:
    """Show every problem's size at a scale."""
    from bench_core import data
    from bench_core.errors import readable_bytes

    rows = []
    for name in data.names():
        # The real problem has one size and one subject.
        real = name == data.HAXBY
        size = data.shape(name) if real else data.shape(name, scale=scale, subject=subject)
        counts = (f"{count:,}" for count in (size.t, size.p, size.s))
        sizes = (readable_bytes(size.nbytes(dtype)) for dtype in ("float64", "float32"))
        rows.append((name, *counts, *sizes))
    columns = ("name", "samples t", "features p", "targets s", "float64", "float32")
    print_table(f"Problems at scale {scale:g}, {subject}", columns, rows, words=("name",))


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
    from bench_core import data

    with progress(unit="bytes") as bars:
        problem = data.make(
            name,
            scale=scale,
            subject=subject,
            seed=seed,
            dtype=dtype,
            folder=folder,
            progress=bars,
        )
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

    With subjects = ["01", …] in CONFIG one for each of them, in OUT/sub-01 and so on. One run
    after the other is read, so memory stays near what one run needs. What was interrupted goes on
    where it stopped. docs/problems.md describes CONFIG.
    """
    _needs()
    from bench_core.brain.build import build as write
    from bench_core.brain.settings import ProblemSettings
    from bench_core.brain.subjects import build_subjects, plan_subjects, subject_folders
    from bench_core.errors import InputError, listed

    settings = ProblemSettings.read_all(config)
    folders = subject_folders(settings, out)
    named = {name: folder for name, folder in folders.items() if folder is not None}
    if len(named) < len(folders) and not only_plan:
        raise InputError(f"{config} names no folder: give out, or --out DIR")
    plans = plan_subjects(settings)
    for each, planned in zip(settings, plans.values(), strict=True):
        _print_pairing(planned.table(), planned.notes(), each.subject)
        if only_plan:
            size = f"X {planned.t} × {planned.p}, Y {planned.t} × {planned.s}"
            click.echo(f"{each.name}: {size}")
    if only_plan:
        return
    with progress() as bars:
        if settings[0].subject is None:
            (name,) = plans
            problem = write(plans[name], named[name], progress=bars)
            click.echo(_one_line(problem, named[name]))
            return
        found = build_subjects(plans, named, progress=bars)
    for name, problem in found.built.items():
        line = _one_line(problem, named[name])
        click.echo(f"{line}; it was there" if name in found.kept else line)
    if found.failed:
        wrong = [f"{name}: {reason}" for name, reason in found.failed.items()]
        raise listed(wrong, "subjects that were not built", "correct their files, build again")


@command.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@option("seed")
@click.option(
    "--subjects",
    type=click.IntRange(1, 99),
    default=1,
    show_default=True,
    help="Number of subjects.",
)
def example(folder: Path, seed: int, subjects: int) -> None:
    """Write a small example into DIR: videos, an fMRIPrep folder, and CONFIG files."""
    _needs("av")
    from bench_core.brain.example import write_example

    click.echo(f"{folder}: {write_example(folder, seed=seed, subjects=subjects)}")


@command.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Read every value: NaN, infinity, constant targets.")
def show(folder: Path, check: bool) -> None:
    """Say what a problem folder holds."""
    from bench_core.checks import check_xy, constant_columns
    from bench_core.data import Problem
    from bench_core.errors import readable_bytes

    problem = Problem.open(folder)
    rows = _facts(problem)
    if check:
        with progress() as bars:
            bars(f"reading {readable_bytes(problem.nbytes)}")
            check_xy(problem.X, problem.Y)
            constant = int(constant_columns(problem.Y).sum())
        rows.append(("checked", f"all values finite; {constant} of {problem.s} targets constant"))
    print_facts(str(folder), rows)
    if problem.meta.get("pairing"):
        _print_pairing(problem.meta["pairing"], problem.meta.get("notes", ()))


def _needs(*more: str) -> None:
    """Say which extra to install when a package is absent, rather than fail on its import."""
    from importlib.util import find_spec

    from bench_core.errors import RidgebenchError, install_command

    absent = [name for name in ("nilearn", "h5py", *more) if find_spec(name) is None]
    if absent:
        extras = "brain,encoders" if "av" in absent else "brain"
        raise RidgebenchError(f"this needs {', '.join(absent)}: {install_command(extras)}")


def _print_pairing(
    pairing: list[dict[str, Any]], notes: Sequence[str], subject: str | None = None
) -> None:
    """Print the table of runs and, below it, what was lost or guessed for all or for one.

    Many that were left out for one reason, such as all images in another space, share a row.
    """
    rows = []
    left_out: dict[str, list[str]] = {}
    notes = list(notes)
    for row in pairing:
        of_run = [f"{row['name']}: {note}" for note in row.get("notes", ())]
        notes += of_run[:_NOTES_OF_A_RUN]
        if len(of_run) > _NOTES_OF_A_RUN:
            notes.append(
                f"{row['name']}: {len(of_run) - _NOTES_OF_A_RUN} more, in the problem's "
                'meta["pairing"]'
            )
        if "left_out" in row:
            left_out.setdefault(row["left_out"], []).append(row["name"])
            continue
        trs = "" if row["stimulus_trs"] is None else str(row["stimulus_trs"])
        numbers = (trs, str(row["volumes"]), str(row["samples"]))
        rows.append((str(row["number"]), row["name"], row["stimulus"], *numbers))
    for reason, names in left_out.items():
        few = names if len(names) <= _SAME_REASON else [f"{names[0]}, … ({len(names)} in all)"]
        rows += [("–", name, f"left out: {reason}", "", "", "") for name in few]
    columns = ("run", "name", "stimulus", "TRs", "volumes", "samples")
    title = " of ".join(filter(None, ("runs and stimuli", subject)))
    print_table(title, columns, rows, words=("name", "stimulus"))
    for note in notes:
        say(f"note: {note}")


def _one_line(problem: Problem, folder: Path) -> str:
    from bench_core.errors import readable_bytes

    return (
        f"{folder}: {problem.name}, X {problem.t} × {problem.p}, Y {problem.t} × {problem.s}, "
        f"{problem.dtype}, {readable_bytes(problem.nbytes)}"
    )


def _facts(problem: Problem) -> list[tuple[str, str]]:
    """Return the rows of `show`'s table: what it is, and a sentence."""
    from bench_core.data import choose_split, random_split, run_split
    from bench_core.data.delays import run_slices
    from bench_core.errors import InputError, counted, readable_bytes
    from bench_core.machine import available_memory

    lengths = [rows.stop - rows.start for rows in run_slices(problem.runs)]
    spread = f"{min(lengths)}–{max(lengths)}" if min(lengths) < max(lengths) else f"{lengths[0]}"
    facts = [
        ("problem", problem.name),
        ("X", f"{counted(problem.t, 'sample')} × {counted(problem.p, 'feature')}, {problem.dtype}"),
        ("Y", f"{counted(problem.t, 'sample')} × {counted(problem.s, 'target')}, {problem.dtype}"),
        (
            "memory",
            f"{readable_bytes(problem.nbytes)} for X and Y ({problem.nbytes:,} bytes); "
            f"{readable_bytes(available_memory())} available now",
        ),
        ("runs", f"{len(lengths)} of {spread} samples"),
    ]
    if problem.meta.get("delays"):
        facts.append(("delays", ", ".join(map(str, problem.meta["delays"])) + " samples"))
    if problem.feature_spaces is not None:
        sizes = problem.feature_spaces.sizes().items()
        facts.append(("feature spaces", ", ".join(f"{name}: {size}" for name, size in sizes)))
    for label, draw in (("random split", random_split), ("split by run", run_split)):
        try:
            split = draw(problem)
        except InputError as error:
            facts.append((label, f"not possible: {error}"))
            continue
        held = f", {_range(problem.runs[split.test])} held out" if split.kind == "run" else ""
        text = f"{len(split.train):,} to train, {len(split.test):,} to test{held}"
        facts.append((label, f"{text}. Warning: {split.warning}" if split.warning else text))
    choice = choose_split(problem.runs)
    chosen = {"run": "by run", "random": "at random"}[choice.kind]
    facts.append(("default split", f"{chosen}: {choice.reason}"))
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
