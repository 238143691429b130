"""Problems of two feature spaces of which some targets follow one, some the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Planted:
    """X (t, p) in two spaces, Y (t, s); target k follows space ``follows[k]``, 2 for both."""

    X: NDArray[np.float64]
    Y: NDArray[np.float64]
    spaces: NDArray[np.intp]
    runs: NDArray[np.intp]
    follows: NDArray[np.intp]

    def split(self, t: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the rows before t and from t on."""
        return np.arange(t), np.arange(t, len(self.X))


def planted(
    t: int = 200,
    sizes: tuple[int, int] = (60, 240),
    s: int = 30,
    *,
    noise: float = 1.0,
    seed: int = 0,
    runs: int = 5,
) -> Planted:
    """Return a problem: a third of the targets follows the first space, a third the second."""
    rng = np.random.default_rng(seed)
    spaces = np.repeat([0, 1], sizes)
    X = rng.standard_normal((t, len(spaces))) + 0.5
    follows = np.arange(s) % 3
    Y = noise * rng.standard_normal((t, s)) + 2.0
    for k, kind in enumerate(follows):
        own = np.flatnonzero((spaces == kind) | (kind == 2))
        Y[:, k] += X[:, own] @ rng.standard_normal(len(own)) / np.sqrt(len(own))
    return Planted(X, Y, spaces, np.arange(t) * runs // t, follows)
