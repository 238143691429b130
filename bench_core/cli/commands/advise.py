"""Advise on a problem: predicted time and memory of every way to fit it, and the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench_core.cli.display import duration, print_table, say
from bench_core.cli.option_values import listed_words
from bench_core.cli.options import PENALTY_OPTIONS, option
from bench_core.cli.parameters import Bytes

if TYPE_CHECKING:
    from bench_core.advice import Advice, Curve, Predicted

_ROWS = 14
"""Ways that the table shows: it has to fit a screen."""


@click.command()
@click.argument("problem", required=False)
@click.option("--problem", "named", hidden=True)
@option("scale", "subject")
@click.option("-t", "--t", "--samples", "t", type=click.IntRange(min=2), help="Training samples.")
@click.option("-p", "--p", "--features", "p", type=click.IntRange(min=1), help="Features.")
@click.option("-s", "--s", "--targets", "s", type=click.IntRange(min=1), help="Targets.")
@option(*(name for name in PENALTY_OPTIONS if name != "spaces"))
@option("test-fraction")
@option(
    "nodes",
    default=None,
    show_default=False,
    help="Most worker processes  [default: the calibration's].",
)
@option("threads", help="Most threads of one machine  [default: the calibration's cores].")
@click.option(
    "--machines",
    type=click.IntRange(min=1),
    help="Machines that nodes are spread over  [default: the calibration's].",
)
@click.option("--memory", type=Bytes(), help="Memory of one machine  [default: the calibration's].")
@option("calibration")
@option("strategies")
@option("results")
@click.option("--curve", is_flag=True, help="Predict over nodes, to 1,024, and where it ends.")
@option("all")
@option("json")
def command(
    problem: str | None,
    named: str | None,
    scale: float,
    subject: str,
    t: int | None,
    p: int | None,
    s: int | None,
    test_fraction: float,
    nodes: int | None,
    threads: int | None,
    machines: int | None,
    memory: int | None,
    calibrations: tuple[str, ...],
    strategies: tuple[tuple[str, ...], ...],
    results: tuple[Path, ...],
    curve: bool,
    show_all: bool,
    as_json: bool,
    **penalty: Any,
) -> None:
    """Predict every way to fit PROBLEM (a name or a folder), or --t × --p to --t × --s.

    Strategies that cannot choose penalties as is asked are named, with the reason.

    Nothing is measured: times come from a calibration (`ridgebench calibrate`). The recommended way
    is the fastest that fits in memory and gives RidgeCV's answer. The exit status is 1 where
    nothing fits.
    """
    import json

    from bench_core.advice import Limits, advise, scaling_curve
    from bench_core.advice.advise import as_dict
    from bench_core.advice.candidates import ProblemSize
    from bench_core.advice.curve import STRATEGIES
    from bench_core.advice.curve import as_dict as curve_dict
    from bench_core.cli.commands.calibrate import chosen_calibrations
    from bench_core.runner.penalty_request import PenaltyRequest

    names = listed_words(strategies)
    sizes, data = _size(problem or named, scale, subject, (t, p, s), test_fraction)
    size = ProblemSize(*sizes, PenaltyRequest(**penalty))
    found = chosen_calibrations(calibrations)
    first = found[0].machine
    limits = Limits(
        nodes=nodes or (first.nodes if first.nodes > 1 else first.cores),
        threads=threads or first.cores,
        memory_bytes=memory or first.memory_bytes,
        machines=machines or first.nodes,
    )
    if curve:
        unable = {name: size.penalty.unable(name, size.t) for name in names or STRATEGIES}
        for name, reason in unable.items():
            if reason is not None:
                say(f"not predicted: {name}: {reason}", err=as_json)
        curves = [
            scaling_curve(name, size, one, limits.threads)
            for one in found
            for name, reason in unable.items()
            if reason is None
        ]
        if as_json:
            click.echo(json.dumps([curve_dict(one) for one in curves], indent=1))
        else:
            _show_curves(curves)
        return
    advice = advise(size, found, limits, names=names or None, data=data)
    advice = replace(advice, predicted=tuple(_with_measured(advice.predicted, size, results)))
    if as_json:
        click.echo(json.dumps(as_dict(advice), indent=1))
    else:
        _show(advice, show_all)
    raise SystemExit(0 if advice.best is not None else 1)


def _size(
    problem: str | None,
    scale: float,
    subject: str,
    given: tuple[int | None, int | None, int | None],
    test_fraction: float,
) -> tuple[tuple[int, int, int], str]:
    """Return the sizes of the training part, and the command line's words for the data."""
    from bench_core.cli.commands.plan import problem_shape
    from bench_core.errors import InputError

    if problem is not None:
        if any(given):
            raise InputError(f"give a problem ({problem}) or --t, --p and --s, not both")
        size, *_ = problem_shape(problem, scale, subject, test_fraction, "float64")
        words = problem if scale == 1 else f"{problem} --scale {scale:g}"
        return size, words
    absent = [name for name, value in zip("tps", given, strict=True) if value is None]
    if absent:
        raise InputError(f"give a problem, or --t, --p and --s: --{absent[0]} is missing")
    t, p, s = (int(value or 0) for value in given)
    return (t, p, s), "--x X.npy --y Y.npy"


