"""Options of `ridgebench bench --problem`, and what does not go with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from bench_core.cli.options import option
from bench_core.cli.parameters import Counts, Duration, Words

F = TypeVar("F", bound=Callable[..., Any])

_NAMES: tuple[str, ...] = (
    *("problem", "x", "y", "runs", "scale", "subject", "split", "strategies"),
    *("nodes", "threads", "blas", "dtype", "within"),
)


def own_options(function: F) -> F:
    """Add the options of a sweep of one's own problem to a command."""
    for decorate in reversed(
        (
            click.option(
                "--problem",
                metavar="PROBLEM",
                help="Sweep this problem instead of the suites: a problem folder or a name.",
            ),
            click.option("--x", metavar="FILE", help="Features: X.npy or FILE.h5:DATASET."),
            click.option("--y", metavar="FILE", help="Targets: Y.npy or FILE.h5:DATASET."),
            click.option("--runs", metavar="FILE", help="Run of every sample: .npy or text."),
            option("scale", "subject", "split"),
            option("strategies"),
            option(
                "nodes",
                type=Counts(),
                metavar="N,N,…",
                default=None,
                show_default=False,
                help="Of --problem: worker processes  [default: 1, 2, 4 … cores].",
            ),
            option(
                "threads",
                type=Counts(),
                metavar="N,N,…",
                help="Of --problem: BLAS threads of each node  [default: 1, 2, 4 … cores].",
            ),
            option(
                "blas",
                type=Words(),
                metavar="NAME,…",
                help="Of --problem: libraries, each in an environment  [default: openblas,mkl].",
            ),
            option(
                "dtype",
                type=Words(),
                metavar="NAME,…",
                default=None,
                show_default=False,
                help="Of --problem: float64, float32 or both  [default: the data's own].",
            ),
            click.option(
                "--within",
                type=Duration(),
                metavar="TIME",
                help="Of --problem: time for all of it, such as 90s, 30min or 2h  [default: none].",
            ),
        )
    ):
        function = decorate(function)
    return function


def take_own(values: dict[str, Any]) -> dict[str, Any]:
    """Take the options of `own_options` out of a command's values and return them.

    Raises `UsageError` for any of them without a problem.
    """
    taken = {name: values.pop(name) for name in _NAMES}
    if taken["problem"] is None and taken["x"] is None and taken["y"] is None:
        defaults = {"scale": 1.0, "subject": "sub-01", "split": "auto", "strategies": ()}
        given = [name for name, value in taken.items() if value not in (None, defaults.get(name))]
        if given:
            raise click.UsageError(f"--{given[0]} goes with --problem, or with --x and --y")
        return {}
    return taken


def refuse_others(ctx: click.Context, *names: str) -> None:
    """Raise `UsageError` for an option of the suites that was given with a problem."""
    from click.core import ParameterSource

    for parameter in ctx.command.params:
        given = ctx.get_parameter_source(str(parameter.name)) == ParameterSource.COMMANDLINE
        if parameter.name in names and given and ctx.params[parameter.name] not in ((), None):
            words = parameter.opts[0] if parameter.opts[0].startswith("-") else "asv's arguments"
            raise click.UsageError(f"{words}: of the suites, not of --problem; leave it out")
