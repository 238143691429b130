"""Training of a cell's networks: the VQ-VAE here, the GPT here or in processes that share it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from bench_core.errors import InputError
from bench_core.progress import Progress
from bench_core.study.cells import Cell, TrainingData, process_recipe, teacher_of
from bench_core.study.context import Study
from bench_core.study.settings import StudySettings
from encoders.videogpt import codes
from encoders.videogpt.checkpoint import load_gpt, load_vqvae
from encoders.videogpt.training.distillation import Distillation
from encoders.videogpt.training.runs import Data, train_gpt, train_vqvae
from encoders.videogpt.training.state import NAME
from encoders.videogpt.vqvae import VQVAE

_LAST = 50  # steps whose losses are averaged for the record


@dataclass(frozen=True)
class TrainedVQVAE:
    """The frozen VQ-VAE, and seconds and loss of its training; None where it was given."""

    model: VQVAE
    seconds: float | None = None
    loss: float | None = None


@dataclass(frozen=True)
class TrainedGPT:
    """A cell's trained GPT.

    Parameters
    ----------
    checkpoint : its file. sizes : of the data that it was trained on.
    seconds : of all steps, of earlier sessions too. seconds_teacher : of its teacher's.
    loss : mean of the last steps.
    peaks, gpu_peaks : bytes of each of several processes; empty where this one trained.
    """

    checkpoint: Path
    sizes: dict[str, Any]
    seconds: float
    loss: float
    seconds_teacher: float | None = None
    peaks: tuple[int, ...] = ()
    gpu_peaks: tuple[int, ...] = ()


def trained_vqvae(study: Study, cell: Cell, place: torch.device, notify: Progress) -> TrainedVQVAE:
    """Return the cell's VQ-VAE, trained if it is not given."""
    settings, sizes = study.settings, study.settings.baseline.sizes
    path = study.vqvae_path(cell)
    if settings.vqvae.checkpoint is not None:
        given = load_vqvae(path)
        if given.config != sizes.vqvae:
            raise InputError(
                f"{path} has sizes {given.config}, [baseline] asks for {sizes.vqvae}: give its "
                "sizes in [baseline]"
            )
        return TrainedVQVAE(given)
    recipe = settings.recipes(1)["vqvae"]
    found = study.data(cell)
    own = settings.vqvae.frames == "cell"
    trained = train_vqvae(
        found.data if own else Data(study.train, None, found.data.stride),
        sizes,
        recipe,
        folder=path.parent,
        device=place,
        on_step=_steps(notify, "VQ-VAE", recipe.steps),
        progress=notify,
    )
    assert isinstance(trained.model, VQVAE)
    return TrainedVQVAE(trained.model, *_history(path.parent))


def trained_gpt(
    study: Study, cell: Cell, vqvae: VQVAE, place: torch.device, notify: Progress
) -> TrainedGPT:
    """Return the cell's GPT, trained or gone on with where it was interrupted; its teacher first.

    Raises `bench_core.study.together.ProcessesFailedError` where one of several processes failed.
    """
    teacher, taught_by = teacher_of(study.settings, cell), None
    if teacher is not None:
        taught_by = trained_gpt(study, teacher, vqvae, place, notify)
    found, folder = study.data(cell), study.gpt_folder(cell)
    checkpoint = None if taught_by is None else taught_by.checkpoint
    peaks: tuple[int, ...] = ()
    gpu_peaks: tuple[int, ...] = ()
    if cell.processes == 1:
        fit_gpt(study.settings, cell, found, vqvae, folder, checkpoint, place, notify)
    else:
        from bench_core.study.together import train_together

        _codes(study, cell, found, vqvae, place, notify)
        done = train_together(
            study.settings, cell, study.vqvae_path(cell), folder, checkpoint, found.steps, notify
        )
        peaks, gpu_peaks = done.peak_memory_bytes, done.peak_gpu_bytes
    assert cell.config is not None
    return TrainedGPT(
        folder / NAME,
        found.data.chosen().sizes(cell.config.vqvae.sequence_length),
        *_history(folder),
        None if taught_by is None else taught_by.seconds,
        peaks,
        gpu_peaks,
    )


def fit_gpt(
    settings: StudySettings,
    cell: Cell,
    found: TrainingData,
    vqvae: VQVAE,
    folder: Path,
    teacher: Path | None,
    place: torch.device,
    notify: Progress,
) -> None:
    """Train the cell's GPT in ``folder``, in this process or as one of several.

    teacher : checkpoint of the GPT that teaches it; None for none.
    """
    assert cell.config is not None
    distillation = None
    if teacher is not None:
        network = load_gpt(teacher, attention=cell.config.gpt.attention)
        student = settings.student
        distillation = Distillation(network, student.weight, student.temperature)
    recipe = process_recipe(settings, cell, found.steps)
    train_gpt(
        found.data,
        vqvae,
        cell.config,
        recipe,
        distillation=distillation,
        cache=settings.out / "codes",
        folder=folder,
        device=place,
        on_step=_steps(notify, "GPT", recipe.steps),
        progress=notify,
    )


def _codes(
    study: Study,
    cell: Cell,
    found: TrainingData,
    vqvae: VQVAE,
    place: torch.device,
    notify: Progress,
) -> None:
    """Store the codes of the cell's data, so that not every process computes them."""
    assert cell.config is not None
    config = cell.config
    source = found.data.frame_source(config.clip_frames, config.vqvae.sequence_length)
    cache = study.settings.out / "codes"
    codes.cached(cache, study.train, source.windows, vqvae.to(place), progress=notify)


def _steps(notify: Progress, what: str, total: int) -> Callable[[dict[str, float | int]], None]:
    def show(row: dict[str, float | int]) -> None:
        notify(f"{what}, loss {row['loss']:.3f}", int(row["step"]) + 1, total)

    return show


def _history(folder: Path) -> tuple[float, float]:
    """Return the seconds of all steps, of earlier sessions too, and the mean of the last losses."""
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    seconds = sum(float(row["seconds"]) for row in rows)
    return seconds, fmean(float(row["loss"]) for row in rows[-_LAST:])
