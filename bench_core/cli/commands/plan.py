"""Say what a fit will do and take, before anything runs: method, flops, bytes, memory."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from bench_core.cli.parameters import Bytes, Numbers, Option, Scale


@click.command()
@click.argument("problem", required=False)
@click.option("--scale", type=Scale(), default=1.0, help="Of a named problem, e.g. 1/4.")
@click.option("--subject", default="sub-01", show_default=True, help="sub-01 … sub-06.")
@click.option("-t", "--samples", type=click.IntRange(min=2), help="Training samples.")
@click.option("-p", "--features", type=click.IntRange(min=1), help="Features.")
@click.option("-s", "--targets", type=click.IntRange(min=1), help="Targets.")
@click.option("-r", "--penalties", type=click.IntRange(min=1), help="How many penalties to try.")
@click.option("--alphas", type=Numbers(), help="Or which  [default: the thesis's 11].")
@click.option(
    "--test-fraction",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.1,
    show_default=True,
    help="Of PROBLEM's samples, held out.",
)
@click.option("--strategy", default="multitarget", show_default=True)
@click.option("--nodes", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--dtype", type=click.Choice(["float64", "float32"]), default="float64")
@click.option("--memory-limit", type=Bytes(), help="Such as 8GB, beyond X and Y.")
@click.option("--no-coef", is_flag=True, help="Coefficients are not formed.")
@click.option("--coef-file", is_flag=True, help="Coefficients are streamed to a file.")
@click.option("--option", "options", type=Option(), multiple=True, help="Of the strategy.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def command(
    problem: str | None,
    scale: float,
    subject: str,
    samples: int | None,
    features: int | None,
    targets: int | None,
    penalties: int | None,
    alphas: tuple[float, ...] | None,
    test_fraction: float,
    strategy: str,
    nodes: int,
    dtype: str,
    memory_limit: int | None,
    no_coef: bool,
    coef_file: bool,
    options: tuple[tuple[str, Any], ...],
    as_json: bool,
) -> None:
    """Say what fitting PROBLEM (a name or a folder), or t × p to t × s, will do and take.

    For a PROBLEM the training samples are what is left when --test-fraction is held out.
    """
    from bench_core import strategies
    from bench_core.checks import check_alphas
    from bench_core.data import THESIS_ALPHAS
    from bench_core.errors import InputError
    from bench_core.runner.planning import describe_plan, fit_bytes, plan_fit

    given = {"-t": samples, "-p": features, "-s": targets}
    if problem is not None:
        if any(given.values()):
            raise InputError(f"give a problem ({problem}) or -t, -p and -s, not both")
        shape, dtype = _shape(problem, scale, subject, test_fraction, dtype)
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
    chosen = dict(options)
    supports = strategies.get(strategy).supports
    if memory_limit is not None:
        if "memory_limit" not in supports:
            raise InputError(f"{strategy} cannot be given a memory limit: multitarget can")
        chosen["memory_limit"] = memory_limit
    if (no_coef or coef_file) and "coef" in supports:
        chosen["coef"] = None if no_coef else "coef.npy"
    plan = plan_fit(strategy, *shape, dtype, nodes=nodes, alphas=alphas, options=chosen)
    if not as_json:
        click.echo(describe_plan(strategy, *shape, dtype, nodes, plan))
        return
    t, p, s = shape
    values = {"strategy": strategy, "t": t, "p": p, "s": s, "dtype": dtype, "nodes": nodes}
    needed = fit_bytes(strategy, *shape, dtype, nodes, plan)
    steps = None if plan is None else asdict(plan)
    click.echo(json.dumps(values | {"memory_needed": needed, "plan": steps}, indent=1))


def _shape(
    problem: str, scale: float, subject: str, test_fraction: float, dtype: str
) -> tuple[tuple[int, int, int], str]:
    """Return (t, p, s) of the training samples, and the dtype, of a named problem or a folder."""
    import math
    from pathlib import Path

    from bench_core.data import Problem, names, shape
    from bench_core.errors import unknown

    size: Any
    if problem in names():
        size = shape(problem, scale=scale, subject=subject)
    elif Path(problem).is_dir() or "/" in problem:
        size = Problem.open(problem)
        dtype = str(size.dtype)
    else:
        raise unknown("problem", problem, names())
    return (size.t - math.ceil(size.t * test_fraction - 1e-9), size.p, size.s), dtype
