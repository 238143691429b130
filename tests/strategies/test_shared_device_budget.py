"""bmor-shared keeps to the memory of its nodes' GPUs; here one that stands for them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from bench_core import strategies
from bench_core.errors import ResourceError
from bench_core.ridge.arrays import device_memory
from bench_core.ridge.arrays.backend import Device
from bench_core.ridge.arrays.device_memory import DEVICE_ROOM, DeviceBudget
from bench_core.ridge.planning.flops import FitShape
from bench_core.scaling.node_plans import plan_nodes
from bench_core.strategies import _shared_nodes

GIB = 2**30
SIZE = (4000, 16_384, 264_805, "float32")
GPU = FitShape(4000, 16_384, 264_805, 11, dtype="float32", coef="file", on_gpu=True)


def strategy(**options):
    return strategies.get("bmor-shared")(np.logspace(0, 4, 11), device="cuda", **options)


@pytest.fixture
def gpu(monkeypatch):
    """Let plans be made for a GPU that is not here; return what is free on it."""
    free = SimpleNamespace(bytes=40 * GIB)
    monkeypatch.setattr(device_memory, "find_device", lambda name: Device("cuda:0"))
    monkeypatch.setattr(
        device_memory, "device_budget", lambda device: DeviceBudget("GPU-1", free.bytes, 0)
    )
    return free


def test_blocks_stream_through_what_there_is():
    free = plan_nodes(GPU, 2)
    limit = int(max(free.node_bytes) * 0.9)
    tight = plan_nodes(GPU, 2, memory_limit=limit)
    assert max(tight.node_bytes) <= limit
    assert tight.width < free.width
    assert plan_nodes(GPU, 2, memory_limit=max(free.node_bytes)) == free


def test_what_no_plan_fits_is_refused_with_its_bytes():
    with pytest.raises(ResourceError, match="GPU") as error:
        plan_nodes(GPU, 2, memory_limit=GIB // 4)
    needed = int(str(error.value).partition("(")[2].partition(" bytes")[0])
    assert needed > GIB // 4
    assert max(plan_nodes(GPU, 2, memory_limit=needed).node_bytes) <= needed


@pytest.mark.parametrize("factorise", ["one", "each"])
@pytest.mark.parametrize("per_target", [False, True])
def test_every_way_of_a_limited_plan_keeps_to_it(factorise, per_target):
    shape = FitShape(
        400, 900, 20_000, 5, each=per_target, per_target=per_target, coef="file", on_gpu=True
    )
    whole = plan_nodes(shape, 3, factorise=factorise)
    for part in (0.9, 0.5, 0.3):
        limit = int(max(whole.node_bytes) * part)
        found = plan_nodes(shape, 3, factorise=factorise, memory_limit=limit)
        assert max(found.node_bytes) <= limit
        assert found.factorise == factorise


def test_nodes_that_share_a_gpu_share_its_memory(gpu):
    free = strategy().plan(*SIZE, nodes=2)
    gpu.bytes = 2 * int(max(free.node_bytes) * 0.9)
    assert strategy().plan(*SIZE, nodes=1).node_bytes <= (gpu.bytes,)
    two = strategy().plan(*SIZE, nodes=2)
    assert max(two.node_bytes) <= gpu.bytes / 2 < max(free.node_bytes)
    with pytest.raises(ResourceError):
        strategy().plan(*SIZE, nodes=8)


def test_the_nodes_are_asked_and_the_least_counts(gpu):
    asked = []

    class Cluster:
        def run(self, function, *arguments):
            asked.append((function, arguments))
            return [DeviceBudget("a", 8 * GIB, 0), DeviceBudget("b", 6 * GIB, GIB)]

    model = strategy()
    assert model._limit(Cluster()) == int(7 * GIB * (1 - DEVICE_ROOM))
    assert asked == [(_shared_nodes.budget, ("cuda",))]
    assert strategies.get("bmor-shared")()._limit(Cluster()) is None
    assert len(asked) == 1


def test_without_a_gpu_here_plans_are_made_all_the_same():
    free = strategies.get("bmor-shared")(np.logspace(0, 4, 11), device="cuda")
    assert free.plan(*SIZE, nodes=2).peak_bytes > 0
    assert _shared_nodes.budget("cpu") is None


def banded(**options):
    spaces = {"a": 4096, "b": 12_288}
    return strategies.get("banded-shared")(
        np.logspace(0, 4, 11), device="cuda", spaces=spaces, candidates=4, refine=0, **options
    )


@pytest.mark.parametrize("per_target", [False, True])
def test_banded_nodes_keep_to_their_share(gpu, per_target):
    model = banded(alpha_per_target=per_target)
    free = model.plan(*SIZE, nodes=2)
    # Coefficients, 16 GiB, are on scratch.
    assert max(free.node_bytes) < 8 * GIB
    gpu.bytes = 2 * int(max(free.node_bytes) * 0.95 / (1 - DEVICE_ROOM))
    tight = model.plan(*SIZE, nodes=2)
    assert max(tight.node_bytes) <= 0.95 * max(free.node_bytes) + 1
    limited = banded(alpha_per_target=per_target, memory_limit=2 * max(tight.node_bytes))
    assert limited.plan(*SIZE, nodes=2).node_bytes == tight.node_bytes
    gpu.bytes = GIB // 8
    with pytest.raises(ResourceError, match="GPU"):
        model.plan(*SIZE, nodes=2)
    on_processor = strategies.get("banded-shared")(np.logspace(0, 4, 11))
    assert on_processor.plan(*SIZE, nodes=2).peak_bytes > 0
