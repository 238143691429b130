"""Operators of all candidates, one after another."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bench_core.ridge.arrays.backend import Array
from bench_core.ridge.banded.held_out import Operator, fold_operators, leave_one_out
from bench_core.ridge.banded.kernels import SpaceKernels
from bench_core.ridge.banded.scores import SearchSettings

DOING = "comparing candidates"


def candidate_operators(
    kernels: SpaceKernels,
    weights: NDArray[np.float64],
    settings: SearchSettings,
    wanted: Container[int] | None = None,
) -> Iterator[tuple[int, Sequence[Operator] | None]]:
    """Yield the number of every candidate, or of those wanted, and its operators.

    Number i · r + j has the weights i, of (n, spaces), and the penalty j. There are no operators
    where the penalty is too small.
    """
    r = len(settings.alphas)
    for i, weight in enumerate(weights * kernels.scales):
        numbers = [n for n in range(i * r, (i + 1) * r) if wanted is None or n in wanted]
        if not numbers:
            continue
        K = kernels.combined(weight)
        for number in numbers:
            yield number, _held_out(K + 0.0, float(settings.alphas[number - i * r]), settings)


def ordered(Y: Array, order: NDArray[np.intp] | None) -> Array:
    """Return the rows of a block in the order of the folds, C-contiguous."""
    if isinstance(Y, np.ndarray):
        return np.ascontiguousarray(Y) if order is None else Y[order]
    import torch

    return Y.contiguous() if order is None else Y[torch.as_tensor(order, device=Y.device)]


def _held_out(K: Array, alpha: float, settings: SearchSettings) -> Sequence[Operator] | None:
    """Return the operators of all folds, or of leave-one-out, for a kernel that is overwritten."""
    if settings.loo:
        return leave_one_out(K, alpha, intercept=settings.intercept)
    return fold_operators(K, alpha, settings.folds, intercept=settings.intercept)
