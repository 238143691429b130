"""Computations that stay in single precision under autocast."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Return a context without autocast; the device "meta" has none to switch off."""
    if device.type == "meta":
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def at_least_single(x: Tensor) -> Tensor:
    """Return ``x`` in single precision, or unchanged in double precision."""
    return x if x.dtype == torch.float64 else x.float()
