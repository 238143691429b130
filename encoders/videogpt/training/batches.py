"""Which samples belong to which step and process: a function of the seed, nothing to be saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class Order:
    """The order in which ``samples`` are trained on: shuffled anew in every epoch.

    A step takes ``batch_size`` samples for each of ``processes``; epochs follow one another
    without a gap, so that no sample is left out and no batch is short. Processes take
    neighbouring parts of what one process would take with a batch so many times as large.
    """

    samples: int
    batch_size: int
    seed: int
    processes: int = 1
    process: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise InputError("there are no samples to train on")

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


def ahead(
    make: Callable[[int], Batch], first: int, last: int, depth: int = 2
) -> Iterator[tuple[int, Batch]]:
    """Yield (step, make(step)) for steps ``first`` … ``last`` − 1, made ahead in a thread.

    At most ``depth`` batches wait.
    """
    with ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(make, step) for step in range(first, min(first + depth, last))]
        try:
            for step in range(first, last):
                batch = waiting.pop(0).result()
                if step + depth < last:
                    waiting.append(pool.submit(make, step + depth))
                yield step, batch
        finally:
            for future in waiting:
                future.cancel()
