"""One cell, from clips to correlations: train both models, extract features, fit every subject.

Everything is kept under a digest of what decides it, so that cells share what they have in common
(the VQ-VAE, a network read at two layers, cleaned targets), and an interrupted cell goes on from
its last checkpoint.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch

from bench_core import machine
from bench_core.brain.stored_features import StoreSettings
from bench_core.errors import InputError, RidgebenchError
from bench_core.files import replace_file
from bench_core.progress import Progress
from bench_core.study.cells import Cell, TrainingData, layers_of_network
from bench_core.study.context import Study
from bench_core.study.settings import StudySettings
from bench_core.study.subjects import fit_subject
from encoders import registry
from encoders.encode import encode
from encoders.reducers import parse
from encoders.store import FeatureStore
from encoders.videogpt import codes
from encoders.videogpt.checkpoint import load_vqvae
from encoders.videogpt.clips.export import export_run
from encoders.videogpt.clips.store import ClipStore
from encoders.videogpt.gpt import VideoGPT
from encoders.videogpt.training import state
from encoders.videogpt.training.launch import process_group
from encoders.videogpt.training.phases import GPTPhase
from encoders.videogpt.training.runs import Data, train_gpt, train_vqvae
from encoders.videogpt.training.sources import CodeSource
from encoders.videogpt.vqvae import VQVAE

_LAST = 50  # steps whose losses are averaged for the record


def compute(settings: StudySettings, cell: Cell, notify: Progress) -> dict[str, Any]:
    """Return the record of ``cell``, training it or going on where it was interrupted.

    A subject whose fit fails has a ``reason`` instead of figures; what fails before is raised.
    """
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    study = Study.open(settings)
    keys, found = study.keys(cell), study.data(cell)
    out = settings.out
    with process_group(settings.device) as place:
        vqvae, seconds_vqvae, loss_vqvae = _vqvae(study, cell, found, keys, place, notify)
        assert cell.config is not None
        recipe = settings.recipes(found.steps, cell.levels["precision"])["gpt"]
        folder = out / "training" / f"gpt-{keys['gpt'][:16]}"
        trained = train_gpt(
            found.data,
            vqvae,
            cell.config,
            recipe,
            cache=out / "codes",
            folder=folder,
            device=place,
            on_step=_steps(notify, "GPT", recipe.steps),
            progress=notify,
        )
        assert isinstance(trained.model, VideoGPT)
        seconds_gpt, loss_gpt = _history(folder)
        held = None
        if study.held is not None:
            notify("held-out loss", 0, 1)
            held = held_out_loss(trained.model, study.held, out / "codes", recipe.batch_size, place)
        started = time.perf_counter()
        features, notes = encode_features(study, cell, folder / state.NAME, keys, place, notify)
        seconds_encode = time.perf_counter() - started
        gpu = torch.cuda.max_memory_allocated(place) if place.type == "cuda" else None
    subjects = _fits(study, features, keys["cell"], notify)
    return {
        "loss_gpt_train": loss_gpt,
        "loss_gpt_held_out": held,
        "loss_vqvae_train": loss_vqvae,
        "seconds_vqvae": seconds_vqvae,
        "seconds_gpt": seconds_gpt,
        "seconds_encode": seconds_encode,
        "peak_memory_bytes": machine.peak_memory(),
        "peak_gpu_bytes": gpu,
        "device": str(place),
        "data": trained.sizes,
        "samples": found.samples,
        "steps": found.steps,
        "checkpoint": str((folder / state.NAME).relative_to(out)),
        "films": notes,
        "subjects": subjects,
    }


def _fits(study: Study, features: StoreSettings, key: str, notify: Progress) -> dict[str, Any]:
    settings = study.settings
    found: dict[str, Any] = {}
    scratch = settings.cluster.scratch or settings.out / "scratch"
    for done, subject in enumerate(study.subjects):
        notify("fitting", done, len(study.subjects))
        try:
            fitted = fit_subject(
                subject,
                features,
                settings.samples,
                settings.fit,
                cache=settings.out / "targets",
                scratch=scratch,
                cluster=settings.cluster,
                allow_mixed=settings.allow_mixed,
            )
        except RidgebenchError as error:
            found[subject.name] = {"status": "failed", "reason": str(error)}
            continue
        kept = settings.out / "cells" / f"{key[:16]}_{subject.name}_r.npy"
        replace_file(kept, partial(np.save, arr=fitted.r))
        found[subject.name] = {"status": "ok", "reason": None, **fitted.report()}
    notify("fitting", len(study.subjects), len(study.subjects))
    return found


def held_out_loss(
    model: VideoGPT, store: ClipStore, cache: Path, batch: int, place: torch.device
) -> float:
    """Return the mean cross-entropy of the GPT, in nats per code, on clips it was not trained on.

    Without dropout, in single precision.
    """
    config = model.config
    data = Data(store, None, config.vqvae.sequence_length)
    windows = data.chosen().windows(config.clip_frames, config.vqvae.sequence_length)
    model = model.to(place).eval()
    source = CodeSource(codes.cached(cache, store, windows, model.vqvae))
    phase, total = GPTPhase(model).eval(), 0.0
    with torch.inference_mode():
        for first in range(0, len(source), batch):
            rows = np.arange(first, min(first + batch, len(source)))
            inputs = {name: x.to(place) for name, x in source.batch(rows).items()}
            total += float(phase(inputs)[0]) * len(rows)
    return total / len(source)


def _vqvae(
    study: Study,
    cell: Cell,
    found: TrainingData,
    keys: dict[str, str],
    place: torch.device,
    notify: Progress,
) -> tuple[VQVAE, float | None, float | None]:
    """Return the frozen VQ-VAE, and the seconds and the loss of its training if it was ours."""
    settings = study.settings
    assert cell.config is not None
    if settings.vqvae.checkpoint is not None:
        given = load_vqvae(settings.vqvae.checkpoint)
        if given.config != cell.config.vqvae:
            raise InputError(
                f"{settings.vqvae.checkpoint} has sizes {given.config}, [baseline] asks for "
                f"{cell.config.vqvae}: give its sizes in [baseline]"
            )
        return given, None, None
    recipe = settings.recipes(1)["vqvae"]
    folder = settings.out / "training" / f"vqvae-{keys['vqvae'][:16]}"
    own = settings.vqvae.frames == "cell"
    data = found.data if own else Data(study.train, None, found.data.stride)
    trained = train_vqvae(
        data,
        cell.config,
        recipe,
        folder=folder,
        device=place,
        on_step=_steps(notify, "VQ-VAE", recipe.steps),
        progress=notify,
    )
    assert isinstance(trained.model, VQVAE)
    return trained.model, *_history(folder)


def encode_features(
    study: Study,
    cell: Cell,
    checkpoint: Path,
    keys: dict[str, str],
    place: torch.device,
    notify: Progress,
) -> tuple[StoreSettings, dict[str, list[str]]]:
    """Store the features of every stimulus at the cell's layer.

    Layers that other cells read of the same network are stored in the same pass.

    Returns where they are, and film → sentences on what is irregular about it.
    """
    settings = study.settings
    for name, path in study.videos.items():
        if not path.is_file():
            notify(f"exporting {name}", 0, 1)
            everything = ClipStore(settings.clips.folder)
            export_run(everything, name, path)
            everything.close()
    encoder = registry.make(
        "videogpt", checkpoint, device=place, tr=settings.samples.tr, attention="sdpa"
    )
    reducers = parse(settings.features.reduce)
    folder = settings.out / "features" / keys["features"][:16]

    def show(run: str, trs: int = 0, total: int = 0, /) -> None:
        notify(f"features of {run}", trs, total)

    encoded = encode(
        study.videos,
        encoder,
        layers_of_network(settings, cell),
        FeatureStore(folder),
        reducers=reducers,
        training=study.training_stimuli,
        tr=settings.samples.tr,
        batch=settings.features.batch,
        clock=settings.features.clock,
        progress=show,
    )
    encoded = [each for each in encoded if each.features.layer == cell.layer]
    notes = {each.features.run: each.film.notes() for each in encoded if each.film.notes()}
    found = StoreSettings(
        folder=folder,
        layer=cell.layer,
        encoder="videogpt",
        weights=encoder.weights.digest,
        reducers=tuple(str(each.identity()["name"]) for each in reducers) or ("none",),
        keys=tuple(each.features.key for each in encoded),
    )
    return found, notes


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
