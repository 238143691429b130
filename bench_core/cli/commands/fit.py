"""Fit one problem and keep the results: coefficients, penalty, r of every target, figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench_core.cli.display import print_facts, progress, say
from bench_core.cli.option_values import strategy_options, threads_per_node
from bench_core.cli.options import PENALTY_OPTIONS, option

if TYPE_CHECKING:
    from bench_core.cluster.settings import ClusterSettings
    from bench_core.fitting.run import FitOutcome
    from bench_core.fitting.subjects import SubjectsOutcome

KEPT = (
    "The result folder appears only when it is whole; finished batches of a fit on nodes are kept "
    "beside it, for --resume."
)


@click.command()
@click.argument("strategy")
@click.argument("problem", required=False)
@click.option("--x", metavar="FILE", help="Features: X.npy or FILE.h5:DATASET.")
@click.option("--y", metavar="FILE", help="Targets: Y.npy or FILE.h5:DATASET.")
@click.option("--runs", metavar="FILE", help="Run of every sample: .npy or text.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to create.")
@option("scale", "subject", "dtype", "split", "test-fraction")
@click.option("--test-runs", metavar="RUN,RUN,…", help="Runs to hold out, by --split run or auto.")
@option("seed", "nodes", "threads", "hardware-threads", "cluster", "allow-mixed")
@option("kernels", "blas", *PENALTY_OPTIONS)
@option("intercept", "option")
@option("no-coef", "memory-limit")
@click.option("--keep-problem", is_flag=True, help="Keep the problem beside the results.")
@click.option(
    "--retries",
    type=click.IntRange(min=0),
    default=2,
    show_default=True,
    help="Times to do batches again whose node was lost, on the nodes that live.",
)
@click.option(
    "--resume", is_flag=True, help="Go on with the batches that an interrupted fit has left."
)
@click.option("--shuffled", is_flag=True, help="Fit to shuffled samples too, for r by chance.")
@click.option(
    "--regions",
    metavar="ATLAS",
    type=click.Path(path_type=Path),
    help="Average r over its labels.",
)
@option("figures", "scratch", "json")
def command(
    strategy: str,
    problem: str | None,
    x: str | None,
    y: str | None,
    runs: str | None,
    scale: float,
    subject: str,
    dtype: str,
    test_runs: str | None,
    seed: int,
    nodes: int,
    threads: int | None,
    hardware_threads: bool,
    cluster: ClusterSettings | None,
    blas: str | None,
    alphas: tuple[float, ...] | None,
    no_intercept: bool,
    options: tuple[tuple[str, Any], ...],
    no_coef: bool,
    regions: Path | None,
    figures: bool,
    scratch: Path | None,
    as_json: bool,
    **rest: Any,
) -> None:
    """Fit STRATEGY to PROBLEM (a name or a folder), or to --x and --y, and write the results.

    A folder of problem folders is several subjects: each is fitted into a folder in OUT, which
    gets a table and pictures of all of them, by --regions where targets are voxels.

    The plan comes first. The exit status is 1 where the answer is not the strategy's definition.
    """
    from bench_core.blas import declared
    from bench_core.cluster.settings import LOCAL
    from bench_core.data import THESIS_ALPHAS
    from bench_core.errors import InputError
    from bench_core.fitting.request import FitRequest
    from bench_core.fitting.run import fit
    from bench_core.fitting.sources import ProblemSource
    from bench_core.fitting.subjects import fit_subjects, subject_problems
    from bench_core.records import to_json

    request = FitRequest(
        strategy=strategy,
        source=ProblemSource(problem, x, y, runs, scale, subject, seed, dtype),
        test_runs=None if test_runs is None else _runs(test_runs),
        seed=seed,
        nodes=nodes,
        threads=threads_per_node(
            threads, nodes, hardware_threads=hardware_threads, cluster=cluster
        ),
        hardware_threads=hardware_threads,
        cluster=cluster or LOCAL,
        blas=blas or declared(),
        alphas=alphas or THESIS_ALPHAS,
        fit_intercept=not no_intercept,
        options=strategy_options(strategy, options, rest),
        coef=not no_coef,
        figures=figures,
        **rest,
    )
    subjects = subject_problems(problem)
    if regions is not None and not subjects:
        raise InputError(
            f"--regions {regions} is for a folder of several subjects: of one fit, give it to "
            "ridgebench accuracy"
        )
    with progress() as bars:
        if subjects:
            found = fit_subjects(
                request,
                subjects,
                regions=regions,
                scratch=scratch,
                progress=bars,
                show_plan=bars.print,
            )
        else:
            outcome = fit(request, scratch=scratch, progress=bars, show_plan=bars.print)
    if subjects:
        _show_subjects(found, as_json=as_json)
        raise SystemExit(0 if found.valid else 1)
    if as_json:
        click.echo(to_json(outcome.record))
    else:
        _show(outcome)
    raise SystemExit(0 if outcome.record.status == "ok" else 1)


def _show_subjects(found: SubjectsOutcome, *, as_json: bool) -> None:
    """Print a table of all subjects, or their figures as JSON."""
    import json

    from bench_core.cli.subject_rows import comparison_rows, subjects_table

    if as_json:
        values = {} if found.comparison is None else found.comparison.to_json()
        click.echo(json.dumps({**values, "failed": found.failed}, indent=1))
        return
    if found.comparison is not None:
        rows = found.comparison.to_json()["subjects"]
        status = {name: str(one.status) for name, one in found.records.items()}
        status |= {name: f"{status[name]}, was there" for name in found.kept}
        subjects_table([{**row, "status": status[row["subject"]]} for row in rows])
        print_facts("all subjects", comparison_rows(found.comparison, found.folder, found.files))
    for name, reason in found.failed.items():
        say(f"{name} was not fitted: {reason}", "red")


def _runs(text: str) -> tuple[int, ...]:
    from bench_core.errors import InputError

    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise InputError(f"--test-runs {text!r}: give whole numbers separated by commas") from None


def _show(outcome: FitOutcome) -> None:
    case = outcome.record.case
    title = f"{case.strategy} on {case.problem.name}: {outcome.record.status}"
    print_facts(title, _rows(outcome))


def _rows(outcome: FitOutcome) -> list[tuple[str, str]]:
    from bench_core.cli.record_rows import result_rows, split_rows

    record = outcome.record
    rows = [*split_rows(record.case), *result_rows(record)]
    if record.reason:
        rows.append(("reason", record.reason))
    rows += [(f"no {what}", reason) for what, reason in outcome.not_drawn.items()]
    return [*rows, ("results", str(outcome.folder)), ("files", ", ".join(outcome.files))]
