"""The samples of each training step and process, as a function of the seed alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError


@dataclass(frozen=True)
class Order:
    """The order of ``samples`` in training, shuffled again in every epoch.

    A step has ``batch_size`` samples for each of ``processes``. Epochs follow one another without
    a gap, so that every sample is used and every batch is full. The batches of the processes are
    the consecutive parts of the batch of one process that is ``processes`` times as large.

    Raises `InputError` without samples.

    Examples
    --------
    >>> order = Order(samples=4, batch_size=2, seed=0)
    >>> sorted([*order.at(0).tolist(), *order.at(1).tolist()])
    [0, 1, 2, 3]
    """

    samples: int
    batch_size: int
    seed: int
    processes: int = 1
    process: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise InputError(f"{self.samples} samples to train on: give 1 or more")

    def at(self, step: int) -> NDArray[np.int64]:
        """Return the samples (batch_size,) of this process at ``step``, counted from 0."""
        first = (step * self.processes + self.process) * self.batch_size
        places = np.arange(first, first + self.batch_size)
        epochs, within = np.divmod(places, self.samples)
        chosen = np.empty(self.batch_size, dtype=np.int64)
        for epoch in np.unique(epochs):
            mine = epochs == epoch
            chosen[mine] = self._shuffled(int(epoch))[within[mine]]
        return chosen

    def _shuffled(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([self.seed, epoch]).permutation(self.samples)
