"""Banded ridge: a penalty for every feature space, chosen by cross-validation.

`BandedRidgeCV` is the estimator. `candidates` draws weights of the spaces, `kernels` sums their
Gram matrices, `held_out` gives the residuals of held-out rows from one factorisation, `search`
scores candidates for all targets together and `each_target` for each, where `skeleton` finds
candidates that give the others' scores. `solution` fits the chosen ones, `variance` divides what is
explained among the spaces, `planning` knows flops and memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_core.lazy import lazy

if TYPE_CHECKING:
    from bench_core.ridge.banded.estimator import BandedRidgeCV
    from bench_core.ridge.banded.variance import SpaceScores

__all__ = ["BandedRidgeCV", "SpaceScores"]


# scikit-learn takes long to import.
__getattr__ = lazy(__name__, {"BandedRidgeCV": "estimator", "SpaceScores": "variance"})


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
