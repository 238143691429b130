"""One of the processes that train a GPT together; torchrun starts it with JOB.json and OUT.json.

The first of them, by its number, answers its caller and reports progress.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from bench_core.errors import RidgebenchError
from bench_core.machine import peak_memory
from bench_core.progress import Progress
from bench_core.records import codec
from bench_core.runner.protocol import Keep, serve
from bench_core.study.cells import open_clips, training_data
from bench_core.study.together import ProcessesFailedError, TrainJob, TrainResult
from bench_core.study.training import fit_gpt
from encoders.videogpt import distributed
from encoders.videogpt.checkpoint import load_vqvae
from encoders.videogpt.training.launch import process_group


def _work(job: TrainJob, progress: Progress, keep: Keep) -> TrainResult:
    torch.set_num_threads(job.threads)
    settings = job.settings
    # A GPU each: the one of the process's number.
    device = "auto" if settings.device in ("auto", "cuda") else settings.device
    try:
        with process_group(device) as place:
            train, _ = open_clips(settings)
            found = training_data(settings, job.cell, train)
            vqvae = load_vqvae(job.vqvae)
            fit_gpt(settings, job.cell, found, vqvae, job.folder, job.teacher, place, progress)
            gpu = torch.cuda.max_memory_allocated(place) if place.type == "cuda" else None
            used = _of_all((peak_memory(), gpu))
    except Exception as error:
        own = isinstance(error, RidgebenchError)
        reason = str(error) if own else f"{type(error).__name__}: {error}"
        left = TrainResult("failed", reason, type(error).__name__)
        codec.write(left, job.failures / f"{_number()}.json")
        # Its status ends the others, which would wait for it.
        raise ProcessesFailedError(reason) from error
    return TrainResult(
        "ok",
        peak_memory_bytes=tuple(memory for memory, _ in used),
        peak_gpu_bytes=tuple(on_gpu for _, on_gpu in used if on_gpu is not None),
    )


def _of_all(value: tuple[int, int | None]) -> list[tuple[int, int | None]]:
    """Return the ``value`` of every process, by its number."""
    found: list[tuple[int, int | None]] = [value] * distributed.world_size()
    if distributed.world_size() > 1:
        dist.all_gather_object(found, value)
    return found


def _number() -> int:
    return int(os.environ.get("RANK", "0"))


def _answers(out: str) -> str:
    """Return where this process writes its result: only the first one's is read."""
    if _number() == 0:
        return out
    place = Path(out).parent / f"process-{_number()}"
    place.mkdir(exist_ok=True)
    return str(place / "out.json")


if __name__ == "__main__":
    serve(_work, TrainJob, TrainResult, sys.argv[1], _answers(sys.argv[2]))
