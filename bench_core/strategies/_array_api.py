"""scikit-learn on torch arrays, by the array API standard: what it needs, and its arrays' way.

scikit-learn dispatches to torch where it is told to, and only where ``SCIPY_ARRAY_API=1`` was set
before scipy was imported (https://scikit-learn.org/stable/modules/array_api.html). Workers of
`bench_core.runner` are given the variable; elsewhere it has to be set before Python starts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn import config_context

from bench_core.errors import InputError
from bench_core.ridge.arrays.backend import Array, Device, full_float32_products

VARIABLE = {"SCIPY_ARRAY_API": "1"}
"""What scikit-learn wants to find in the environment of its process."""


def needed_variables(device: str) -> dict[str, str]:
    """Return the variables that a fit on ``device`` needs, none for numpy's "cpu"."""
    return {} if device == "cpu" else VARIABLE


def check_dispatch(estimator: Any, device: str) -> None:
    """Raise `InputError` where this scikit-learn cannot fit ``estimator`` in torch."""
    if device == "cpu":
        return
    tags = getattr(estimator, "__sklearn_tags__", None)
    if tags is None or not getattr(tags(), "array_api_support", False):
        raise InputError(
            f"device = {device!r}: {type(estimator).__name__} of scikit-learn "
            f"{sklearn.__version__} takes numpy arrays only; upgrade it to 1.9, or use device='cpu'"
        )


@contextmanager
def dispatched(device: Device) -> Iterator[None]:
    """Let scikit-learn compute on ``device`` meanwhile; finite values are taken for granted.

    Raises `InputError` where the process lacks the variable.
    """
    if device.is_numpy:
        with config_context(assume_finite=True):
            yield
        return
    if any(os.environ.get(name) != value for name, value in VARIABLE.items()):
        wanted = " ".join(f"{name}={value}" for name, value in VARIABLE.items())
        raise InputError(
            f"device = {device.name!r}: scikit-learn computes in torch only where {wanted} is set "
            "before Python starts; set it, or use device='cpu'"
        )
    with (
        config_context(assume_finite=True, array_api_dispatch=True),
        full_float32_products(device),
    ):
        yield


def put(device: Device, array: NDArray[Any]) -> Array:
    """Return an array on ``device``; what is not of floating point becomes float64 off numpy."""
    if device.is_numpy:
        return array
    single = array.dtype == np.float32
    return device.put(array, np.float32 if single else np.float64)
