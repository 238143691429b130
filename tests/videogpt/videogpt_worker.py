"""Trains both phases for a few steps and saves gradients, losses and weights: run by torchrun.

Started as a program it runs `videogpt_parallel_worker` too: starting two processes takes seconds.
"""

import sys
from pathlib import Path

import torch
import videogpt_parallel_worker
from videogpt_small import small

from encoders.videogpt import distributed
from encoders.videogpt.clips.store import ClipStore
from encoders.videogpt.gpt import VideoGPT
from encoders.videogpt.training.launch import process_group
from encoders.videogpt.training.loop import Trainer
from encoders.videogpt.training.phases import GPTPhase, VQVAEPhase
from encoders.videogpt.training.runs import Data, train_vqvae
from encoders.videogpt.training.settings import TrainSettings
from encoders.videogpt.vqvae import VQVAE

TOGETHER = 4
STEPS = 3
# Of plain gradient descent: steps that lower the loss by some percent.
RATES = {"vqvae": 3e-4, "gpt": 1e-5}


def run(clips: Path, out: Path) -> None:
    data = Data(ClipStore(clips))
    found = {}
    for name, frames in (("vqvae", 4), ("gpt", 8)):
        settings = TrainSettings(
            steps=STEPS, batch_size=TOGETHER // distributed.world_size(), learning_rate=RATES[name]
        )
        torch.manual_seed(0)
        phase = (
            VQVAEPhase(VQVAE(small().vqvae))
            if name == "vqvae"
            else GPTPhase(VideoGPT(small(checkpointing=True)))
        )
        if name == "gpt":
            torch.nn.init.normal_(phase.model.fc_out.weight)
        trainer = Trainer(phase, data.frame_source(frames, 4), settings)
        # Adam divides a gradient by its own size, so that rounding decides the first steps of
        # entries near zero. A step of SGD is linear: weights then differ by rounding alone.
        trained = [p for p in phase.parameters() if p.requires_grad]
        trainer.optimizer = torch.optim.SGD(trained)
        gradients, buffers = [], []

        def keep(row, phase=phase, gradients=gradients, buffers=buffers):
            buffers.append({n: b.clone() for n, b in phase.named_buffers()})
            gradients.append(
                {n: p.grad.clone() for n, p in phase.named_parameters() if p.grad is not None}
            )

        rows = trainer.train(keep)
        found[name] = {
            "losses": [row["loss"] for row in rows],
            "gradients": gradients,
            "buffers": buffers,
            "state": phase.model.state_dict(),
        }
    torch.save(found, out / f"{distributed.world_size()}-{distributed.rank()}.pt")
    # A run with a folder: the first process writes it, all take part in its checkpoint.
    folder = out / f"run-{distributed.world_size()}"
    for steps in (2, 4):
        again = TrainSettings(steps=steps, batch_size=TOGETHER // distributed.world_size())
        train_vqvae(data, small(), again, folder=folder)


if __name__ == "__main__":
    torch.set_num_threads(1)
    with process_group("cpu"):
        clips, out = Path(sys.argv[1]), Path(sys.argv[2])
        run(clips, out / "batches")
        videogpt_parallel_worker.run(clips, out / "ways")
