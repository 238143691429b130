"""The devices that tests run on, in one place: numpy, torch on the processor, and a GPU.

What cannot run here is skipped with the reason that ridgebench itself gives.
"""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from bench_core.errors import InputError
from bench_core.ridge.arrays.backend import find_device

needs_torch = pytest.mark.skipif(
    find_spec("torch") is None, reason="torch is not installed (extra: torch)"
)


def reason_to_skip(name: str) -> str | None:
    """Return why a device cannot be used here, None if it can."""
    try:
        find_device(name)
    except InputError as error:
        return str(error)
    return None


def usable_device(name: str) -> str:
    """Return ``name``, or skip the test that asks with the reason.

    torch gets one thread: its pool waits badly for cores that other tests hold.
    """
    reason = reason_to_skip(name)
    if reason is not None:
        pytest.skip(reason)
    if name != "cpu":
        import torch

        torch.set_num_threads(1)
    return name


torch_devices = pytest.mark.parametrize("device", ["torch", "cuda"], indirect=True)
"""Run a test that takes ``device`` with torch alone; without this it runs on every device."""
