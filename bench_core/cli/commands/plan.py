"""Show what a fit will do and need before anything runs: method, flops, bytes, memory."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from bench_core.cli.option_values import strategy_options
from bench_core.cli.options import PENALTY_OPTIONS, option


@click.command()
@click.argument("strategy", required=False)
@click.argument("problem", required=False)
@option("scale", "subject")
@click.option("-t", "--samples", type=click.IntRange(min=2), help="Training samples.")
@click.option("-p", "--features", type=click.IntRange(min=1), help="Features.")
@click.option("-s", "--targets", type=click.IntRange(min=1), help="Targets.")
@click.option("-r", "--penalties", type=click.IntRange(min=1), help="Number of penalties to try.")
@option(*PENALTY_OPTIONS)
@option("test-fraction", type=click.FloatRange(0, 1, max_open=True))
@click.option("--strategy", "former_strategy", hidden=True)
@option("nodes", "dtype", "memory-limit", "no-coef")
@click.option("--coef-file", is_flag=True, help="Coefficients are streamed to a file.")
@option("option", "json")
def command(
    strategy: str | None,
    problem: str | None,
    scale: float,
    subject: str,
    samples: int | None,
    features: int | None,
    targets: int | None,
    penalties: int | None,
    alphas: tuple[float, ...] | None,
    test_fraction: float,
    former_strategy: str | None,
    nodes: int,
    dtype: str,
    memory_limit: int | None,
    no_coef: bool,
    coef_file: bool,
    options: tuple[tuple[str, Any], ...],
    as_json: bool,
    **penalty_flags: Any,
) -> None:
    """Show what fitting STRATEGY to PROBLEM (a name or a folder), or t × p to t × s, will take.

    For a PROBLEM the training samples are what is left when --test-fraction is held out.
    """
    from bench_core import strategies
    from bench_core.checks import check_alphas
    from bench_core.data import THESIS_ALPHAS
    from bench_core.errors import InputError, readable_bytes
    from bench_core.runner.planning import (
        describe_plan,
        fit_bytes,
        plan_fit,
        planned_strategy,
        with_spaces,
    )

    if former_strategy is not None:
        click.echo("--strategy is now the first argument: plan STRATEGY [PROBLEM]", err=True)
        strategy, problem = former_strategy, strategy if problem is None else problem
    if strategy is None:
        raise click.UsageError("give a strategy first: plan STRATEGY [PROBLEM]")
    supports = strategies.get(strategy).supports  # an unknown strategy is named first
    given = {"-t": samples, "-p": features, "-s": targets}
    spaces = None
    if problem is not None:
        if any(given.values()):
            raise InputError(f"give a problem ({problem}) or -t, -p and -s, not both")
        shape, dtype, spaces = problem_shape(problem, scale, subject, test_fraction, dtype)
    else:
        absent = [name for name, value in given.items() if value is None]
        if absent:
            raise InputError(f"give a problem, or -t, -p and -s: {', '.join(absent)} is missing")
        shape = (int(samples or 0), int(features or 0), int(targets or 0))
    if alphas is None:
        alphas = (
            THESIS_ALPHAS if penalties is None else tuple(float(i + 1) for i in range(penalties))
        )
    elif penalties is not None:
        raise InputError(f"-r {penalties} and --alphas say the same: give one")
    check_alphas(alphas)
    chosen = with_spaces(strategy, strategy_options(strategy, options, penalty_flags), spaces)
    if memory_limit is not None:
        if "memory_limit" not in supports:
            raise InputError(f"{strategy} cannot plan within a memory limit: leave it out")
        chosen["memory_limit"] = memory_limit
    if (no_coef or coef_file) and "coef" in supports:
        chosen["coef"] = None if no_coef else "coef.npy"
    plan = plan_fit(strategy, *shape, dtype, nodes=nodes, alphas=alphas, options=chosen)
    sent = planned_strategy(strategy, shape[0], alphas, chosen).sent_bytes(*shape, dtype, nodes)
    if not as_json:
        click.echo(describe_plan(strategy, *shape, dtype, nodes, plan))
        if sent is not None:
            click.echo(
                "  X and Y by path where nodes see their files; else by messages, "
                f"{readable_bytes(sent)} with the coefficients"
            )
        return
    t, p, s = shape
    values = {"strategy": strategy, "t": t, "p": p, "s": s, "dtype": dtype, "nodes": nodes}
    needed = fit_bytes(strategy, *shape, dtype, nodes, plan)
    steps = None if plan is None else asdict(plan)
    click.echo(
        json.dumps(values | {"memory_needed": needed, "sent_bytes": sent, "plan": steps}, indent=1)
    )


def problem_shape(
    problem: str, scale: float, subject: str, test_fraction: float, dtype: str
) -> tuple[tuple[int, int, int], str, Any]:
    """Return (t, p, s) of the training samples, dtype and feature spaces of a name or a folder."""
    import math
    from pathlib import Path

    from bench_core.data import Problem, names, shape
    from bench_core.errors import unknown

    size: Any
    spaces = None
    if problem in names():
        size = shape(problem, scale=scale, subject=subject)
    elif Path(problem).is_dir() or "/" in problem:
        size = Problem.open(problem)
        dtype, spaces = str(size.dtype), size.feature_spaces
    else:
        raise unknown("problem", problem, names())
    return (size.t - math.ceil(size.t * test_fraction - 1e-9), size.p, size.s), dtype, spaces
