"""Training of each phase in one call, from a clip store to a trained model; resumable."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from bench_core.errors import InputError
from bench_core.progress import Progress, silent
from encoders.videogpt import codes, distributed
from encoders.videogpt.clips.store import ClipStore
from encoders.videogpt.clips.subsets import Subset, all_frames
from encoders.videogpt.config import VideoGPTConfig
from encoders.videogpt.gpt import VideoGPT
from encoders.videogpt.training import state
from encoders.videogpt.training.distillation import Distillation, DistillationPhase
from encoders.videogpt.training.folder import locked, repeated_steps, start_message
from encoders.videogpt.training.loop import Row, StepCallback, Trainer
from encoders.videogpt.training.phases import GPTPhase, Phase, VQVAEPhase
from encoders.videogpt.training.settings import TrainSettings
from encoders.videogpt.training.sources import CodeSource, FrameSource, TrainingSource
from encoders.videogpt.vqvae import VQVAE


@dataclass(frozen=True)
class Data:
    """The training data.

    Parameters
    ----------
    store : the frames.
    subset : selection of frames; None for all.
    stride : frames between the starts of training windows; None for a clip's length. Windows of
        the VQ-VAE then do not overlap; those of the GPT, two clips each, share a clip.

    Examples
    --------
    One training step of a small VQ-VAE:

    >>> import tempfile
    >>> import numpy as np
    >>> from encoders.videogpt import preset
    >>> from encoders.videogpt.clips.store import Stretch, write_run
    >>> black = Stretch(np.zeros((16, 32, 32, 3), np.uint8), np.arange(16) / 10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_run(Path(folder), "run-1", [black], subject="sub-01", source="black")
    ...     data = Data(ClipStore(Path(folder)))
    ...     trained = train_vqvae(data, preset("tiny"), TrainSettings(steps=1, batch_size=1))
    >>> trained.sizes["clips"], [row["step"] for row in trained.rows]
    (2, [0])
    """

    store: ClipStore
    subset: Subset | None = None
    stride: int | None = None

    def chosen(self) -> Subset:
        """Return the subset, or that of all frames."""
        return all_frames(self.store) if self.subset is None else self.subset

    def frame_source(self, frames: int, clip_frames: int) -> FrameSource:
        """Return windows of ``frames`` frames as a source of batches."""
        stride = clip_frames if self.stride is None else self.stride
        windows = self.chosen().windows(frames, stride)
        return FrameSource(self.store, windows, frames)


@dataclass(frozen=True)
class Trained:
    """The result of a training run.

    Parameters
    ----------
    model : in evaluation mode.
    rows : metrics of the steps of this call.
    sizes : of the data, as `Subset.sizes` returns them.
    first : step that this call began with; above 0 after a checkpoint.
    repeated : steps of an earlier call that were done again, for want of a later checkpoint.
    """

    model: VQVAE | VideoGPT
    rows: list[Row]
    sizes: dict[str, Any]
    first: int = 0
    repeated: int = 0


def train_vqvae(
    data: Data,
    config: VideoGPTConfig,
    settings: TrainSettings,
    *,
    folder: Path | None = None,
    device: torch.device | str = "cpu",
    on_step: StepCallback | None = None,
    progress: Progress = silent,
) -> Trained:
    """Train a VQ-VAE; a checkpoint in ``folder`` is continued.

    ``on_step`` is called with the metrics of every step, and ``progress`` with a sentence, before
    the first, where an earlier call is continued or done again.

    Raises `InputError` for frames of another size than the model's, and `NonFiniteLossError`.
    """
    sizes = config.vqvae
    _check_side(data.store, config)
    torch.manual_seed(settings.seed)
    model = VQVAE(sizes, config.gpt.attention)
    source = data.frame_source(sizes.sequence_length, sizes.sequence_length)
    phase = VQVAEPhase(model)
    found = _train(phase, source, settings, folder, device, on_step, progress)
    counts = data.chosen().sizes(sizes.sequence_length)
    return Trained(found.model.eval(), found.rows, counts, found.first, found.repeated)


def train_gpt(
    data: Data,
    vqvae: VQVAE,
    config: VideoGPTConfig,
    settings: TrainSettings,
    *,
    distillation: Distillation | None = None,
    cache: Path | None = None,
    folder: Path | None = None,
    device: torch.device | str = "cpu",
    on_step: StepCallback | None = None,
    progress: Progress = silent,
) -> Trained:
    """Train a GPT on the codes of a trained VQ-VAE; a checkpoint in ``folder`` is continued.

    Parameters
    ----------
    distillation : a teacher to learn from as well; None learns from the codes alone.
    cache : folder for the codes of the data, which are computed once. None encodes the frames of
        every batch, as in the published training.
    on_step : called with the metrics of every step.
    progress : called while codes are computed, as in `codes.cached`, and with a sentence, before
        the first step, where an earlier call is continued or done again.

    Raises `InputError` for a VQ-VAE of other sizes than ``config``'s, or a teacher of another
    VQ-VAE, and `NonFiniteLossError`.
    """
    if vqvae.config != config.vqvae:
        raise InputError(
            f"the VQ-VAE has sizes {vqvae.config}, the configuration {config.vqvae}: use the "
            "VQ-VAE's"
        )
    _check_side(data.store, config)
    torch.manual_seed(settings.seed)
    model = VideoGPT(config)
    model.vqvae.load_state_dict(vqvae.state_dict())
    source: TrainingSource = data.frame_source(config.clip_frames, config.vqvae.sequence_length)
    if cache is not None:
        assert isinstance(source, FrameSource)
        model.vqvae.to(device)
        # Each process computes missing codes itself: files are written atomically.
        source = CodeSource(
            codes.cached(cache, data.store, source.windows, model.vqvae, progress=progress)
        )
    phase = GPTPhase(model) if distillation is None else DistillationPhase(model, distillation)
    found = _train(phase, source, settings, folder, device, on_step, progress)
    sizes = data.chosen().sizes(config.vqvae.sequence_length)
    return Trained(found.model.eval(), found.rows, sizes, found.first, found.repeated)


class _Steps(NamedTuple):
    """What `_train` did: the model, metrics of its steps, the first, and those done again."""

    model: VQVAE | VideoGPT
    rows: list[Row]
    first: int
    repeated: int


def _train(
    phase: Phase,
    source: TrainingSource,
    settings: TrainSettings,
    folder: Path | None,
    device: torch.device | str,
    on_step: StepCallback | None,
    progress: Progress,
) -> _Steps:
    trainer = Trainer(phase, source, settings, folder=folder, device=device)
    if distributed.rank() > 0:
        on_step, progress = None, silent
    with locked(folder) if folder is not None and distributed.rank() == 0 else nullcontext():
        repeated = 0
        if folder is not None:
            there = (folder / state.NAME).is_file()
            if there:
                trainer.resume(folder / state.NAME)
            repeated = repeated_steps(folder, trainer.step)
            message = start_message(trainer.step, repeated, there)
            if message is not None and trainer.step < settings.steps:
                progress(message, 0, 0)
        first = trainer.step
        rows = trainer.train(on_step)
        return _Steps(trainer.whole_model(), rows, first, repeated)


def _check_side(store: ClipStore, config: VideoGPTConfig) -> None:
    if store.side != config.vqvae.resolution:
        raise InputError(
            f"frames in {store.folder} are {store.side} px, the model needs "
            f"{config.vqvae.resolution} px: prepare them at that size or change the resolution"
        )
