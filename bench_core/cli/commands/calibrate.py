"""Calibrate this machine: what kernels, memory, files and Dask take, for predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench_core.cli.display import print_facts, progress
from bench_core.cli.options import option

if TYPE_CHECKING:
    from bench_core.scaling.calibration import Calibration


@click.command()
@option("blas", "kernels", "scratch")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write  [default: .asv/calibration/BLAS.json].",
)
@click.option(
    "--from-records",
    is_flag=True,
    help="Measure nothing: fit the speeds to the recorded fits of --machine.",
)
@click.option("--machine", help="Machine whose recorded fits are taken.")
@option("results")
@click.option("--quick", is_flag=True, help="Time small sizes once: a first look, not to rely on.")
@option("json")
def command(
    blas: str | None,
    kernels: str,
    scratch: Path | None,
    out: Path | None,
    from_records: bool,
    machine: str | None,
    results: tuple[Path, ...],
    quick: bool,
    as_json: bool,
) -> None:
    """Time kernels, memory, files and Dask on this machine, or fit them to recorded fits.

    Takes under two minutes. `ridgebench advise` predicts from the file that is written.
    """
    from bench_core.records import codec
    from bench_core.scaling.calibration import CALIBRATIONS

    made: Calibration
    if from_records:
        from bench_core.advice.fitted import calibrate_from_records
        from bench_core.cli.collected import collected_runs

        made = calibrate_from_records(collected_runs(results), machine=machine, blas=blas)
    else:
        from bench_core.measure.calibrate import calibrate

        with progress() as bars:
            made = calibrate(
                blas=blas, kernels=kernels, scratch=scratch, quick=quick, progress=bars
            )
    path = out or CALIBRATIONS / f"{made.blas.name}.json"
    codec.write(made, path)
    if as_json:
        click.echo(codec.to_json(made))
    else:
        print_facts(f"Calibration of {made.machine.name or 'this machine'}", _rows(made, path))


def chosen_calibrations(names: Sequence[str]) -> list[Calibration]:
    """Return the calibrations of these files or names; of this folder's own if there are none.

    Raises `InputError` where there is none, and `UnknownNameError` for a name that is none.
    """
    from bench_core.errors import InputError
    from bench_core.scaling.calibration import CALIBRATIONS, SHIPPED, read_calibration

    chosen: list[str | Path] = list(names) or sorted(CALIBRATIONS.glob("*.json"))
    if not chosen:
        raise InputError(
            f"no calibration in {CALIBRATIONS}: run `ridgebench calibrate`, or take a shipped one "
            f"with --calibration {next(iter(SHIPPED))}"
        )
    return [read_calibration(one) for one in chosen]


def _rows(made: Calibration, path: Path) -> list[tuple[str, str]]:
    from bench_core.scaling.prediction import kernel_rate, memory_rate, task_seconds

    version = made.blas.version or "version unknown"
    rows = [("BLAS", f"{made.blas.name} {version}, kernels {made.blas.architecture or 'unknown'}")]
    counts = sorted({one.threads for one in made.kernels})
    for kernel in ("gemm", "syrk", "eigh", "svd"):
        rates = ", ".join(
            f"{kernel_rate(made, kernel, 'float64', count, 1024):.3g} on {count}"
            for count in counts
        )
        rows.append((f"{kernel}, Gflop/s by threads", rates))
    rows += [
        ("memory", f"{memory_rate(made, 'stream', 1):.3g} GB/s in use, {_cached(made)}"),
        ("new memory", f"{memory_rate(made, 'fresh', 1):.3g} GB/s"),
        ("files", f"{memory_rate(made, 'file', 1):.3g} GB/s"),
        ("between nodes", f"{made.network_gbytes_s:.3g} GB/s, {made.latency_s * 1e3:.3g} ms"),
        ("task", f"{task_seconds(made, 1) * 1e3:.3g} ms, handed out {made.message_s * 1e3:.3g} ms"),
        ("cluster start", f"{made.start_s:.3g} s, {made.start_node_s:.3g} s a further node"),
        ("fits of next to nothing", _overheads(made)),
        (
            "spread",
            f"{made.spread:.0%}: predictions of {made.checked} fits against their times",
        ),
        ("took", f"{made.seconds:.0f} s"),
        ("written", str(path)),
    ]
    return [*rows, *(("note", note) for note in made.notes)]


def _cached(made: Calibration) -> str:
    """Return the rate of small arrays, which caches hold."""
    from bench_core.scaling.prediction import memory_rate

    return f"{memory_rate(made, 'stream', 1, 2**18):.3g} GB/s in arrays of 256 KiB"


def _overheads(made: Calibration) -> str:
    """Return the times of fits whose arrays are tiny, by nodes × threads."""
    return ", ".join(
        f"{one.strategy} {one.nodes} × {one.threads} {one.seconds * 1e3:.3g} ms"
        for one in made.overheads
    )
