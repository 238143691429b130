"""Trains in every way of sharing and saves losses and whole weights: run by `videogpt_worker`."""

from pathlib import Path

import torch
from torch.distributed.tensor import DTensor
from videogpt_small import small

from encoders.videogpt import distributed
from encoders.videogpt.clips.store import ClipStore
from encoders.videogpt.gpt import VideoGPT
from encoders.videogpt.training import parallel, state
from encoders.videogpt.training.distillation import Distillation, DistillationPhase
from encoders.videogpt.training.loop import Trainer
from encoders.videogpt.training.phases import GPTPhase, VQVAEPhase
from encoders.videogpt.training.runs import Data, train_gpt
from encoders.videogpt.training.settings import TrainSettings
from encoders.videogpt.vqvae import VQVAE

TOGETHER = 4
CASES = (
    ("gpt", "fsdp"),
    ("gpt", "tensor"),
    ("vqvae", "fsdp"),
    ("distilled", "ddp"),
    ("distilled", "fsdp"),
    ("distilled", "tensor"),
)


def settings(way: str, **changes: object) -> TrainSettings:
    """Return settings that train on the same batch whatever the way."""
    count = 1 if way == "tensor" else distributed.world_size()
    values = {"steps": 3, "batch_size": TOGETHER // count, "clip_gradient": 0.5, "parallel": way}
    return TrainSettings(**{**values, **changes})


def phase_of(name: str, **sizes: object) -> VQVAEPhase | GPTPhase:
    """Return an untrained phase, the same on every process."""
    torch.manual_seed(0)
    if name == "vqvae":
        return VQVAEPhase(VQVAE(small().vqvae))
    phase = GPTPhase(VideoGPT(small(**sizes)))
    torch.nn.init.normal_(phase.model.fc_out.weight, std=0.3)
    if name == "distilled":
        teacher = VideoGPT(small(hidden_dim=48))
        torch.nn.init.normal_(teacher.fc_out.weight, std=0.3)
        teacher.vqvae.load_state_dict(phase.model.vqvae.state_dict())
        return DistillationPhase(phase.model, Distillation(teacher))
    return phase


def run(clips: Path, out: Path) -> None:
    data = Data(ClipStore(clips))
    found = {}
    for name, way in CASES:
        source = data.frame_source(4 if name == "vqvae" else 8, 4)
        phase = phase_of(name)
        trainer = Trainer(phase, source, settings(way))
        # Adam divides a gradient by its own size, so that rounding decides the first steps.
        trainer.optimizer = torch.optim.SGD(parallel.groups(trainer.trained), lr=1e-2)
        rows = trainer.train()
        found[f"{name} {way}"] = {
            "losses": [row["loss"] for row in rows],
            "norms": [row["gradient_norm"] for row in rows],
            "state": state.whole_state(phase.model),
            "held": sum(
                p.to_local().numel() if isinstance(p, DTensor) else p.numel()
                for p in trainer.trained
            ),
            "trained": sum(p.numel() for p in trainer.trained),
        }
    torch.save(found, out / f"{distributed.world_size()}-{distributed.rank()}.pt")
    if distributed.world_size() > 1:
        _resumed(data, out / "fsdp", ("fsdp", "fsdp"))
        _resumed(data, out / "tensor", ("tensor", "tensor"))
        _resumed(data, out / "fsdp-ddp", ("fsdp", "ddp"))


def _resumed(data: Data, folder: Path, ways: tuple[str, str]) -> None:
    """Train four steps in one folder, and in another two in each way."""
    torch.manual_seed(0)
    vqvae = VQVAE(small().vqvae)
    for part, sessions in (("whole", [(4, ways[0])]), ("parts", [(2, ways[0]), (4, ways[1])])):
        for steps, way in sessions:
            recipe = settings(way, steps=steps, precision="bf16")
            done = train_gpt(data, vqvae, small(), recipe, folder=folder / part)
        torch.save(done.model.state_dict(), folder / f"{part}-{distributed.rank()}.pt")
