"""Layers' outputs, of torch or of numpy, and the names of layers; nothing here needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError, unknown


def as_array(output: Any) -> NDArray[Any]:
    """Return a layer's output as a numpy array of at least single precision.

    >>> [as_array(np.zeros(2, dtype)).dtype.name for dtype in ("float16", "float64")]
    ['float32', 'float64']
    """
    if isinstance(output, np.ndarray):
        return output.astype(np.promote_types(output.dtype, np.float32), copy=False)
    found: NDArray[Any] = output.detach().float().cpu().numpy()
    return found


def check_layers(layers: Sequence[str], known: Sequence[str]) -> None:
    """Raise `UnknownNameError`, with near names, unless all ``layers`` are ``known``.

    Raises `InputError` for no layer.
    """
    if not layers:
        raise InputError("no layer given: name one or more")
    for layer in layers:
        if layer not in known:
            raise unknown("layer", layer, known)