def _with_measured(
    predicted: Sequence[Predicted], size: Any, results: tuple[Path, ...]
) -> list[Predicted]:
    """Return the predictions with what was measured of the same problem."""
    from bench_core.advice.recorded import measured_beside, recorded_fits
    from bench_core.cli.collected import collected_runs
    from bench_core.errors import RidgebenchError

    try:
        fits = list(recorded_fits(collected_runs(results)))
    except RidgebenchError:
        if results:
            raise
        return list(predicted)  # no project here, or nothing collected in it
    found = []
    for one in predicted:
        way = one.candidate
        assert way.cost is not None
        measured = measured_beside(
            fits,
            size=(size.t, size.p, size.s),
            strategy=way.strategy,
            form=way.cost.form,
            dtype=way.dtype,
            blas=one.blas,
            nodes=way.nodes,
            threads=way.threads,
            options=way.options,
            alphas=size.penalty.alphas,
        )
        found.append(replace(one, measured=measured))
    return found


def _show(advice: Advice, show_all: bool) -> None:
    from bench_core.errors import counted, readable_bytes

    shown = list(advice.predicted)
    if not show_all:
        kept: dict[tuple[str, str, str, str], Predicted] = {}
        for one in shown:  # best first
            way = one.candidate
            form = way.cost.form if way.cost is not None else ""
            kept.setdefault((way.strategy, form, way.dtype, one.blas), one)
        shown = list(kept.values())[:_ROWS]
        shown += [one for one in advice.predicted if one.measured and one not in shown]
    size = advice.size
    print_table(
        f"{counted(size.t, 'training sample')} × {counted(size.p, 'feature')} × "
        f"{counted(size.s, 'target')}: predicted, with a 95 % interval",
        (
            "strategy",
            "form",
            "precision",
            "BLAS",
            "nodes × threads",
            "time",
            "interval",
            "speed-up",
            "memory",
            "measured",
        ),
        [_row(one) for one in shown],
        words=("strategy", "form", "precision", "BLAS", "memory", "measured"),
    )
    if any(not one.same_answer for one in shown):
        say("* chooses penalties in another way than RidgeCV, and is not recommended")
    if left := len(advice.predicted) - len(shown):
        say(f"{counted(left, 'way')} more: --all shows them")
    for name, reason in advice.refused:
        say(f"not predicted: {name}: {reason}")
    short = [one for one in advice.predicted if not one.fits]
    if short:
        say(
            f"{len(short)} of {len(advice.predicted)} ways do not fit in "
            f"{readable_bytes(advice.limits.memory_bytes)} of memory"
        )
    say(advice.reason, "bold")
    if advice.command is not None:
        say(f"  {advice.command}")


def _row(one: Predicted) -> tuple[str, ...]:
    from bench_core.errors import readable_bytes

    way, found = one.candidate, one.prediction
    memory = readable_bytes(one.memory_bytes)
    if not one.fits:
        memory += f", {readable_bytes(one.excess_bytes)} too much"
    start = f" + {found.start_s:.2g} s start" if found.start_s else ""
    return (
        way.strategy + ("" if one.same_answer else " *"),
        way.cost.form if way.cost is not None else "",
        way.dtype,
        one.blas,
        f"{way.nodes} × {way.threads}",
        f"{_time(found.seconds)}{start}",
        f"{_time(found.low)} – {_time(found.high)}",
        f"{one.speed_up:.3g}×",
        memory,
        ", ".join(f"{_time(seconds)} ({machine})" for machine, seconds in one.measured),
    )


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else duration(seconds)


def _show_curves(curves: Sequence[Curve]) -> None:
    from bench_core.errors import readable_bytes

    for one in curves:
        print_table(
            f"{one.strategy}, {one.dtype}, {one.threads} threads a node: predicted",
            ("nodes", "time", "longest phase", "its part", "memory of a machine"),
            [
                (
                    str(point.nodes),
                    _time(point.seconds),
                    point.phase,
                    f"{point.share:.0%}",
                    readable_bytes(point.memory_bytes),
                )
                for point in one.points
            ],
            words=("longest phase",),
        )
        say(one.reason, "bold")
