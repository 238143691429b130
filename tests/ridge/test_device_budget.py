"""Memory of a GPU is a limit of plans: read from the device, here from one that stands for it."""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench_core.errors import InputError, ResourceError
from bench_core.ridge import MultiTargetRidgeCV
from bench_core.ridge.arrays import device_memory
from bench_core.ridge.arrays.backend import Device, find_device
from bench_core.ridge.arrays.device_memory import (
    DEVICE_ROOM,
    DeviceBudget,
    device_budget,
    smallest_share,
)
from bench_core.ridge.banded import BandedRidgeCV
from tests.devices import needs_torch, reason_to_skip

GIB = 2**30


@dataclass
class Cuda:
    """What torch.cuda says of a device."""

    free: int
    reserved: int = 0
    allocated: int = 0
    uuid: str | None = "GPU-1"

    def get_device_properties(self, device: str) -> Any:
        return SimpleNamespace(**({} if self.uuid is None else {"uuid": self.uuid}))

    def mem_get_info(self, device: str) -> tuple[int, int]:
        assert device == "cuda:1"
        return self.free, 80 * GIB

    def memory_reserved(self, device: str) -> int:
        return self.reserved

    def memory_allocated(self, device: str) -> int:
        return self.allocated


def test_what_torch_holds_without_using_it_is_free() -> None:
    gpu = Device("cuda:1")
    held = Cuda(10 * GIB, reserved=14 * GIB, allocated=4 * GIB)
    for cuda in (Cuda(20 * GIB), held):
        assert smallest_share([device_budget(gpu, cuda)]) == pytest.approx(19 * GIB)


@pytest.mark.parametrize("name", ["cpu", "torch"])
def test_the_processor_has_no_budget(name: str) -> None:
    assert device_budget(Device(name), Cuda(GIB)) is None


def test_a_gpu_is_known_by_its_identity_on_any_host() -> None:
    known = device_budget(Device("cuda:1"), Cuda(GIB, reserved=5, allocated=3))
    assert known == DeviceBudget("GPU-1", GIB, 2)
    nameless = device_budget(Device("cuda:1"), Cuda(GIB, uuid=None))
    assert nameless is not None
    assert nameless.place == f"{socket.gethostname()} cuda:1"


def test_processes_of_one_gpu_share_what_is_free_there() -> None:
    room = 1 - DEVICE_ROOM
    first, second = DeviceBudget("a", 8 * GIB, GIB), DeviceBudget("a", 7 * GIB, 0)
    other = DeviceBudget("b", 5 * GIB, 0)
    assert smallest_share([first]) == pytest.approx(9 * GIB * room)
    # 7 GiB are free for both, and the second has nothing else.
    assert smallest_share([first, second]) == pytest.approx(3.5 * GIB * room)
    assert smallest_share([first, other]) == pytest.approx(5 * GIB * room)
    assert smallest_share([first, second, other]) == pytest.approx(3.5 * GIB * room)
    assert smallest_share([first, None]) is None
    assert smallest_share([]) is None


@pytest.mark.parametrize("name", ["cuda", "torch"])
def test_a_device_without_torch_says_what_is_missing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "torch" in str(reason_to_skip(name))
    assert reason_to_skip("cpu") is None


@needs_torch
def test_gpus_are_those_that_torch_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "no CUDA GPU" in str(reason_to_skip("cuda"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert find_device("cuda") == Device("cuda:0")
    assert find_device("cuda:1").torch_name == "cuda:1"
    for absent in ("cuda:2", "cuda:x"):
        with pytest.raises(InputError, match=absent):
            find_device(absent)
    waited: list[str] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    settle = find_device("cuda:1").settle
    assert settle is not None
    settle()
    assert waited == ["cuda:1"]
    assert find_device("torch").settle is None


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Cuda:
    """Let plans be made for a GPU that is not here."""
    cuda = Cuda(8 * GIB)
    monkeypatch.setattr(device_memory, "find_device", lambda name: Device("cuda:1"))
    monkeypatch.setattr(device_memory, "device_budget", lambda device: device_budget(device, cuda))
    return cuda


def plan(**options: Any) -> Any:
    model = MultiTargetRidgeCV(np.logspace(0, 4, 11), device="cuda:1", **options)
    return model.plan_shape(4000, 16_384, 264_805, np.float32)


def test_a_plan_keeps_to_what_is_free(gpu: Cuda) -> None:
    free = plan()
    assert free.peak_bytes <= 8 * GIB * 0.95
    assert free.slowdown is None
    # Coefficients, 16 GiB, are on the host.
    assert free.shape.coef == "memory"
    gpu.free = int(free.peak_bytes / 0.9)
    tight = plan()
    assert tight.peak_bytes <= free.peak_bytes
    gpu.free = int(free.peak_bytes * 0.9)
    assert plan().width < free.width  # blocks of targets stream through what there is


def test_a_memory_limit_caps_what_is_free(gpu: Cuda) -> None:
    free = plan()
    limit = int(free.peak_bytes * 0.9)
    capped = plan(memory_limit=limit)
    assert capped.peak_bytes <= limit
    assert plan(memory_limit=100 * GIB) == free


def test_what_no_plan_fits_is_refused_with_its_bytes(gpu: Cuda) -> None:
    gpu.free = GIB // 4
    with pytest.raises(ResourceError, match="GPU") as error:
        plan()
    assert "bytes" in str(error.value)
    assert "memory_limit" not in str(error.value)


def test_the_same_fit_on_the_processor_has_no_limit() -> None:
    model = MultiTargetRidgeCV([1.0, 10.0])
    assert model.plan_shape(400, 500, 600, np.float32).slowdown is None


def banded(per_target: bool = False, **options: Any) -> Any:
    model = BandedRidgeCV(
        np.logspace(0, 4, 11),
        spaces=np.arange(16_384) // 8192,
        candidates=4,
        refine=0,
        device="cuda:1",
        alpha_per_target=per_target,
        **options,
    )
    return model.plan_shape(4000, 16_384, 264_805, np.float32)


@pytest.mark.parametrize("per_target", [False, True])
def test_a_banded_plan_keeps_to_what_is_free(gpu: Cuda, per_target: bool) -> None:
    free = banded(per_target)
    assert free.shape.coef == "memory"  # of the host: 16 GiB
    assert free.peak_bytes <= 8 * GIB * (1 - DEVICE_ROOM)
    gpu.free = int(free.peak_bytes * 0.95 / (1 - DEVICE_ROOM))
    tight = banded(per_target)
    assert tight.peak_bytes <= free.peak_bytes * 0.95
    assert (tight.width, tight.solved) < (free.width, free.solved)
    gpu.free = 8 * GIB
    assert banded(per_target, memory_limit=tight.peak_bytes) == tight
    gpu.free = GIB // 8
    with pytest.raises(ResourceError, match="GPU") as error:
        banded(per_target)
    assert "bytes" in str(error.value)
    assert "memory_limit" not in str(error.value)
