"""Extract features of videos with an encoder, into a store that computes nothing twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench_core.cli.display import print_table, progress, say
from bench_core.cli.option_values import named_values
from bench_core.cli.options import option
from bench_core.errors import InputError, RidgebenchError, counted, install_command

if TYPE_CHECKING:
    from encoders.encode import Encoded
    from encoders.protocol import Encoder


KEPT = "Rows computed so far are in the store; the same command goes on from there."


@click.command("encode")
@click.argument("videos", nargs=-1, type=click.Path(path_type=Path))
@click.option("--encoder", "encoder_name", default="vgg16", show_default=True, help="Encoder.")
@click.option(
    "--layer",
    "layers",
    multiple=True,
    help="Layer; repeat for several.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the feature store.")
@click.option(
    "--weights",
    help="File of weights, or 'fetch' for the published ones. Without: random, untrained.",
)
@option("seed")
@click.option("--tr", type=float, default=None, help="Seconds per sample.  [default: 1.49]")
@click.option(
    "--phase", default=0.0, show_default=True, help="Seconds after a TR's onset to take its frame."
)
@option("clock")
@click.option(
    "--reduce",
    "reducers",
    default="none",
    show_default=True,
    help="Reducers, in order: none, pool, project=COUNT, pca=COUNT.",
)
@click.option("--train", multiple=True, help="Run that pca is fitted on (a video's name); repeat.")
@option(
    "dtype",
    type=click.Choice(["float32", "float16"]),
    default="float32",
    help="Precision of the stored features.",
)
@click.option("--batch", default=16, show_default=True, help="Samples at a time.")
@option("device")
@option("option", help="Option of the encoder, such as size=64 or preset=tiny; repeat for several.")
@click.option("--list", "listing", is_flag=True, help="List encoders, and --encoder's layers.")
def command(
    videos: Sequence[Path],
    encoder_name: str,
    layers: Sequence[str],
    out: Path | None,
    weights: str | None,
    seed: int,
    tr: float | None,
    phase: float,
    clock: str,
    reducers: str,
    train: Sequence[str],
    dtype: str,
    batch: int,
    device: str,
    options: tuple[tuple[str, Any], ...],
    listing: bool,
) -> None:
    """Store the features of VIDEOS, one row for every TR.

    A video's name without its suffix is the name of its run. Without --layer it is the encoder's
    own default, which --list names. What is in the store already is not computed again; what was
    interrupted goes on where it stopped. A film that cannot be encoded does not end the others;
    the exit status is then 2.
    """
    _needs()
    from encoders.alignment import THESIS_TR
    from encoders.registry import default_layer, make

    if device != "cpu":  # before weights are fetched
        from encoders.devices import checked_device

        checked_device(device)

    # What the constructor of an encoder takes too is passed on to it.
    own: dict[str, Any] = {
        "tr": THESIS_TR if tr is None else tr,
        "phase": phase,
        "dtype": dtype,
        "batch": batch,
    }
    further = _encoder_options(options, taken=(*own, "seed", "device", "weights"))
    make_encoder = partial(
        make, encoder_name, weights, offered=own, seed=seed, device=device, **further
    )
    if listing:
        _list(make_encoder if _given("encoder_name") or weights is not None else None)
        return
    if not videos or out is None:
        raise click.UsageError("give one or more VIDEOs and --out DIR, or --list")
    runs = _runs(videos)

    from bench_core.disk import check_writable
    from encoders.encode import encode
    from encoders.reducers import parse
    from encoders.store import FeatureStore

    stages = parse(reducers)
    store = FeatureStore(out)
    check_writable(out)
    encoder = make_encoder()
    _announce(encoder)
    if not layers:
        layers = [default_layer(encoder)]
        click.echo(f"{encoder.name}: layer {layers[0]}, its default", err=True)
    refused: dict[str, str] = {}
    with progress() as bars:
        encoded = encode(
            runs,
            encoder,
            layers,
            store,
            progress=bars.each,
            reducers=stages,
            training=train,
            clock=clock,
            on_refused=lambda run, error: refused.update({run: str(error)}),
            **own,
        )
    _report(encoded, encoder)
    for run, reason in refused.items():
        say(f"{run}: refused: {reason}", "red", err=True)
    if refused:
        films = counted(len(runs), "film")
        raise RidgebenchError(f"{len(refused)} of {films} refused; the others are stored")


def _encoder_options(pairs: tuple[tuple[str, Any], ...], taken: Sequence[str]) -> dict[str, Any]:
    """Return the encoder's own options; raise `UsageError` for one that has a flag of its own."""
    found = named_values(pairs)
    for name in found:
        if name in taken:
            raise click.UsageError(f"--option {name} is --{name}: give that")
    return found


def _needs() -> None:
    """Say which extra to install when a package is absent, rather than fail on its import.

    Encoders with a network need more, and say so (`encoders.registry.make`).
    """
    from importlib.util import find_spec

    absent = [name for name in ("av", "h5py") if find_spec(name) is None]
    if absent:
        raise RidgebenchError(f"encode needs {', '.join(absent)}: {install_command('encoders')}")


def _given(parameter: str) -> bool:
    source = click.get_current_context().get_parameter_source(parameter)
    return source is not click.core.ParameterSource.DEFAULT


def _runs(videos: Sequence[Path]) -> dict[str, Path]:
    runs: dict[str, Path] = {}
    for video in videos:
        if video.stem in runs:
            raise InputError(
                f"{runs[video.stem]} and {video} would both be run {video.stem!r}: rename one"
            )
        runs[video.stem] = video
    return runs


def _list(make_encoder: Callable[[], Encoder] | None) -> None:
    from encoders.registry import default_layer, factory_of, option_names, summaries

    if make_encoder is None:
        columns = ("encoder", "what it is")
        print_table("", columns, list(summaries().items()), words=columns)
        say("Layers: ridgebench encode --list --encoder NAME")
        return
    encoder = make_encoder()
    spec = encoder.input_spec
    say(f"{encoder.name}: {encoder.summary}")
    say(
        f"input: {spec.kind} of {spec.size[0]} x {spec.size[1]} pixels"
        + (f", {spec.frames} frames at {spec.frame_rate:g}/s" if spec.frame_rate else "")
    )
    say(f"preprocessing: {encoder.preprocessing}")
    known = option_names(factory_of(encoder.name)) or []
    own = [name for name in known if name not in ("seed", "device", "progress", "tr")]
    if own:
        say(f"options (--option NAME=VALUE): {', '.join(own)}")
    say(f"default layer: {default_layer(encoder)}")
    for layer in encoder.layers():
        say(f"  {layer}")


def _announce(encoder: Encoder) -> None:
    click.echo(f"{encoder.name}: weights {encoder.weights}", err=True)
    if not encoder.weights.trained:
        click.secho(
            "These features are of an UNTRAINED network. Give --weights FILE or --weights fetch.",
            fg="yellow",
            err=True,
        )


def _report(encoded: Sequence[Encoded], encoder: Encoder) -> None:
    for run, film in {each.features.run: each.film for each in encoded}.items():
        for note in film.notes():
            click.echo(f"{run}: {note}", err=True)
    for each in encoded:
        n, q = each.features.shape
        what = f"{n} TRs x {q} features"
        how = f"{each.computed} computed" if each.computed else "stored before"
        how += f" as {each.known_as}" if each.known_as else ""
        mark = "" if encoder.weights.trained else ", untrained"
        click.echo(f"{each.features.path}: {what}, {how}{mark}")
