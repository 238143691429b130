"""Reducers of the number of features, applied before features are stored; one module each.

A reducer is a class whose instances have the methods of `Reducer`. A reducer that must be fitted
also has the methods of `FittedReducer`, and is the last. Other packages add one through the
entry-point group ``ridgebench.reducers``.
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
    """A map from a layer's output to fewer features, sample by sample."""

    def identity(self) -> Mapping[str, Any]:
        """Return a JSON object that differs between reducers with different results."""

    def reduce(self, features: NDArray[Any], channel_axis: int) -> NDArray[Any]:
        """Return (n, …) ``features``, whose channels are on ``channel_axis``, as (n, q)."""


@runtime_checkable
class FittedReducer(Reducer, Protocol):
    """A reducer that must be fitted on the features (n, q) of the training runs."""

    def fit(self, batches: Iterable[NDArray[Any]], shape: tuple[int, int]) -> None:
        """Fit on ``batches`` of rows, ``shape`` = (n, q) in total; each batch is read once."""

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return the arrays that `restore` needs."""

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restore the fit that `state` returned."""


def parse(text: str) -> list[Reducer]:
    """Return the reducers named in ``text``, such as ``"pool"`` or ``"project=512,pca=50"``.

    A number after ``=`` is the reducer's first parameter.

    Raises
    ------
    UnknownNameError : an unknown reducer; the message has near names.
    InputError : a number that is missing, surplus or not an integer, or a fitted reducer that is
        not the last.

    Examples
    --------
    >>> [reducer.identity() for reducer in parse("pool,pca=50")]
    [{'name': 'pool'}, {'name': 'pca', 'components': 50}]
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
    """Return the reducers' names joined for a file name.

    >>> label(parse("project=512,pca=50"))
    'project-pca'
    """
    return "-".join(str(reducer.identity()["name"]) for reducer in reducers) or "none"


def check_count(count: int, what: str) -> int:
    """Return ``count``; raise `InputError` unless it is a whole number above 0."""
    if count != int(count) or count < 1:
        raise InputError(f"{count} {what}: give 1 or more")
    return int(count)


def flatten(features: NDArray[Any]) -> NDArray[Any]:
    """Return ``features`` (n, …) as (n, q)."""
    return np.ascontiguousarray(features).reshape(len(features), -1)
