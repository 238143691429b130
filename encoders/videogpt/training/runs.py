"""One call per phase: from a clip store to a trained model, resumed where it was interrupted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bench_core.errors import InputError
from encoders.videogpt import codes, processes
from encoders.videogpt.clips.store import ClipStore
from encoders.videogpt.clips.subsets import Subset, everything
from encoders.videogpt.config import VideoGPTConfig
from encoders.videogpt.gpt import VideoGPT
from encoders.videogpt.training import state
from encoders.videogpt.training.loop import Progress, Row, Trainer
from encoders.videogpt.training.phases import GPTPhase, Phase, VQVAEPhase
from encoders.videogpt.training.settings import TrainSettings
from encoders.videogpt.training.sources import CodeSource, FrameSource, Source
from encoders.videogpt.vqvae import VQVAE


@dataclass(frozen=True)
class Data:
    """What to train on.

    Parameters
    ----------
    store : frames.
    subset : which of them; None takes all.
    stride : frames between the starts of training windows; None is a clip's length, so that
        windows do not overlap (but a GPT's conditioning clip is the clip before's prediction).
    """

    store: ClipStore
    subset: Subset | None = None
    stride: int | None = None

    def chosen(self) -> Subset:
        """Return the subset, or everything."""
        return self.subset or everything(self.store)

    def frame_source(self, frames: int, clip_frames: int) -> FrameSource:
        """Return windows of ``frames`` frames as a source of batches."""
        windows = self.chosen().windows(frames, self.stride or clip_frames)
        return FrameSource(self.store, windows, frames)


@dataclass(frozen=True)
class Trained:
    """A trained model in evaluation mode, the metrics of the steps done here, the data's sizes."""

    model: VQVAE | VideoGPT
    rows: list[Row]
    sizes: dict[str, Any]


def train_vqvae(
    data: Data,
    config: VideoGPTConfig,
    settings: TrainSettings,
    *,
    folder: Path | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> Trained:
    """Train a VQ-VAE; a checkpoint in ``folder`` is continued.

    Raises `InputError` for frames of another size than the model's, `NonFiniteLossError`.
    """
    sizes = config.vqvae
    _check_side(data.store, config)
    torch.manual_seed(settings.seed)
    model = VQVAE(sizes, config.gpt.attention)
    source = data.frame_source(sizes.sequence_length, sizes.sequence_length)
    rows = _train(VQVAEPhase(model), source, settings, folder, device, progress)
    return Trained(model.eval(), rows, data.chosen().sizes(sizes.sequence_length))


def train_gpt(
    data: Data,
    vqvae: VQVAE,
    config: VideoGPTConfig,
    settings: TrainSettings,
    *,
    cache: Path | None = None,
    folder: Path | None = None,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    encoded: codes.Progress | None = None,
) -> Trained:
    """Train a GPT on the codes of a trained VQ-VAE; a checkpoint in ``folder`` is continued.

    Parameters
    ----------
    cache : folder for the data's codes, computed once; None encodes the frames of every batch
        anew, as the published training does.
    encoded : called while codes are computed, with clips done and clips in all.

    Raises `InputError` for a VQ-VAE of other sizes than ``config``'s, `NonFiniteLossError`.
    """
    if vqvae.config != config.vqvae:
        raise InputError(f"the VQ-VAE has sizes {vqvae.config}, the GPT wants {config.vqvae}")
    _check_side(data.store, config)
    torch.manual_seed(settings.seed)
    model = VideoGPT(config)
    model.vqvae.load_state_dict(vqvae.state_dict())
    source: Source = data.frame_source(config.clip_frames, config.vqvae.sequence_length)
    if cache is not None:
        assert isinstance(source, FrameSource)
        model.vqvae.to(device)
        # Each process computes what is missing: files are written whole, so none reads half.
        source = CodeSource(
            codes.cached(cache, data.store, source.windows, model.vqvae, progress=encoded)
        )
    rows = _train(GPTPhase(model), source, settings, folder, device, progress)
    return Trained(model.eval(), rows, data.chosen().sizes(config.vqvae.sequence_length))


def _train(
    phase: Phase,
    source: Source,
    settings: TrainSettings,
    folder: Path | None,
    device: torch.device | str,
    progress: Progress | None,
) -> list[Row]:
    trainer = Trainer(phase, source, settings, folder=folder, device=device)
    if folder is not None and (folder / state.NAME).is_file():
        trainer.resume(folder / state.NAME)
    return trainer.train(progress if processes.rank() == 0 else None)


def _check_side(store: ClipStore, config: VideoGPTConfig) -> None:
    if store.side != config.vqvae.resolution:
        raise InputError(
            f"frames in {store.folder} are {store.side} px, the model takes "
            f"{config.vqvae.resolution} px: prepare them at that size or change the resolution"
        )
