"""Validate a calibration: its predictions beside recorded fits that it was not made from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench_core.cli.display import print_facts, print_table, say
from bench_core.cli.options import option

if TYPE_CHECKING:
    from bench_core.advice.recorded import RecordedFit
    from bench_core.records.model import ModelRecord, PredictedCurve, PredictionErrors
    from bench_core.scaling.calibration import Calibration

_WORST = 8
"""Fits that are shown, those with the largest errors."""


@click.command()
@option("calibration", "results")
@click.option("--machine", help="Machine whose recorded fits are compared  [default: all].")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of results to write to  [default: the first that is read].",
)
@option("all")
@option("json")
def command(
    calibrations: tuple[str, ...],
    results: tuple[Path, ...],
    machine: str | None,
    out: Path | None,
    show_all: bool,
    as_json: bool,
) -> None:
    """Predict recorded fits with a measured calibration and say how far off it is.

    Nothing is measured. Valid fits of the calibration's BLAS and kernels are compared, and A/A
    pairs (`ridgebench bench --aa`) whose case has a record. What was compared is kept in
    FOLDER/MACHINE/BLAS.model.jsonl; the page of `ridgebench report` shows it.
    """
    from bench_core.advice.recorded import paired_fits, recorded_fits
    from bench_core.advice.validation import validate
    from bench_core.cli.collected import collected_runs
    from bench_core.cli.commands.calibrate import chosen_calibrations
    from bench_core.errors import InputError
    from bench_core.records import codec
    from bench_core.records.model import write_model
    from bench_core.report.site import find_project

    found = chosen_calibrations(calibrations)
    runs = collected_runs(results)
    fits = [*recorded_fits(runs), *paired_fits(runs)]
    machines = sorted({one.machine for one in fits})
    if machine is not None and machine not in machines:
        raise InputError(f"no recorded fits of machine {machine!r}: there are {machines}")
    folder = out or (results[0] if results else find_project(Path.cwd()).results)
    made = []
    for calibration in found:
        for name in [machine] if machine is not None else machines:
            own = [one for one in fits if one.machine == name]
            if machine is None and not _of_blas(own, calibration):
                continue
            made.append(
                validate(calibration, own, machine=name, curves=predicted_curves(calibration))
            )
    if not made:
        raise InputError("no recorded fit is of a calibrated BLAS: name the machine (--machine)")
    for one in made:
        path = write_model(one, folder)
        if as_json:
            click.echo(codec.to_json(one))
        else:
            _show(one, path, show_all)


def _of_blas(fits: list[RecordedFit], calibration: Calibration) -> bool:
    return any(one.blas == calibration.blas.name for one in fits)


def predicted_curves(calibration: Calibration) -> tuple[PredictedCurve, ...]:
    """Return predictions of the thesis's whole brain on up to 1,024 nodes like this machine."""
    from bench_core.advice.candidates import ProblemSize
    from bench_core.advice.curve import STRATEGIES, scaling_curve
    from bench_core.advice.validation import predicted_curve
    from bench_core.scaling.thesis import thesis_shape

    shape = thesis_shape("whole-brain-bmor")
    size = ProblemSize(shape.t, shape.p, shape.s)
    return tuple(
        predicted_curve(
            scaling_curve(name, size, calibration, calibration.machine.cores),
            (size.t, size.p, size.s),
        )
        for name in STRATEGIES
    )


def _show(made: ModelRecord, path: Path, show_all: bool) -> None:
    within, choices = made.within
    used = made.calibration
    rows = [
        ("calibration", f"{used.blas}, {used.started or used.source}, took {used.seconds:.0f} s"),
        ("all fits", _errors(made.all_fits)),
        ("fits from 0.1 s", _errors(made.long_fits)),
        ("choices", f"{within} of {choices} within 10 % of the best measured way"),
        *(("left out", text) for text in made.left_out),
        *(("note", text) for text in used.notes),
        ("written", str(path)),
    ]
    print_facts(f"Predictions for {made.machine}, {made.blas}", rows)
    worst = sorted(made.fits, key=lambda one: -abs(one.error))
    print_table(
        "Largest errors",
        (
            "problem",
            "strategy",
            "form",
            "precision",
            "nodes × threads",
            "measured",
            "predicted",
            "error",
        ),
        [
            (
                one.problem,
                " ".join([one.strategy, *(f"{k}={v}" for k, v in one.options.items())]),
                one.form,
                one.dtype,
                f"{one.nodes} × {one.threads}",
                f"{one.measured_s:.4g} s",
                f"{one.predicted_s:.4g} s",
                f"{one.error:+.0%}",
            )
            for one in (worst if show_all else worst[:_WORST])
        ],
        words=("problem", "strategy", "form", "precision"),
    )
    for choice in made.chosen:
        if choice.excess > 0:
            slower = f"{choice.excess:.0%} slower than {choice.best}"
            say(f"{choice.problem}: {choice.chosen} is {slower}")


def _errors(found: PredictionErrors) -> str:
    return (
        f"{found.fits}: median error {found.median:.1%}, 95th percentile {found.p95:.1%}, "
        f"largest {found.worst:.1%}"
    )
