"""The process group of torchrun, and the device of this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist

from encoders.devices import checked_device


@contextmanager
def process_group(device: str = "auto") -> Iterator[torch.device]:
    """Join torchrun's process group, if there is one, and yield the device.

    The group is left with the context. It uses nccl on GPUs and gloo on CPUs.

    Parameters
    ----------
    device : a name for `torch.device`, or ``"auto"``: the GPU of this process's local rank where
        CUDA is available, else the CPU.

    Raises `InputError` for a device that torch does not find here.

    Examples
    --------
    >>> with process_group("cpu") as device:
    ...     device
    device(type='cpu')
    """
    chosen = checked_device(device if device != "auto" else _default_device())
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


def _default_device() -> str:
    if torch.cuda.is_available():
        return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    return "cpu"
