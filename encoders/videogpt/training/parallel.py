"""Ways in which several processes share one training, and what is whole of it.

- ``ddp`` (DistributedDataParallel): every process has the whole model and a part of the batch.
- ``fsdp`` (FSDP2): as ``ddp``, and parameters, gradients and Adam's moments are divided among the
  processes. Those of one block at a time are gathered to compute.
- ``tensor`` (tensor parallel; Shoeybi et al. 2019, Megatron-LM): every process has the whole batch
  and a part of each block: some heads of both attentions, some hidden units of the MLP. Two sums
  over processes join the parts of a sub-block. The rest of the model is on every process.

Checkpoints are whole: one written in any of these ways is read in any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    RowwiseParallel,
    parallelize_module,
)
from torch.nn.parallel import DistributedDataParallel

from bench_core.errors import InputError
from encoders.videogpt import distributed
from encoders.videogpt.attention import MultiHeadAttention
from encoders.videogpt.training.phases import GPTPhase, Phase
from encoders.videogpt.training.settings import Parallel
from encoders.videogpt.transformer import AttentionBlock

T = TypeVar("T", bound=Tensor)


def divide(phase: Phase, parallel: Parallel, device: torch.device) -> None:
    """Divide the parameters of ``phase`` among the processes, in place; call before the optimiser.

    With one process, or with ``ddp``, nothing is divided.

    Raises `InputError` where ``tensor`` cannot divide the model.
    """
    if distributed.world_size() == 1 or parallel == "ddp":
        return
    mesh = init_device_mesh(device.type, (distributed.world_size(),))
    blocks = [module for module in phase.modules() if isinstance(module, AttentionBlock)]
    if parallel == "fsdp":
        for block in blocks:
            fully_shard(block, mesh=mesh)
        fully_shard(phase, mesh=mesh)
        return
    if not isinstance(phase, GPTPhase):
        raise InputError(
            "parallel 'tensor' divides the GPT's heads, and the VQ-VAE has none of them: use "
            "'ddp' or 'fsdp'"
        )
    for block in blocks:
        _divide_block(block, mesh)


def divided(phase: Phase) -> bool:
    """Say whether processes have parts of the parameters of ``phase``."""
    return any(isinstance(p, DTensor) for p in phase.parameters())


def wrapped(phase: Phase, parallel: Parallel) -> nn.Module:
    """Return the module to call for a loss: ``phase``, wrapped where gradients are averaged."""
    if distributed.world_size() == 1 or parallel != "ddp":
        return phase
    # Buffers are equal on all processes, because their updates are summed over processes: they
    # are not sent at every step. The option has a new name in torch 2.13.
    known = signature(DistributedDataParallel).parameters
    name = "forward_sync_buffers"
    name = name if name in known else "broadcast_buffers"
    return DistributedDataParallel(phase, **{name: False})


def batch_share(parallel: Parallel) -> tuple[int, int]:
    """Return among how many processes a batch is divided, and the number of this one's part."""
    if parallel == "tensor":
        return 1, 0
    return distributed.world_size(), distributed.rank()


def groups(trained: list[nn.Parameter]) -> list[dict[str, list[nn.Parameter]]]:
    """Return the parameters in groups for an optimiser, whose kernels take one kind at a time."""
    return [{"params": kind} for kind in _by_kind(trained)]


def whole(x: Tensor) -> Tensor:
    """Return ``x`` itself, or all of a divided tensor; then every process must call this."""
    return x.full_tensor() if isinstance(x, DTensor) else x


def placed(x: Tensor, like: Tensor) -> Tensor:
    """Return the whole ``x`` divided as ``like`` is; every process must call this."""
    if not isinstance(like, DTensor):
        return x
    return distribute_tensor(x.to(like.device), like.device_mesh, like.placements)


def total_norm(gradients: list[Tensor]) -> Tensor:
    """Return the norm of all gradients together, divided or not."""
    norms = [whole(nn.utils.get_total_norm(kind)) for kind in _by_kind(gradients)]
    return torch.linalg.vector_norm(torch.stack(norms))


def clip(trained: list[nn.Parameter], largest: float, norm: Tensor) -> None:
    """Scale all gradients by ``largest`` / ``norm`` where that is below 1."""
    for kind in _by_kind(trained):
        nn.utils.clip_grads_with_norm_(kind, largest, norm)


def _by_kind(tensors: Sequence[T]) -> list[list[T]]:
    """Return the divided tensors and the others, each kind where there is one."""
    kinds = [[x for x in tensors if isinstance(x, DTensor) == kind] for kind in (True, False)]
    return [kind for kind in kinds if kind]


def _divide_block(block: AttentionBlock, mesh: DeviceMesh) -> None:
    count = mesh.size()
    plan: dict[str, ParallelStyle] = {
        "fc_block.0": ColwiseParallel(),
        "fc_block.2": RowwiseParallel(),
    }
    for name in ("attn", "enc_attn"):
        attention = block.get_submodule(name)
        assert isinstance(attention, MultiHeadAttention)
        if attention.heads % count:
            raise InputError(
                f"parallel 'tensor' gives each of {count} processes as many heads, and there are "
                f"{attention.heads}: use a number of processes that divides them"
            )
        attention.heads //= count
        plan |= {f"{name}.{part}": ColwiseParallel() for part in ("w_qs", "w_ks", "w_vs")}
        plan[f"{name}.fc"] = RowwiseParallel()
    parallelize_module(block, mesh, plan)
