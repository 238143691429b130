"""What r a fit reaches when there is nothing to find."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def shuffled_rows(t: int, *, seed: int = 0) -> NDArray[np.intp]:
    """Return a seeded permutation (t,): train on ``X[shuffled_rows(t)]`` with Y as it is.

    Rows of X and Y then no longer belong together while both keep their own distribution, so
    held-out r is what chance gives.
    """
    return np.random.default_rng([seed, t]).permutation(t)
