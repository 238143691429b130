"""Options of `ridgebench bench --problem`, and what does not go with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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


def take_own(ctx: click.Context, values: dict[str, Any]) -> dict[str, Any]:
    """Take the options of `own_options` out of a command's values and return them.

    Raises `UsageError` for any of them without a problem.
    """
    taken = {name: values.pop(name) for name in _NAMES}
    if taken["problem"] is None and taken["x"] is None and taken["y"] is None:
        for one in _given(ctx, _NAMES):
            raise click.UsageError(f"{one.opts[0]} goes with --problem, or with --x and --y")
        return {}
    return taken


def refuse_others(ctx: click.Context, *names: str) -> None:
    """Raise `UsageError` for an option of the suites that was given with a problem."""
    for one in _given(ctx, names):
        words = one.opts[0] if one.opts[0].startswith("-") else "asv's arguments"
        raise click.UsageError(f"{words}: of the suites, not of --problem; leave it out")


def _given(ctx: click.Context, names: Sequence[str]) -> Iterator[click.Parameter]:
    """Yield the parameters of these names that the command line has values for."""
    from click.core import ParameterSource

    for one in ctx.command.params:
        named = ctx.get_parameter_source(str(one.name)) == ParameterSource.COMMANDLINE
        if one.name in names and named and ctx.params[one.name] not in ((), None):
            yield one
