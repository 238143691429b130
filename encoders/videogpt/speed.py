"""Speed and memory of the GPT's training and feature extraction."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench_core.errors import InputError
from bench_core.files import write_json
from bench_core.machine import available_cores
from encoders import digests
from encoders.videogpt.config import Attention, VideoGPTConfig, preset
from encoders.videogpt.gpt import VideoGPT
from encoders.videogpt.training.loop import AUTOCAST, Trainer
from encoders.videogpt.training.phases import GPTPhase
from encoders.videogpt.training.settings import Precision, thesis_settings
from encoders.videogpt.training.sources import Batch
from encoders.videogpt.vqvae import to_video

# The thesis's training: frames encoded at every step, every sub-block recomputed in the backward
# pass, the attention matrix materialised, fp16.
PUBLISHED = {
    "precision": "fp16",
    "attention": "reference",
    "checkpointing": True,
    "cached_codes": False,
}


@dataclass(frozen=True)
class Workload:
    """One workload of the GPT.

    Parameters
    ----------
    work : ``"training"`` steps, or ``"features"``, a forward pass of both models from frames.
    preset, sizes : of both models; ``sizes`` as pairs.
    cached_codes : train on codes; False trains on frames that are encoded at every step.
    repeats : timed steps or batches, after two untimed ones.

    Examples
    --------
    >>> Workload(sizes=(("layers", 1),)).config().gpt.layers
    1
    """

    work: str = "training"
    preset: str = "tiny"
    sizes: tuple[tuple[str, Any], ...] = ()
    precision: Precision = "fp32"
    attention: Attention = "sdpa"
    checkpointing: bool = False
    compiled: bool = False
    cached_codes: bool = True
    batch: int = 16
    device: str = "cpu"
    repeats: int = 5

    def config(self) -> VideoGPTConfig:
        """Return the sizes of both models."""
        return preset(
            self.preset,
            **dict(self.sizes),
            attention=self.attention,
            checkpointing=self.checkpointing,
        )


class _RandomSource:
    """Random frames or codes; the time does not depend on their values."""

    def __init__(self, config: VideoGPTConfig, cached: bool) -> None:
        self.config = config
        self.cached = cached

    def __len__(self) -> int:
        return 1 << 20

    def batch(self, samples: NDArray[np.int64]) -> Batch:
        """Return the tensors of one batch."""
        sizes, count = self.config.vqvae, len(samples)
        generator = torch.Generator().manual_seed(int(samples[0]))
        if not self.cached:
            shape = (count, self.config.clip_frames, sizes.resolution, sizes.resolution, 3)
            frames = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
            return {"frames": frames}
        grid = (2, count, *sizes.latent_shape)
        before, codes = torch.randint(0, sizes.n_codes, grid, generator=generator)
        return {"before": before, "codes": codes}

    def identity(self) -> str:
        """Return the name of this source."""
        return "random"


def measure(load: Workload) -> dict[str, float]:
    """Return seconds per step (median), clips per second and peak bytes of ``load``.

    Peak bytes are those allocated on a GPU, or the peak resident set of this process on a CPU. The
    latter includes the interpreter and earlier work: measure in a fresh process.

    Raises `InputError` for another kind of work.
    """
    if load.work not in ("training", "features"):
        raise InputError(f"work {load.work!r}: give 'training' or 'features'")
    torch.set_num_threads(min(torch.get_num_threads(), available_cores()))
    torch.manual_seed(0)
    device = torch.device(load.device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    # The batch is made before the clock starts, because training overlaps reading with work.
    source = _RandomSource(load.config(), load.cached_codes and load.work == "training")
    settings = thesis_settings(
        "gpt", 1, batch_size=load.batch, precision=load.precision, compile=load.compiled
    )
    trainer = Trainer(GPTPhase(VideoGPT(load.config())), source, settings, device=device)
    batch = {name: x.to(device) for name, x in source.batch(np.arange(load.batch)).items()}
    if load.work == "training":
        trainer.phase.train()
        seconds = _median(lambda: trainer.train_step(batch), load.repeats, device)
    else:
        seconds = _median(_features(load, trainer.phase.model, batch), load.repeats, device)
    return {
        "seconds": seconds,
        "clips_per_second": load.batch / seconds,
        "peak_bytes": trainer.memory(),
    }


def measured(folder: Path, load: Workload) -> dict[str, float]:
    """Return `measure` of ``load``, cached as JSON in ``folder``."""
    path = folder / f"videogpt-speed-{digests.of_json(asdict(load))[:16]}.json"
    if path.is_file():
        known: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
        return known
    found = measure(load)
    write_json(path, found)
    return found


def _features(load: Workload, model: torch.nn.Module, batch: Batch) -> Callable[[], torch.Tensor]:
    assert isinstance(model, VideoGPT)
    model.eval()
    if load.compiled:
        model.compile()
    kind = AUTOCAST.get(load.precision)

    def forward() -> torch.Tensor:
        with (
            torch.inference_mode(),
            torch.autocast(torch.device(load.device).type, dtype=kind, enabled=kind is not None),
        ):
            before, codes = model.encode(to_video(batch["frames"]))
            logits: torch.Tensor = model(before, codes)
            return logits

    return forward


def _median(work: Callable[[], object], repeats: int, device: torch.device) -> float:
    seconds = []
    for i in range(repeats + 2):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if i >= 2:  # the first ones compile and allocate
            seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))
