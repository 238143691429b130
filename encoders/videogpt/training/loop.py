"""The training loop of both phases."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from bench_core.errors import RidgebenchError
from bench_core.files import replace_file
from bench_core.machine import peak_memory
from encoders.devices import checked_device
from encoders.prefetch import prefetch
from encoders.videogpt import distributed
from encoders.videogpt.gpt import VideoGPT
from encoders.videogpt.training import parallel, state
from encoders.videogpt.training.batches import Order
from encoders.videogpt.training.metrics import Metrics
from encoders.videogpt.training.phases import Phase
from encoders.videogpt.training.settings import TrainSettings
from encoders.videogpt.training.sources import Batch, TrainingSource
from encoders.videogpt.vqvae import VQVAE

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
Row = dict[str, float | int]
"""Metrics of one step by name."""
StepCallback = Callable[[Row], None]


class NonFiniteLossError(RidgebenchError, ArithmeticError):
    """An infinite or NaN loss or gradient; the message names the file with the batch."""


class Trainer:
    """Training of one phase's model on the batches of one source.

    Parameters
    ----------
    phase : the model, moved to ``device`` and trained in place.
    source : samples to train on.
    settings : see `TrainSettings`.
    folder : for metrics and checkpoints, created if missing; None writes nothing.
    device : of the model.
    """

    def __init__(
        self,
        phase: Phase,
        source: TrainingSource,
        settings: TrainSettings,
        *,
        folder: Path | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = checked_device(device)
        self.phase = phase.to(self.device)
        parallel.divide(self.phase, settings.parallel, self.device)
        self.source = source
        self.settings = settings
        self.folder = folder
        self.parts, part = parallel.batch_share(settings.parallel)
        self.order = Order(len(source), settings.batch_size, settings.seed, self.parts, part)
        self.trained = [p for p in phase.parameters() if p.requires_grad]
        # Adam in one kernel per device, where there is one, instead of several per parameter.
        fused = self.device.type in ("cuda", "cpu")
        self.optimizer = torch.optim.Adam(
            parallel.groups(self.trained),
            lr=settings.learning_rate,
            betas=settings.betas,
            fused=fused,
        )
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=settings.precision == "fp16")
        self.step = 0
        # Dropout must differ between parts of a batch; the first has the seed of a single process.
        torch.manual_seed(settings.seed + part)
        self._run = self._wrapped()

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint, with the losses of an uninterrupted run."""
        self.step = state.restore(
            path,
            self.phase,
            self.optimizer,
            self.scaler,
            settings=self.settings,
            data=self._identity(),
        )

    def train(self, on_step: StepCallback | None = None) -> list[Row]:
        """Train up to ``settings.steps`` and return the metrics of the steps of this call.

        ``on_step`` is called with the metrics of every step.

        Raises `NonFiniteLossError`.
        """
        rows: list[Row] = []
        metrics = self._metrics()
        self.phase.train()
        started = time.perf_counter()
        try:
            steps = range(self.step, self.settings.steps)
            for step, batch in prefetch((step, self._batch(step)) for step in steps):
                report = self.train_step(batch)
                now = time.perf_counter()
                row = {"step": step, **report, **self._speed(now - started)}
                started = now
                rows.append(row)
                if metrics is not None:
                    metrics.write(row)
                if on_step is not None:
                    on_step(row)
                self._checkpoint()
        finally:
            if metrics is not None:
                metrics.close()
        return rows

    def train_step(self, batch: Batch) -> dict[str, float]:
        """Make one optimiser step on ``batch`` and return its metrics."""
        rate = self.settings.rate(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = {name: x.to(self.device, non_blocking=True) for name, x in batch.items()}
        with self._autocast():
            loss, report = self._run(batch)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        norm = self._clip()
        parts = [loss.detach(), norm, *report.values()]
        # The only synchronisation with the device, after all work of the step but the update.
        values = _mean_over(torch.stack([part.float() for part in parts])).tolist()
        if not isfinite(values[0]):
            self._stop(batch, "loss", values[0])
        # After an overflow in fp16 the scaler skips the step and lowers its scale.
        if not (self.scaler.is_enabled() or isfinite(values[1])):
            self._stop(batch, "gradient's norm", values[1])
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.step += 1
        return {
            "loss": values[0],
            **dict(zip(report, values[2:], strict=True)),
            "learning_rate": rate,
            "gradient_norm": values[1],
            "loss_scale": float(self.scaler.get_scale()),
        }

    def whole_model(self) -> VQVAE | VideoGPT:
        """Return the trained model, gathered if processes share it; all must call this."""
        if not parallel.divided(self.phase):
            return self.phase.model
        content = state.whole_state(self.phase.model)
        model = self.phase.empty_model()
        model.load_state_dict(content)
        return model.to(self.device)

    def save(self, path: Path) -> None:
        """Write a checkpoint; all processes must call this."""
        state.save(
            path,
            self.phase,
            self.optimizer,
            self.scaler,
            step=self.step,
            settings=self.settings,
            data=self._identity(),
        )

    def _wrapped(self) -> Callable[[Batch], tuple[Tensor, dict[str, Tensor]]]:
        module = parallel.wrapped(self.phase, self.settings.parallel)
        if self.settings.compile:
            module.compile()
        return module

    def _clip(self) -> Tensor:
        """Clip the gradient and return its norm before."""
        found = [p.grad for p in self.trained if p.grad is not None]
        norm = parallel.total_norm(found)
        if self.settings.clip_gradient is not None:
            parallel.clip(self.trained, self.settings.clip_gradient, norm)
        return norm

    def _autocast(self) -> torch.autocast:
        kind = AUTOCAST.get(self.settings.precision)
        return torch.autocast(self.device.type, dtype=kind, enabled=kind is not None)

    def _batch(self, step: int) -> Batch:
        batch = self.source.batch(self.order.at(step))
        if self.device.type == "cuda":
            batch = {name: x.pin_memory() for name, x in batch.items()}
        return batch

    def _metrics(self) -> Metrics | None:
        if self.folder is None or distributed.rank() > 0:
            return None
        self.folder.mkdir(parents=True, exist_ok=True)
        return Metrics(self.folder, self.step, self.settings.tensorboard)

    def _speed(self, seconds: float) -> dict[str, float]:
        clips = self.settings.batch_size * self.parts
        return {"seconds": seconds, "clips_per_second": clips / seconds, "memory": self.memory()}

    def _identity(self) -> str:
        """Return text that changes with what is learned from."""
        return ", ".join(filter(None, (self.source.identity(), self.phase.identity)))

    def memory(self) -> float:
        """Return the peak memory in bytes: allocated on the GPU, or resident in this process."""
        if self.device.type == "cuda":
            return float(torch.cuda.max_memory_allocated(self.device))
        return float(peak_memory())

    def _checkpoint(self) -> None:
        last = self.step == self.settings.steps
        if self.folder is not None and (last or self.step % self.settings.checkpoint_every == 0):
            self.save(self.folder / state.NAME)

    def _stop(self, batch: Batch, what: str, value: float) -> NoReturn:
        """Save the batch whose loss or gradient is not finite, and raise."""
        saved = ""
        if self.folder is not None:
            path = self.folder / f"nonfinite-step-{self.step}-process-{distributed.rank()}.pt"
            tensors = {name: x.cpu() for name, x in batch.items()}
            content: dict[str, Any] = {"step": self.step, "loss": value, "batch": tensors}
            replace_file(path, lambda part: torch.save(content, part))
            saved = f"; the batch is in {path}"
        raise NonFiniteLossError(
            f"the {what} is {value} at step {self.step} (learning rate "
            f"{self.settings.rate(self.step):g}, {self.settings.precision}){saved}. Continue from "
            "the last checkpoint with a lower learning rate or a higher precision"
        )


def _mean_over(values: Tensor) -> Tensor:
    """Return the mean over processes of metrics that are means over equal batches."""
    return distributed.all_reduce(values) / distributed.world_size()
