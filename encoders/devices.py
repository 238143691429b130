"""The device of a network, checked before anything is computed."""

from __future__ import annotations

import torch

from bench_core.errors import InputError


def checked_device(device: str | torch.device) -> torch.device:
    """Return the device; raise `InputError` for one that torch does not know or find here.

    >>> checked_device("cpu")
    device(type='cpu')
    """
    try:
        found = torch.device(device)
        if found.type == "cuda":  # without the memory that a first tensor takes
            if (found.index or 0) >= torch.cuda.device_count():
                raise RuntimeError(f"torch finds {torch.cuda.device_count()} GPUs")
        elif found.type != "cpu":
            torch.empty(1, device=found)
    except Exception as error:  # RuntimeError, AssertionError, NotImplementedError
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise InputError(
            f"device {str(device)!r} cannot be used here ({reason}): torch finds {_here()}"
        ) from None
    return found


def _here() -> str:
    names = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        names.append("mps")
    return ", ".join(names)
