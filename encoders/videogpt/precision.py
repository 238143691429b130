"""Where single precision is kept although autocast has halved it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Return a context without autocast; shapes only (device "meta") have none to switch off."""
    if device.type == "meta":
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def at_least_single(x: Tensor) -> Tensor:
    """Return ``x`` in single precision, or as it is if it is in double."""
    return x if x.dtype == torch.float64 else x.float()
