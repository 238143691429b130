"""One cell, from clips to correlations: train both models, extract features, fit every subject.

Everything is kept under a digest of what decides it, so that cells share what they have in common
(the VQ-VAE, a network read at two layers, cleaned targets), and an interrupted cell goes on from
its last checkpoint.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench_core import machine
from bench_core.brain.stored_features import StoreSettings
from bench_core.errors import RidgebenchError
from bench_core.files import replace_file
from bench_core.progress import Progress
from bench_core.study.cells import Cell, layers_of_network
from bench_core.study.context import Study
from bench_core.study.factors import of_kind
from bench_core.study.settings import StudySettings
from bench_core.study.subjects import fit_subject
from bench_core.study.training import trained_gpt, trained_vqvae
from encoders.encode import encode
from encoders.plugins.videogpt import VideoGPTEncoder
from encoders.reducers import parse
from encoders.store import FeatureStore
from encoders.videogpt import codes
from encoders.videogpt.clips.export import export_run
from encoders.videogpt.clips.store import ClipStore
from encoders.videogpt.gpt import VideoGPT
from encoders.videogpt.training.launch import process_group
from encoders.videogpt.training.phases import GPTPhase
from encoders.videogpt.training.runs import Data
from encoders.videogpt.training.sources import CodeSource


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
        vqvae = trained_vqvae(study, cell, place, notify)
        trained = trained_gpt(study, cell, vqvae.model, place, notify)
        encoder = encoder_of(study, cell, trained.checkpoint, place)
        held = None
        if study.held is not None:
            notify("held-out loss", 0, 1)
            assert isinstance(encoder.network, VideoGPT)
            batch = settings.recipes(1)["gpt"].batch_size
            held = held_out_loss(encoder.network, study.held, out / "codes", batch, place)
        started = time.perf_counter()
        features, notes = encode_features(study, cell, encoder, keys, notify)
        seconds_encode = time.perf_counter() - started
        gpu = torch.cuda.max_memory_allocated(place) if place.type == "cuda" else None
    subjects = _fits(study, features, keys["cell"], notify)
    return {
        "loss_gpt_train": trained.loss,
        "loss_gpt_held_out": held,
        "loss_vqvae_train": vqvae.loss,
        "seconds_vqvae": vqvae.seconds,
        "seconds_gpt": trained.seconds,
        "seconds_teacher": trained.seconds_teacher,
        "seconds_encode": seconds_encode,
        # Processes that train together do so at the same time; this one before and after.
        "peak_memory_bytes": max(machine.peak_memory(), sum(trained.peaks)),
        "peak_gpu_bytes": None if gpu is None else max(gpu, sum(trained.gpu_peaks)),
        "weight_bytes": encoder.weight_bytes(),
        "device": str(place),
        "data": trained.sizes,
        "samples": found.samples,
        "steps": found.steps,
        "checkpoint": str(trained.checkpoint.relative_to(out)),
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


def encoder_of(study: Study, cell: Cell, checkpoint: Path, place: torch.device) -> VideoGPTEncoder:
    """Return the cell's network as an encoder, with the options that are its levels."""
    assert cell.config is not None
    return VideoGPTEncoder(
        checkpoint,
        device=place,
        tr=study.settings.samples.tr,
        attention=cell.config.gpt.attention,
        **of_kind(cell.levels, "encoder"),
    )


def encode_features(
    study: Study,
    cell: Cell,
    encoder: VideoGPTEncoder,
    keys: dict[str, str],
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
