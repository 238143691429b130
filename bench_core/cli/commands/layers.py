"""Compare the layers of an encoder: r of each, and the layer that every target prefers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from bench_core.cli.display import print_table, progress
from bench_core.cli.option_values import named_values
from bench_core.cli.options import option
from bench_core.errors import RidgebenchError, install_command, readable_bytes

if TYPE_CHECKING:
    from bench_core.brain.settings import ProblemSettings
    from bench_core.study.layers import LayerComparison

KEPT = "Features encoded so far are in the store; nothing else is kept."


@click.command("layers")
@click.argument("config", metavar="CONFIG", type=click.Path(path_type=Path))
@click.argument("videos", nargs=-1, type=click.Path(path_type=Path))
@click.option("--layer", "layers", multiple=True, help="Layer; repeat for several.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to create.")
@click.option("--encoder", "encoder_name", help="Encoder.")
@click.option(
    "--weights",
    help="File of weights, or 'fetch' for the published ones. Without: random, untrained.",
)
@option("option", help="Option of the encoder, such as size=64 or preset=tiny; repeat for several.")
@click.option(
    "--reduce",
    "reducers",
    default="none",
    show_default=True,
    help="Reducers, in order: none, pool, project=COUNT, pca=COUNT.",
)
@click.option(
    "--fit", "strategy", default="multitarget", show_default=True, help="Strategy to fit with."
)
@click.option(
    "--hold-out",
    "test_runs",
    multiple=True,
    help="Run to hold out, with * and ?; repeat for several.  [default: --test-fraction]",
)
@option("test-fraction")
@option("threads", "alphas")
@click.option(
    "--regions", metavar="ATLAS", type=click.Path(path_type=Path), help="Average r over its labels."
)
@click.option(
    "--least-r", default=0.1, show_default=True, help="r below which no layer is preferred."
)
@option("figures", "scratch")
def command(
    config: Path,
    videos: Sequence[Path],
    layers: Sequence[str],
    out: Path,
    encoder_name: str | None,
    weights: str | None,
    options: tuple[tuple[str, Any], ...],
    reducers: str,
    strategy: str,
    test_runs: Sequence[str],
    test_fraction: float,
    threads: int | None,
    alphas: tuple[float, ...] | None,
    regions: Path | None,
    least_r: float,
    figures: bool,
    scratch: Path | None,
) -> None:
    """Fit every --layer of CONFIG's features and compare them; docs/layers.md.

    CONFIG is that of `problem build`, with features in a store. What VIDEOS lack there is encoded
    first, all layers in one pass over each film.
    """
    _needs()
    from bench_core.brain.settings import ProblemSettings
    from bench_core.data import THESIS_ALPHAS
    from bench_core.disk import check_writable
    from bench_core.errors import InputError
    from bench_core.runner.problem_cache import prepare_scratch
    from bench_core.study.layers import LayersRequest, compare_layers, write_comparison
    from bench_core.study.settings import FitSettings

    if out.exists():
        raise InputError(f"{out} exists already: choose another folder or remove it")
    check_writable(out.absolute().parent)
    settings = ProblemSettings.read(config)
    fit = FitSettings(
        strategy=strategy,
        threads=threads,
        alphas=alphas or THESIS_ALPHAS,
        test_fraction=test_fraction,
        test_runs=tuple(test_runs),
    )
    seconds = None
    with progress() as bars:
        if videos:
            began = perf_counter()
            name = encoder_name or settings.features.encoder
            if name is None:
                raise click.UsageError("VIDEOS need --encoder, or features.encoder in CONFIG")
            _encode(settings, videos, name, layers, weights, named_values(options), reducers, bars)
            seconds = perf_counter() - began
        request = LayersRequest(config, layers, fit, least_r, regions, seconds)
        found = compare_layers(request, scratch=prepare_scratch(scratch, bars), progress=bars)
    files = write_comparison(found, out, figures=figures)
    _show(found)
    click.echo(f"{out}: {', '.join(files)}")


def _needs() -> None:
    from importlib.util import find_spec

    absent = [name for name in ("av", "h5py", "nilearn") if find_spec(name) is None]
    if absent:
        raise RidgebenchError(
            f"layers needs {', '.join(absent)}: {install_command('brain,encoders')}"
        )


def _encode(
    settings: ProblemSettings,
    videos: Sequence[Path],
    name: str,
    layers: Sequence[str],
    weights: str | None,
    options: dict[str, Any],
    reducers: str,
    bars: Any,
) -> None:
    """Encode what the store lacks of the videos, all layers in one pass."""
    from bench_core.brain.stored_features import StoreSettings
    from bench_core.errors import InputError
    from encoders.encode import encode
    from encoders.reducers import parse
    from encoders.registry import make
    from encoders.store import FeatureStore

    if not isinstance(settings.features, StoreSettings):
        raise InputError('VIDEOS are encoded into a store: give [features] source = "store"')
    if not layers:
        raise click.UsageError("VIDEOS need --layer, twice or more")
    tr = settings.samples.tr
    encoder = make(name, weights, offered={"tr": tr}, **options)
    runs = {video.stem: video for video in videos}
    store = FeatureStore(settings.features.folder)
    encode(runs, encoder, layers, store, reducers=parse(reducers), tr=tr, progress=bars.each)


def _show(found: LayerComparison) -> None:
    columns = ("layer", "p", "r mean", "r 95 %", "r max", "preferred by", "features", "fit", "peak")
    rows = [
        (
            row["layer"],
            f"{row['p']:,}",
            *(
                "" if row[f"r_{name}"] is None else f"{row[f'r_{name}']:.3f}"
                for name in ("mean", "p95", "max")
            ),
            f"{row['preferred_by']:,}",
            readable_bytes(row["stored_bytes"]),
            "" if row["fit_s"] is None else f"{row['fit_s']:.2f} s",
            "" if row["peak_bytes"] is None else readable_bytes(row["peak_bytes"]),
        )
        for row in found.rows()
    ]
    print_table(f"{found.name}: layers", columns, rows, words=("layer",))
