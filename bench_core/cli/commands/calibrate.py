"""Calibrate this machine: what kernels, memory, files and Dask take, for predictions."""

from __future__ import annotations

from pathlib import Path

import click

from bench_core.cli.display import print_facts, progress
from bench_core.cli.options import option

FOLDER = Path(".asv", "calibration")


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
    from bench_core.scaling.calibration import Calibration

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
    path = out or FOLDER / f"{made.blas.name}.json"
    codec.write(made, path)
    if as_json:
        click.echo(codec.to_json(made))
    else:
        print_facts(f"Calibration of {made.machine.name or 'this machine'}", _rows(made, path))


def _rows(made: object, path: Path) -> list[tuple[str, str]]:
    from bench_core.scaling.calibration import Calibration
    from bench_core.scaling.prediction import kernel_rate, memory_rate, task_seconds

    assert isinstance(made, Calibration)
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
        ("memory", f"{memory_rate(made, 'stream', 1):.3g} GB/s in use"),
        ("new memory", f"{memory_rate(made, 'fresh', 1):.3g} GB/s"),
        ("files", f"{memory_rate(made, 'file', 1):.3g} GB/s"),
        ("between nodes", f"{made.network_gbytes_s:.3g} GB/s, {made.latency_s * 1e3:.3g} ms"),
        ("task", f"{task_seconds(made, 1) * 1e3:.3g} ms, handed out {made.message_s * 1e3:.3g} ms"),
        ("cluster start", f"{made.start_s:.3g} s, {made.start_node_s:.3g} s a further node"),
        (
            "spread",
            f"{made.spread:.0%}: predictions of {made.checked} fits against their times",
        ),
        ("took", f"{made.seconds:.0f} s"),
        ("written", str(path)),
    ]
    return [*rows, *(("note", note) for note in made.notes)]
