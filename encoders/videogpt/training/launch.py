"""Joining the processes that torchrun starts, and choosing this one's device."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist


@contextmanager
def joined(device: str = "auto") -> Iterator[torch.device]:
    """Join torchrun's process group, if there is one, for the time of the context.

    Parameters
    ----------
    device : ``"auto"`` takes the GPU of this process's local rank where CUDA is found, else the
        CPU; anything else is taken as it is.

    Yields the device. Processes talk over nccl on GPUs, over gloo on CPUs.
    """
    chosen = torch.device(device if device != "auto" else _found())
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        yield chosen
        return
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield chosen
    finally:
        dist.destroy_process_group()


def _found() -> str:
    if torch.cuda.is_available():
        return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    return "cpu"
