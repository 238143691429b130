"""Train VideoGPT over a grid, extract features, fit, and draw r against what was varied."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench_core.cli.display import duration, print_table, progress
from bench_core.cli.options import option
from bench_core.errors import RidgebenchError, install_command, readable_bytes

if TYPE_CHECKING:
    from bench_core.cli.display import Bars
    from bench_core.cluster.settings import ClusterSettings
    from bench_core.study.settings import StudySettings
    from bench_core.study.table import Row

KEPT = "Finished cells and checkpoints are kept; the same command goes on with the rest."


@click.command("study")
@click.argument("config", metavar="[CONFIG]", required=False, type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Print the cells and what they will take.")
@click.option(
    "--example",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write a small study into DIR instead: clips, planted responses, study.toml.",
)
@option("seed", "cluster", "allow-mixed")
def command(
    config: Path | None,
    dry_run: bool,
    example: Path | None,
    seed: int,
    cluster: ClusterSettings | None,
    allow_mixed: bool,
) -> None:
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
    if cluster is not None:
        settings = replace(settings, cluster=cluster, allow_mixed=allow_mixed)
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
            f"study needs {', '.join(absent)}: {install_command('videogpt,brain')}"
        )


def _carry_out(settings: StudySettings) -> None:
    from bench_core.study.figures import draw_figures
    from bench_core.study.run import TABLE, run_study

    with progress() as bars:
        rows = run_study(settings, _Shown(bars))
    figures = draw_figures(settings, rows, settings.out / "figures")
    _print(rows)
    for path in (settings.out / TABLE, *figures):
        click.echo(path)


class _Shown:
    """The study's progress as two bars: all cells, and the one that is computed."""

    def __init__(self, bars: Bars) -> None:
        self.bars = bars
        self.all = bars.bar("cells")
        self.within = bars.bar("within")

    def cell(self, name: str, number: int, total: int) -> None:
        self.all(f"cells: {name}", number, total)
        self.within("starting")

    def finished(self, name: str, status: str, reason: str | None) -> None:
        if status != "ok":
            self.bars.print(f"{name}: {status}: {reason}")

    def note(self, text: str) -> None:
        self.bars.print(text)


def _print(rows: list[Row]) -> None:
    words = ("factor", "level", "subject")
    figures = ("loss", "held-out loss", "mean r", "95th percentile", "largest r", "seconds")
    names = ("loss_gpt_train", "loss_gpt_held_out", "r_mean", "r_p95", "r_max")
    found = []
    for row in rows:
        which = tuple(row[name] for name in words)
        if row["status"] != "ok":
            found.append((*which, row["status"], *[""] * 5))
            continue
        found.append((*which, *(_number(row[name]) for name in names), f"{row['seconds']:.1f}"))
    print_table("", words + figures, found, words=words)


def _dry_run(settings: StudySettings) -> None:
    from bench_core.study.context import Study
    from bench_core.study.run import estimates

    columns = ("cell", "GPT", "+ VQ-VAE", "frames", "steps", "memory", "time", "")
    rows, total, counted, refused = [], 0.0, set(), []
    for each in estimates(Study.open(settings)):
        plan = each.planned
        if each.parameters is None or each.seconds is None:
            rows.append((plan.cell.name, *[""] * 6, "refused"))
            refused.append(f"{plan.cell.name}: refused: {plan.reason}")
            continue
        new = not plan.done and plan.key not in counted
        counted.add(plan.key)
        total += each.seconds if new else 0.0
        counts = (each.parameters.gpt, each.parameters.both, plan.frames, plan.steps)
        rows.append(
            (
                plan.cell.name,
                *(f"{count:,}" for count in counts),
                readable_bytes(each.training_bytes or 0),
                duration(each.seconds),
                "" if new else "done" if plan.done else "as above",
            )
        )
    print_table(f"{settings.name}: {settings.design}", columns, rows, words=("cell", ""))
    for line in refused:
        click.echo(line)
    click.echo(f"baseline: {settings.baseline.words()}")
    click.echo(f"training of the GPTs that are left, roughly: {duration(total)}")
    click.echo(
        "memory: weights, gradients and Adam, without activations; time: operations at 30 % of "
        "this machine's rate of matrix products, without VQ-VAE, features and fits"
    )


def _number(value: Any) -> str:
    return "–" if value is None else f"{value:.3f}"
