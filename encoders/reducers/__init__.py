"""Fewer features: reducers by name, one file each, applied before features are stored.

A reducer is a class whose instances have the methods of `Reducer`; those that must be fitted have
the methods of `FittedReducer` too, and come last. Third parties add one through the entry-point
group ``ridgebench.reducers``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError
from bench_core.plugins import Registry

REDUCERS = Registry("reducer", "encoders.reducers", "REDUCER", "ridgebench.reducers")


class Reducer(Protocol):
    """Turns a layer's output into fewer features, sample by sample."""

    def identity(self) -> Mapping[str, Any]:
        """Return what, in terms of JSON, tells this reducer's results from others'."""

    def reduce(self, features: NDArray[Any], channel_axis: int) -> NDArray[Any]:
        """Return (n, …) ``features``, whose channels are on ``channel_axis``, as (n, q)."""


@runtime_checkable
class FittedReducer(Reducer, Protocol):
    """A reducer that learns from the training runs' features (n, q) before it reduces any."""

    def fit(self, batches: Iterable[NDArray[Any]], shape: tuple[int, int]) -> None:
        """Learn from ``batches`` of rows, ``shape`` in all; read once."""

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return the arrays that `restore` needs."""

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Become what another reducer was when it gave ``state``."""


def parse(text: str) -> list[Reducer]:
    """Return the reducers named in ``text``, first to last: ``"pool"``, ``"project=512,pca=50"``.

    A number after ``=`` is the reducer's first parameter. Raises `UnknownNameError` with near
    names, and `InputError` for a number that is none or a reducer that takes or needs one.
    """
    found: list[Reducer] = []
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        factory = REDUCERS.get(name)
        try:
            found.append(factory(int(value)) if equals else factory())
        except (TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"reducer {part.strip()!r}: write none, pool, project=COUNT or pca=COUNT"
            ) from error
    check_order(found)
    return found


def check_order(reducers: Sequence[Reducer]) -> None:
    """Raise `InputError` unless a fitted reducer, if there is one, is the last."""
    for reducer in reducers[:-1]:
        if isinstance(reducer, FittedReducer):
            raise InputError(
                f"{reducer.identity()['name']} is fitted, so it must be the last reducer"
            )


def label(reducers: Sequence[Reducer]) -> str:
    """Return the reducers' names joined for a file name: ``"project-pca"``."""
    return "-".join(str(reducer.identity()["name"]) for reducer in reducers) or "none"


def check_count(count: int, what: str) -> int:
    """Return ``count`` if it is a whole number above 0, raise `InputError` otherwise."""
    if count != int(count) or count < 1:
        raise InputError(f"{count} {what}: give 1 or more")
    return int(count)


def flatten(features: NDArray[Any]) -> NDArray[Any]:
    """Return (n, …) as (n, q): every value a feature."""
    return np.ascontiguousarray(features).reshape(len(features), -1)
