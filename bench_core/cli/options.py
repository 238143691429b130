"""Options that several commands take: one name, one type, one help text, one default each.

A command applies `option` with the names it takes. What differs for a reason is given as a keyword
there, and listed in ``tests/cli/test_option_table.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bench_core.cli.parameters import (
    Bytes,
    ClusterChoice,
    Folds,
    Numbers,
    Option,
    Scale,
    Spaces,
    Words,
)
from bench_core.processes import keep_stdout_clean

F = TypeVar("F", bound=Callable[..., Any])

_FOLDER = click.Path(file_okay=False, path_type=Path)


def _json_alone(ctx: click.Context, parameter: click.Parameter, value: bool) -> bool:
    """Keep what libraries print, such as oneMKL with MKL_VERBOSE, out of the JSON."""
    if value:
        keep_stdout_clean()
    return value


COMMON: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "scale": (
        ("--scale",),
        {
            "type": Scale(),
            "default": 1.0,
            "help": "Fraction of a named problem's size, such as 1/16 or 0.25  [default: 1].",
        },
    ),
    "subject": (
        ("--subject",),
        {"default": "sub-01", "show_default": True, "help": "Subject: sub-01 … sub-06."},
    ),
    "dtype": (
        ("--dtype",),
        {
            "type": click.Choice(["float64", "float32"]),
            "default": "float64",
            "show_default": True,
            "help": "Precision of a named problem; folders and files keep their own.",
        },
    ),
    "split": (
        ("--split",),
        {
            "type": click.Choice(["auto", "random", "run"]),
            "default": "auto",
            "show_default": True,
            "help": "Hold out samples at random, or whole runs; auto: by run where there are "
            "enough runs.",
        },
    ),
    "all": (
        ("--all", "show_all"),
        {"is_flag": True, "help": "Show every row, also on a small screen."},
    ),
    "error-rate": (
        ("--error-rate",),
        {
            "type": click.FloatRange(0, 1, min_open=True, max_open=True),
            "default": 0.05,
            "show_default": True,
            "help": "False-discovery rate to hold.",
        },
    ),
    "seed": (
        ("--seed",),
        {
            "type": click.IntRange(min=0),
            "default": 0,
            "show_default": True,
            "help": "Seed of everything that is random.",
        },
    ),
    "strategies": (
        ("--strategies",),
        {
            "type": Words(),
            "multiple": True,
            "metavar": "STRATEGY,…",
            "help": "Strategies, separated by commas or repeated  [default: all whose cost is "
            "known].",
        },
    ),
    "nodes": (
        ("--nodes",),
        {
            "type": click.IntRange(min=1),
            "default": 1,
            "show_default": True,
            "help": "Worker processes of a distributed strategy.",
        },
    ),
    "threads": (
        ("--threads",),
        {
            "type": click.IntRange(min=1),
            "help": "BLAS threads of each node  [default: all cores, divided by the nodes].",
        },
    ),
    "hardware-threads": (
        ("--hardware-threads",),
        {
            "is_flag": True,
            "help": "Let threads share physical cores, where there are more threads than cores.",
        },
    ),
    "cluster": (
        ("--cluster",),
        {
            "type": ClusterChoice(),
            "metavar": "FILE|local|tcp://…",
            "help": "Where the nodes are: a TOML file (docs/clusters.md), this machine, or a Dask "
            "scheduler that runs  [default: local].",
        },
    ),
    "allow-mixed": (
        ("--allow-mixed",),
        {
            "is_flag": True,
            "help": "Accept nodes that differ in processor, BLAS or versions, and record how.",
        },
    ),
    "kernels": (
        ("--kernels",),
        {
            "metavar": "default|best|NAME",
            "default": "default",
            "show_default": True,
            "help": "Kernels: the library's own choice, the best this processor can run, or NAME.",
        },
    ),
    "blas": (
        ("--blas",),
        {"help": "BLAS that must answer  [default: the one that RIDGEBENCH_BLAS declares]."},
    ),
    "alphas": (
        ("--alphas",),
        {
            "type": Numbers(),
            "metavar": "λ,λ,…|λ:λ:N",
            "help": "Candidate penalties, or FIRST:LAST:COUNT log-spaced ones, such as 1e-3:1e7:15"
            "  [default: the thesis's 11].",
        },
    ),
    "extend-alphas": (
        ("--extend-alphas",),
        {
            "type": click.IntRange(min=0),
            "is_flag": False,
            "flag_value": 6,
            "metavar": "[DECADES]",
            "help": "Let the grid of penalties grow by up to so many decades beyond its ends while "
            "the best is at its edge  [default: 0; 6 without a number].",
        },
    ),
    "alpha-per-target": (
        ("--alpha-per-target",),
        {"is_flag": True, "help": "Choose the best penalty of every target, not one for all."},
    ),
    "cv": (
        ("--cv",),
        {
            "type": Folds(),
            "metavar": "loo|gcv|K|run",
            "help": "Choose the penalty by leave-one-out (loo), generalised cross-validation "
            "(gcv), K contiguous folds, or folds by run  [default: the strategy's own].",
        },
    ),
    "scoring": (
        ("--scoring",),
        {
            "type": click.Choice(["neg_mean_squared_error", "r2", "pearson"]),
            "help": "Score that chooses the penalty  [default: neg_mean_squared_error for loo and "
            "gcv, r2 for folds].",
        },
    ),
    "spaces": (
        ("--spaces",),
        {
            "type": Spaces(),
            "metavar": "NAME=COUNT,…",
            "help": "Feature spaces, each with a penalty of its own: numbers of columns in their "
            "order, or NAME=FIRST:END  [default: those of the problem].",
        },
    ),
    "intercept": (
        ("--no-intercept",),
        {"is_flag": True, "help": "Fit without an intercept."},
    ),
    "option": (
        ("--option", "options"),
        {
            "type": Option(),
            "multiple": True,
            "help": "Further option of the strategy; repeat for several.",
        },
    ),
    "memory-limit": (
        ("--memory-limit",),
        {
            "type": Bytes(),
            "help": "Memory of the fit beyond X and Y, such as 8GB or 8GiB  [default: no limit].",
        },
    ),
    "no-coef": (
        ("--no-coef",),
        {
            "is_flag": True,
            "help": "Do not write coefficients (nor compute them, where the strategy allows).",
        },
    ),
    "test-fraction": (
        ("--test-fraction",),
        {
            "type": click.FloatRange(0, 1, min_open=True, max_open=True),
            "default": 0.1,
            "show_default": True,
            "help": "Fraction of the samples, or of the runs, to hold out.",
        },
    ),
    "scratch": (
        ("--scratch",),
        {
            "type": _FOLDER,
            "help": "Folder for temporary files  [default: RIDGEBENCH_SCRATCH, or the cache].",
        },
    ),
    "timeout": (
        ("--timeout",),
        {
            "type": click.FloatRange(min=0, min_open=True),
            "metavar": "SECONDS",
            "help": "Stop the fit after so many seconds  [default: never].",
        },
    ),
    "again": (
        ("--again",),
        {"is_flag": True, "help": "Measure again what a valid record is there of."},
    ),
    "figures": (
        ("--figures/--no-figures",),
        {"default": True, "show_default": True, "help": "Draw figures."},
    ),
    "json": (
        ("--json", "as_json"),
        {"is_flag": True, "help": "Print the result as JSON.", "callback": _json_alone},
    ),
    "markdown": (
        ("--markdown", "as_markdown"),
        {"is_flag": True, "help": "Print the result as Markdown, for a pull request."},
    ),
    "calibration": (
        ("--calibration", "calibrations"),
        {
            "multiple": True,
            "metavar": "FILE",
            "help": "Calibration, one for each BLAS; xeon-6130-mkl and xeon-6130-openblas are "
            "shipped  [default: all of .asv/calibration].",
        },
    ),
    "results": (
        ("--results",),
        {
            "type": click.Path(exists=True, file_okay=False, path_type=Path),
            "multiple": True,
            "help": "Folder of collected records; repeat for several  [default: the project's].",
        },
    ),
    "clock": (
        ("--clock",),
        {
            "type": click.Choice(["file", "picture"]),
            "default": "file",
            "show_default": True,
            "help": "Count times from the film's time 0, or from its first picture.",
        },
    ),
    "device": (
        ("--device",),
        {"default": "cpu", "show_default": True, "help": "Device: cpu, cuda, cuda:1, …"},
    ),
}


def option(*names: str, **changes: Any) -> Callable[[F], F]:
    """Return a decorator that adds the common options called ``names``, in this order.

    ``changes`` replace what the table says, of a single name.
    """
    if changes and len(names) != 1:
        raise ValueError(f"changes {sorted(changes)} need one name, not {names}")

    def decorate(function: F) -> F:
        for name in reversed(names):
            declarations, settings = COMMON[name]
            function = click.option(*declarations, **{**settings, **changes})(function)
        return function

    return decorate


PENALTY_OPTIONS = ("alphas", "extend-alphas", "alpha-per-target", "cv", "scoring", "spaces")
"""Options of how the penalty is chosen, in the order in which help shows them."""
