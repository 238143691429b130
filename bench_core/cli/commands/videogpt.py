"""Train VideoGPT on gameplay, look at what it learned, prepare clips from videos and recordings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench_core.cli.commands._videogpt import follow, told
from bench_core.cli.display import progress
from bench_core.cli.option_values import named_values
from bench_core.cli.options import option
from bench_core.cli.parameters import Option
from bench_core.errors import RidgebenchError, install_command

if TYPE_CHECKING:
    from encoders.videogpt.training.runs import Trained

_path = click.Path(path_type=Path)
_device = option("device", default="auto", help="Device: auto, cpu, cuda, cuda:1, …")
_run = click.option("--run", "run_name", help="Run of CLIPS.  [default: the first]")
_count = click.IntRange(min=1)
_above_zero = click.FloatRange(min=0, min_open=True)
_start = click.option(
    "--start",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="First frame of the clip.",
)
_rate = click.option(
    "--rate", type=_above_zero, default=10.0, show_default=True, help="Frames per second to show."
)

KEPT = (
    "A training's last checkpoint is kept, and the same command goes on from it; other"
    " outputs appear only when they are whole."
)


@click.group()
def command() -> None:
    """Train VideoGPT on gameplay, look at what it learned, prepare clips."""
    from importlib.util import find_spec

    absent = [name for name in ("av", "h5py", "torch") if find_spec(name) is None]
    if absent:
        raise RidgebenchError(f"videogpt needs {', '.join(absent)}: {install_command('videogpt')}")


@command.command()
@click.argument("sources", nargs=-1, required=True, type=_path)
@click.option("--out", required=True, type=_path, help="Folder of clips.")
@option("subject")
@click.option(
    "--side", type=_count, default=128, show_default=True, help="Pixels; 64 or 128 as published."
)
@click.option("--frame-rate", type=_above_zero, help="Frames per second to keep.  [default: all]")
@option("clock")
@click.option("--root", type=_path, help="Where events files' recordings are.  [default: beside]")
@click.option("--strict", is_flag=True, help="Refuse what is irregular instead of noting it.")
def prepare(
    sources: Sequence[Path],
    out: Path,
    subject: str,
    side: int,
    frame_rate: float | None,
    clock: str,
    root: Path | None,
    strict: bool,
) -> None:
    """Write videos, recordings (.bk2) or events files (.tsv) as runs of clips.

    An events file makes one run of all the recordings that it names, stretched to their durations
    in the scanner. Runs that are there already are left alone. What is irregular (rows without a
    recording, overlaps, durations that do not fit, late or turned pictures) is printed and kept.
    """
    from encoders.videogpt.clips.irregular import rows_without_recording
    from encoders.videogpt.clips.prepare import (
        Recording,
        prepare_recordings,
        prepare_video,
        recordings_of,
    )
    from encoders.videogpt.clips.store import ClipStore

    options: dict[str, Any] = {"subject": subject, "side": side, "frame_rate": frame_rate}
    options["strict"] = strict
    written: list[str] = []
    with progress() as bars:
        for done, source in enumerate(sources):
            name = source.stem.removesuffix("_events")
            bars(f"preparing {name}", done, len(sources))
            if (out / f"{name}.h5").is_file():
                click.echo(f"{name}: there already")
                continue
            if source.suffix == ".tsv":
                parts = recordings_of(source, root or source.parent)
                notes = rows_without_recording(source)
                prepare_recordings(out, name, parts, notes=notes, **options)
            elif source.suffix == ".bk2":
                prepare_recordings(out, name, [Recording(source)], **options)
            else:
                prepare_video(out, name, source, clock=clock, **options)
            written.append(name)
    store = ClipStore(out)
    for run in store.runs:
        if run.name in written:
            for note in run.notes:
                click.echo(f"{run.name}: {note}", err=True)
    click.echo(f"{out}: {store.frames} frames of {store.side} px in {len(store.runs)} runs")


@command.command()
@click.argument("phase", type=click.Choice(["vqvae", "gpt"]))
@click.argument("clips", type=_path)
@click.option("--out", required=True, type=_path, help="Folder of the run; continued if there.")
@click.option("--vqvae", type=_path, help="Checkpoint of the VQ-VAE, for the GPT.")
@click.option("--preset", "preset_name", default="tiny", show_default=True, help="Sizes.")
@click.option(
    "--set", "changes", type=Option(), multiple=True, help="Change a size; repeat for several."
)
@click.option("--steps", type=_count, default=1000, show_default=True, help="Steps in total.")
@option("option", help="Change a training setting; repeat for several.")
@click.option("--frames", type=_count, help="Train on so many frames.  [default: all]")
@click.option("--stride", type=_count, help="Frames between windows.  [default: a clip's length]")
@click.option("--teacher", type=_path, help="Trained GPT to distil: learn from it as well.")
@click.option(
    "--teacher-weight",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.5,
    show_default=True,
    help="How much the teacher counts; the codes count the rest.",
)
@click.option(
    "--teacher-temperature",
    type=_above_zero,
    default=2.0,
    show_default=True,
    help="Softens the teacher's and the student's probabilities.",
)
@click.option("--no-cache", is_flag=True, help="Encode frames anew at every step of the GPT.")
@_device
def train(
    phase: str,
    clips: Path,
    out: Path,
    vqvae: Path | None,
    preset_name: str,
    changes: tuple[tuple[str, Any], ...],
    steps: int,
    options: tuple[tuple[str, Any], ...],
    frames: int | None,
    stride: int | None,
    teacher: Path | None,
    teacher_weight: float,
    teacher_temperature: float,
    no_cache: bool,
    device: str,
) -> None:
    """Train the VQ-VAE or the GPT on CLIPS by the published recipe; several GPUs by torchrun.

    Precision is fp32 unless an option says otherwise. Options: batch_size, learning_rate, betas,
    schedule (constant, cosine), schedule_steps, clip_gradient, precision (fp32, bf16, fp16),
    compile, seed, checkpoint_every, tensorboard, parallel (ddp, fsdp, tensor).
    """
    from dataclasses import replace

    from encoders.videogpt import distributed
    from encoders.videogpt.checkpoint import load_gpt, load_vqvae
    from encoders.videogpt.clips.store import ClipStore
    from encoders.videogpt.clips.subsets import draw_subset
    from encoders.videogpt.config import preset
    from encoders.videogpt.training.distillation import Distillation
    from encoders.videogpt.training.launch import process_group
    from encoders.videogpt.training.runs import Data, train_gpt, train_vqvae
    from encoders.videogpt.training.settings import thesis_settings

    config = preset(preset_name, **named_values(changes, "--set"))
    recipe: dict[str, Any] = {"precision": "fp32", **named_values(options)}
    settings = thesis_settings("vqvae" if phase == "vqvae" else "gpt", steps, **recipe)
    store = ClipStore(clips)
    block = max(config.clip_frames, stride or 0)
    subset = None
    if frames is not None:
        subset = draw_subset(store, frames, block=block, seed=settings.seed)
    data = Data(store, subset, stride)
    with process_group(device) as place, progress() as bars:
        shared: dict[str, Any] = {
            "folder": out,
            "device": place,
            "on_step": follow(bars, steps, out),
            "progress": told(bars, out),
        }
        if phase == "vqvae":
            if teacher is not None:
                raise click.UsageError("--teacher is for the GPT: leave it out for the VQ-VAE")
            trained = train_vqvae(data, config, settings, **shared)
        else:
            if vqvae is None:
                raise click.UsageError("the GPT is trained on a VQ-VAE: give --vqvae CHECKPOINT")
            frozen = load_vqvae(vqvae)
            config = replace(config, vqvae=frozen.config)
            shared |= {"cache": None if no_cache else clips / "codes"}
            if teacher is not None:
                taught = Distillation(load_gpt(teacher), teacher_weight, teacher_temperature)
                shared |= {"distillation": taught}
            trained = train_gpt(data, frozen, config, settings, **shared)
        if distributed.rank() == 0:
            _report(trained, out)


@command.command()
@click.argument("checkpoint", type=_path)
@click.argument("clips", type=_path)
@click.option("--out", required=True, type=_path, help="Folder for the video and the picture.")
@click.option("--greedy", is_flag=True, help="Take the likeliest code instead of sampling.")
@click.option(
    "--temperature",
    type=_above_zero,
    default=1.0,
    show_default=True,
    help="Below 1 samples are likelier, above 1 more varied.",
)
@click.option("--top-k", type=_count, help="Sample from the likeliest only.")
@option("seed")
@click.option(
    "--count", type=_count, default=1, show_default=True, help="Clips, each after the one before."
)
@_run
@_start
@_rate
@_device
def generate(
    checkpoint: Path,
    clips: Path,
    out: Path,
    greedy: bool,
    temperature: float,
    top_k: int | None,
    seed: int,
    count: int,
    run_name: str | None,
    start: int,
    rate: float,
    device: str,
) -> None:
    """Continue a clip of CLIPS with a GPT; the true continuation is shown above it."""
    import numpy as np
    import torch

    from encoders.videogpt.checkpoint import load_gpt
    from encoders.videogpt.clips.store import ClipStore, clip_of
    from encoders.videogpt.generate import Sampling, continue_clips
    from encoders.videogpt.media import write_comparison
    from encoders.videogpt.training.launch import process_group

    model = load_gpt(checkpoint)
    length = model.config.vqvae.sequence_length
    store = ClipStore(clips, [run_name] if run_name else None)
    truth = clip_of(store, start, length, length * (1 + count))
    sampling = Sampling(greedy=greedy, temperature=temperature, top_k=top_k, seed=seed)
    with process_group(device) as place, progress() as bars:
        given = torch.from_numpy(truth[None, :length]).to(place)
        made = continue_clips(
            model.to(place),
            given,
            clips=count,
            sampling=sampling,
            progress=bars,
        )
    shown = np.concatenate([truth[:length], made[0].cpu().numpy()])
    for path in write_comparison(out, "continuation", [truth, shown], rate):
        click.echo(path)


@command.command()
@click.argument("checkpoint", type=_path)
@click.argument("clips", type=_path)
@click.option("--out", required=True, type=_path, help="Folder for the video and the picture.")
@_run
@_start
@_rate
@_device
def reconstruct(
    checkpoint: Path,
    clips: Path,
    out: Path,
    run_name: str | None,
    start: int,
    rate: float,
    device: str,
) -> None:
    """Encode and decode a clip of CLIPS with a VQ-VAE; the original is shown above it."""
    import torch

    from encoders.videogpt.checkpoint import load_vqvae
    from encoders.videogpt.clips.store import ClipStore, clip_of
    from encoders.videogpt.generate import reconstruct as back
    from encoders.videogpt.media import write_comparison
    from encoders.videogpt.training.launch import process_group

    model = load_vqvae(checkpoint)
    store = ClipStore(clips, [run_name] if run_name else None)
    length = model.config.sequence_length
    original = clip_of(store, start, length)
    with process_group(device) as place:
        found = back(model.to(place), torch.from_numpy(original[None]).to(place))
    for path in write_comparison(out, "reconstruction", [original, found[0].cpu().numpy()], rate):
        click.echo(path)


@command.command()
@click.argument("clips", type=_path)
@click.argument("run_name")
@click.argument("video", type=_path)
def export(clips: Path, run_name: str, video: Path) -> None:
    """Write a run of CLIPS as a lossless video (.mkv) on the scanner's clock, for encode."""
    from encoders.videogpt.clips.export import export_run
    from encoders.videogpt.clips.store import ClipStore

    export_run(ClipStore(clips), run_name, video)
    click.echo(f"{video}: {run_name}")


def _report(trained: Trained, out: Path) -> None:
    sizes = trained.sizes
    click.echo(
        f"{out}: trained on {sizes['frames']} frames ({sizes['clips']} clips) of "
        f"{sizes['runs']} runs"
    )
    if trained.rows:
        last = trained.rows[-1]
        click.echo(
            f"step {last['step']}: loss {last['loss']:.4f}, metrics in {out / 'metrics.csv'}"
        )
