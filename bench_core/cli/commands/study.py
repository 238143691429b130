"""Train VideoGPT over a grid, extract features, fit, and draw r against what was varied."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench_core.cli.bars import show_progress
from bench_core.cli.options import option
from bench_core.errors import RidgebenchError, readable_bytes

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from bench_core.study.settings import StudySettings
    from bench_core.study.table import Row


@click.command("study")
@click.argument("config", metavar="[CONFIG]", required=False, type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Print the cells and what they will take.")
@click.option(
    "--example",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write a small study into DIR instead: clips, planted responses, study.toml.",
)
@option("seed")
def command(config: Path | None, dry_run: bool, example: Path | None, seed: int) -> None:
    """Carry out the scaling study that the TOML file CONFIG describes.

    What has been computed is not computed again, and an interrupted cell goes on from its last
    checkpoint. Cells that fail are rows of the table, with the reason. docs/study.md describes
    CONFIG.
    """
    if (config is None) == (example is None):
        raise click.UsageError("give CONFIG, or --example DIR")
    _needs()
    if example is not None:
        from bench_core.study.example import write_example

        click.echo(f"{example}: {write_example(example, seed=seed)}")
        return
    assert config is not None

    from bench_core.study.settings import StudySettings

    settings = StudySettings.read(config)
    if dry_run:
        _dry_run(settings)
        return
    _carry_out(settings)


def _needs() -> None:
    """Say which extras to install when a package is absent."""
    from importlib.util import find_spec

    names = ("av", "h5py", "torch", "nilearn", "matplotlib")
    absent = [name for name in names if find_spec(name) is None]
    if absent:
        raise RidgebenchError(
            f"study needs {', '.join(absent)}: pip install 'ridgebench[videogpt,brain]'"
        )


def _carry_out(settings: StudySettings) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from bench_core.study.figures import draw_figures
    from bench_core.study.run import TABLE, run_study

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        rows = run_study(settings, _Shown(bars))
    figures = draw_figures(settings, rows, settings.out / "figures")
    _print(rows)
    for path in (settings.out / TABLE, *figures):
        click.echo(path)


class _Shown:
    """The study's progress as two bars."""

    def __init__(self, bars: Bars) -> None:
        self.bars = bars
        self.all = bars.add_task("cells", total=None)
        self.one = bars.add_task("")

    def cell(self, name: str, number: int, total: int) -> None:
        self.bars.update(self.all, description=f"cells: {name}", completed=number, total=total)
        show_progress(self.bars, self.one, "starting")

    def within(self, what: str, done: int, total: int) -> None:
        show_progress(self.bars, self.one, what, done, total)

    def finished(self, name: str, status: str, reason: str | None) -> None:
        self.bars.advance(self.all)
        if status != "ok":
            self.bars.console.print(f"{name}: {status}: {reason}", highlight=False, markup=False)

    def note(self, text: str) -> None:
        self.bars.console.print(text, highlight=False, markup=False)


def _print(rows: list[Row]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE)
    for name in ("factor", "level", "subject"):
        table.add_column(name)
    for name in ("loss", "held-out loss", "mean r", "95th percentile", "largest r", "seconds"):
        table.add_column(name, justify="right")
    names = ("loss_gpt_train", "loss_gpt_held_out", "r_mean", "r_p95", "r_max")
    for row in rows:
        if row["status"] != "ok":
            table.add_row(row["factor"], row["level"], row["subject"], row["status"])
            continue
        cells = [_number(row[name]) for name in names]
        seconds = f"{row['seconds']:.1f}"
        table.add_row(row["factor"], row["level"], row["subject"], *cells, seconds)
    Console().print(table)


def _dry_run(settings: StudySettings) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from bench_core.study.context import Study
    from bench_core.study.costs import baseline_words
    from bench_core.study.run import estimates

    table = Table(box=SIMPLE, title=f"{settings.name}: {settings.design}", title_justify="left")
    table.add_column("cell", no_wrap=True)
    for name in ("GPT", "+ VQ-VAE", "frames", "steps", "memory", "time"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    total, counted, refused = 0.0, set(), []
    for each in estimates(Study.open(settings)):
        plan = each.planned
        if each.parameters is None or each.seconds is None:
            table.add_row(plan.cell.name, *[""] * 6, "refused")
            refused.append(f"{plan.cell.name}: refused: {plan.reason}")
            continue
        new = not plan.done and plan.key not in counted
        counted.add(plan.key)
        total += each.seconds if new else 0.0
        table.add_row(
            plan.cell.name,
            f"{each.parameters.gpt:,}",
            f"{each.parameters.both:,}",
            f"{plan.frames:,}",
            f"{plan.steps:,}",
            readable_bytes(each.training_bytes or 0),
            _time(each.seconds),
            "" if new else "done" if plan.done else "as above",
        )
    Console().print(table)
    for line in refused:
        click.echo(line)
    click.echo(f"baseline: {baseline_words(settings.baseline)}")
    click.echo(f"training of the GPTs that are left, roughly: {_time(total)}")
    click.echo(
        "memory: weights, gradients and Adam, without activations; time: operations at 30 % of "
        "this machine's rate of matrix products, without VQ-VAE, features and fits"
    )


def _time(seconds: float) -> str:
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def _number(value: Any) -> str:
    return "–" if value is None else f"{value:.3f}"
