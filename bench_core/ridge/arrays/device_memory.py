"""Memory of a GPU that a fit may use, by one process or by several that share it."""

from __future__ import annotations

import importlib
import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench_core.errors import InputError
from bench_core.ridge.arrays.backend import Device, find_device

DEVICE_ROOM = 0.05
"""Part of a GPU's free memory that is left to torch's libraries and to gaps between its blocks."""


@dataclass(frozen=True)
class DeviceBudget:
    """Memory of a GPU as one process sees it.

    place : what tells it from all other GPUs, on any host. free : bytes that no process has.
    unused : bytes that this process has taken from it and does not use.

    Examples
    --------
    >>> alone, both = DeviceBudget("a", 8000, 400), DeviceBudget("b", 6000, 0)
    >>> smallest_share([alone, both, both])
    2850
    """

    place: str
    free: int
    unused: int


def device_budget(device: Device, cuda: Any = None) -> DeviceBudget | None:
    """Return the memory of a GPU; None for the processor.

    cuda : ``torch.cuda``, or what stands for it in a test.
    """
    if not device.name.startswith("cuda"):
        return None
    cuda = cuda or importlib.import_module("torch").cuda
    name = device.torch_name
    free, _ = cuda.mem_get_info(name)
    unused = cuda.memory_reserved(name) - cuda.memory_allocated(name)
    identity = getattr(cuda.get_device_properties(name), "uuid", None)
    place = f"{socket.gethostname()} {name}" if identity is None else str(identity)
    return DeviceBudget(place, int(free), int(unused))


def budget_here(name: str) -> DeviceBudget | None:
    """Return the memory of the GPU called ``name``; None for the processor, or where it is not.

    Plans are made where no GPU is, too. The fit itself says what is missing.
    """
    try:
        return device_budget(find_device(name))
    except InputError:
        return None


def within_device(name: str, limit: int | None = None, processes: int = 1) -> int | None:
    """Return the bytes that each of ``processes`` on the GPU called ``name`` may use.

    The lesser of their share and of ``limit``; ``limit`` where no GPU is.
    """
    return least(limit, smallest_share([budget_here(name)] * processes))


def least(*limits: int | None) -> int | None:
    """Return the smallest of the limits that there are; None without any.

    >>> least(None, 7, 5), least(None)
    (5, None)
    """
    return min((one for one in limits if one is not None), default=None)


def smallest_share(budgets: Sequence[DeviceBudget | None]) -> int | None:
    """Return the bytes that every one of some processes may use; None where one has no GPU.

    Processes of one GPU share what is free there.
    """
    found = [one for one in budgets if one is not None]
    if not found or len(found) < len(budgets):
        return None
    sharing = Counter(one.place for one in found)
    free = {
        place: min(one.free for one in found if one.place == place) // count
        for place, count in sharing.items()
    }
    return min(int((free[one.place] + one.unused) * (1 - DEVICE_ROOM)) for one in found)
