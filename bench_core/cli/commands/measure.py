"""Measure one strategy on one problem and print what its record says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench_core.cli.display import print_facts, progress
from bench_core.cli.option_values import strategy_options, threads_per_node
from bench_core.cli.options import PENALTY_OPTIONS, option
from bench_core.errors import counted

if TYPE_CHECKING:
    from bench_core.cluster.settings import ClusterSettings
    from bench_core.records import Record

_STORE = Path(".asv", "measured")

KEPT = "Nothing is recorded: a measurement counts only as a whole."


@click.command()
@click.argument("strategy")
@click.argument("problem")
@option("scale", "subject", "nodes", "threads", "hardware-threads", "cluster", "allow-mixed")
@click.option(
    "--repeats",
    type=click.IntRange(min=1),
    help="Fits to time, without a warm-up by whole fits  [default: as many as --precision needs].",
)
@click.option(
    "--precision",
    type=click.FloatRange(0, min_open=True),
    default=0.05,
    show_default=True,
    help="Repeat until the 95 % interval of the median is within this part of it.",
)
@click.option(
    "--budget",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    default=20.0,
    show_default=True,
    help="Begin no repeat after so many seconds of fits, warm-up included.",
)
@option("dtype", "split", "seed", "kernels", "blas", *PENALTY_OPTIONS, "intercept", "option")
@click.option(
    "--null",
    type=click.Choice(["auto", "fit", "sample", "skip"]),
    default="auto",
    show_default=True,
    help="How to find r after training on shuffled rows.",
)
@click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    default=_STORE,
    show_default=True,
    help="Folder of records.",
)
@click.option(
    "--accept-load",
    is_flag=True,
    help="Accept times that were measured while others used the machine.",
)
@option("scratch", "timeout", "again", "json")
def command(
    strategy: str,
    problem: str,
    nodes: int,
    threads: int | None,
    hardware_threads: bool,
    cluster: ClusterSettings | None,
    allow_mixed: bool,
    options: tuple[tuple[str, Any], ...],
    alphas: tuple[float, ...] | None,
    repeats: int | None,
    precision: float,
    budget: float,
    accept_load: bool,
    no_intercept: bool,
    blas: str | None,
    store: Path,
    scratch: Path | None,
    timeout: float | None,
    again: bool,
    as_json: bool,
    **rest: Any,
) -> None:
    """Measure STRATEGY on PROBLEM (a name or a problem folder) and print what its record says.

    The exit status is 0 for a valid measurement, 1 for one that failed, is invalid or was disturbed
    by others, 3 for one that was skipped because this machine cannot run it.
    """
    from bench_core.measure import FitSpec, RecordNotWrittenError, measure
    from bench_core.measure.run import with_problem_spaces
    from bench_core.records import to_json
    from bench_core.records.case import Until
    from bench_core.runner.repeats import LEAST_REPEATS
    from bench_core.runner.split_choice import with_split

    asked = FitSpec(
        problem=problem,
        strategy=strategy,
        nodes=nodes,
        threads=threads_per_node(
            threads, nodes, hardware_threads=hardware_threads, cluster=cluster
        ),
        hardware_threads=hardware_threads,
        options=strategy_options(strategy, options, rest),
        alphas=alphas,
        repeats=repeats or LEAST_REPEATS,
        until=Until(precision, budget) if repeats is None else None,
        fit_intercept=not no_intercept,
        blas=blas or _declared(),
        **rest,
    )
    spec = with_problem_spaces(with_split(asked))
    try:
        with progress() as bars:
            record = measure(
                spec,
                store=store,
                scratch=scratch,
                timeout=timeout,
                again=again or not _is_valid(store / f"{spec.stem}.json"),
                progress=bars,
                accept_load=accept_load or None,
                cluster=cluster,
                allow_mixed=allow_mixed,
            )
    except RecordNotWrittenError as error:
        click.echo(to_json(error.record))  # the measured figures, to be saved elsewhere
        raise
    if as_json:
        click.echo(to_json(record))
    else:
        _show(record, store / f"{spec.stem}.json")
    raise SystemExit({"ok": 0, "skipped": 3}.get(record.status, 1))


def _is_valid(path: Path) -> bool:
    """Return whether a valid measurement is in ``path``: what stopped another may have passed."""
    from bench_core.records import Record, read

    return path.is_file() and read(Record, path).status == "ok"


def _declared() -> str | None:
    from bench_core.blas import declared

    return declared()


def _show(record: Record, path: Path) -> None:
    from bench_core.cli.record_rows import result_rows, split_rows

    case, problem = record.case, record.case.problem
    size = (
        f"{counted(problem.t or 0, 'sample')} × {counted(problem.p or 0, 'feature')} × "
        f"{counted(problem.s or 0, 'target')}, {problem.dtype}"
    )
    rows = [("problem", size), *split_rows(case)]
    if record.reason:
        rows.append(("reason", record.reason))
    rows += [*result_rows(record), ("record", str(path))]
    if path.with_suffix(".log").is_file():
        rows.append(("log", str(path.with_suffix(".log"))))
    size = f"nodes × threads {case.nodes} × {case.threads}"
    print_facts(f"{case.strategy} on {problem.name}, {size}: {record.status}", rows)
