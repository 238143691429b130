"""Made data without any relation of X and Y, in which rows resemble their neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter


def autoregression(
    rng: np.random.Generator, coefficient: float, n: int, s: int
) -> NDArray[np.float64]:
    """Return s first-order autoregressions of variance 1 (n, s), past their beginning."""
    noise = rng.standard_normal((n + 200, s)) * np.sqrt(1 - coefficient**2)
    found: NDArray[np.float64] = lfilter([1], [1, -coefficient], noise, axis=0)[200:]
    return found


@dataclass(frozen=True, eq=False)
class Unrelated:
    """Smooth and white features X, noise Y of autocorrelation 0.9, the run of every row."""

    X: NDArray[np.float64]
    Y: NDArray[np.float64]
    runs: NDArray[np.intp]
    test: NDArray[np.bool_]

    def predictions(self, penalty: float = 100.0) -> NDArray[np.float64]:
        """Return the ridge predictions (t_test, s) of the held-out runs."""
        X, Y = self.X[~self.test], self.Y[~self.test]
        centred = X - X.mean(axis=0)
        gram = centred.T @ centred + penalty * np.eye(X.shape[1])
        coef = np.linalg.solve(gram, centred.T @ (Y - Y.mean(axis=0)))
        found: NDArray[np.float64] = (self.X[self.test] - X.mean(axis=0)) @ coef
        return found


def unrelated(
    seed: int, *, length: int = 300, runs: int = 6, held: int = 2, s: int = 40
) -> Unrelated:
    """Return ``runs`` runs of ``length`` rows, the last ``held`` of them held out.

    Three features have an autocorrelation of 0.97, thirty have none: a ridge that is trained on
    shuffled rows no longer prefers the smooth ones.
    """
    rng = np.random.default_rng(seed)
    number = np.repeat(np.arange(runs), length)
    smooth = [autoregression(rng, 0.97, length, 3) for _ in range(runs)]
    X = np.hstack([np.vstack(smooth), rng.standard_normal((len(number), 30))])
    Y = np.vstack([autoregression(rng, 0.9, length, s) for _ in range(runs)])
    return Unrelated(X, Y, number, number >= runs - held)
