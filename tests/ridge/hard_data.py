"""Data that rounding is hard on, their right answers, and how near an answer can come.

``python -m tests.ridge.hard_data`` fits many of them with every solver and writes the worst
figures to docs/hard-data.json; docs/ridge.md has them as a table.
"""

from __future__ import annotations

import itertools
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from bench_core.ridge import MultiTargetRidgeCV
from bench_core.ridge.planning.flops import Selection

Values = NDArray[np.float64]

KINDS = (
    "plain",
    "repeated rows",
    "some rows repeated",
    "repeated columns",
    "rank 3",
    "spectrum 1/k",
    "spectrum 1/k²",
    "spectrum to 1e-12",
    "scales 1e-6 to 1e6",
    "means far above spreads",
)
SHAPES = ((12, 30), (30, 12), (20, 20), (60, 25), (25, 300))
SCALES = (1e-5, 1e-2, 1.0, 1e2, 1e5)
PENALTIES = (1e-30, 1e-15, 1e-8, 1e-4, 0.1, 1.0, 1e2, 1e5, 1e12)
NOISES = (0.0, 1e-3, 1.0)
SOLVERS = ("dual", "primal")
PER_TARGET = "one penalty for each target"
SCOPES: dict[str, Selection] = {
    "one penalty, from sums over targets": "shared",
    "one penalty, from every target": "each",
    PER_TARGET: "each",
}
TARGETS = 4
RECORD = Path(__file__).parents[2] / "docs/hard-data.json"


@dataclass(frozen=True)
class Data:
    """X (t, p), Y (t, s) and new rows (n, p), in the precision that is asked for."""

    X: NDArray[Any]
    Y: NDArray[Any]
    new: NDArray[Any]


def make_data(
    kind: str, shape: tuple[int, int], scale: float, noise: float, dtype: str, seed: int
) -> Data:
    """Make one set of data: three new rows are seen ones, three are others."""
    rng = np.random.default_rng(seed)
    t, p = shape
    X = _features(rng, kind, t, p) * scale
    signal = X @ rng.standard_normal((p, TARGETS)) / np.linalg.norm(X, axis=0).max()
    Y = signal + noise * rng.standard_normal((t, TARGETS))
    new = np.vstack([X[:3], X[:3] + rng.standard_normal((3, p)) * X.std(axis=0)])
    return Data(X.astype(dtype), Y.astype(dtype), new.astype(dtype))


def _features(rng: np.random.Generator, kind: str, t: int, p: int) -> Values:
    if kind == "repeated rows":
        return np.vstack([rng.standard_normal((t // 2, p))] * 3)[:t]
    if kind == "some rows repeated":
        X = rng.standard_normal((t, p))
        X[1::2][: t // 4] = X[::2][: t // 4]
        return X
    if kind == "repeated columns":
        return np.hstack([rng.standard_normal((t, p // 3))] * 4)[:, :p]
    if kind == "rank 3":
        return rng.standard_normal((t, 3)) @ rng.standard_normal((3, p))
    if kind.startswith("spectrum"):
        k = min(t, p)
        i = np.arange(1, k + 1)
        spectrum = {
            "spectrum 1/k": 1 / i,
            "spectrum 1/k²": 1 / i**2,
            "spectrum to 1e-12": 10 ** (-12 * (i - 1) / (k - 1)),
        }[kind]
        U, V = (np.linalg.qr(rng.standard_normal((n, k)))[0] for n in (t, p))
        return (U * spectrum) @ V.T
    X = rng.standard_normal((t, p))
    if kind == "scales 1e-6 to 1e6":
        return X * 10 ** rng.uniform(-6, 6, p)
    if kind == "means far above spreads":
        return X + 1e6 * rng.standard_normal(p)
    return X


@dataclass(frozen=True)
class Answer:
    """Predictions (n, s) of new rows by the definition, and the error that each may have."""

    predictions: Values
    allowed: Values


def right_answer(data: Data, alpha: float, dtype: str, *, intercept: bool) -> Answer:
    """Return the answer by the singular value decomposition of X in float64.

    ``allowed`` is 100 times the change that relative errors ε of X, Y and the coefficients make, ε
    that of ``dtype``, by the perturbation theory of the augmented least-squares problem (Björck,
    1996, Numerical Methods for Least Squares Problems, theorem 1.4.6), with
    κ = σ_max / √(λ + σ_min²):

        ε ‖x‖ (κ ‖β‖ + κ² ‖ρ‖ / σ_max + κ ‖y‖ / σ_max),   ‖ρ‖² = ‖y − X β‖² + λ ‖β‖²,

    plus what the square of X may cost, ten times the error of 1/(w + λ) that the solvers accept,
    1e-6 at most.
    """
    X, Y, new = (np.asarray(array, np.float64) for array in (data.X, data.Y, data.new))
    mean = X.mean(axis=0) if intercept else np.zeros(X.shape[1])
    own = Y.mean(axis=0) if intercept else np.zeros(Y.shape[1])
    Xc, Yc = X - mean, Y - own
    if intercept:
        Xc -= Xc.mean(axis=0)
    U, sigma, Vt = linalg.svd(Xc, full_matrices=False, lapack_driver="gesvd")
    seen = sigma > max(X.shape) * np.finfo(float).eps * sigma[0]
    U, sigma, Vt = U[:, seen], sigma[seen], Vt[seen]
    coefficients = Vt.T @ ((sigma / (sigma**2 + alpha))[:, None] * (U.T @ Yc))
    predictions = (new - mean) @ coefficients + own
    size = np.linalg.norm(coefficients, axis=0)
    rest = np.sum((Yc - Xc @ coefficients) ** 2, axis=0) + alpha * size**2
    kappa = max(1.0, sigma[0] / np.sqrt(alpha + sigma[-1] ** 2))
    targets = np.linalg.norm(Yc, axis=0) / sigma[0]
    rows = np.linalg.norm(new - mean, axis=1)[:, None]
    change = rows * (kappa * (size + targets) + kappa**2 * np.sqrt(rest) / sigma[0])
    change += np.abs(predictions) + np.abs(own) + np.linalg.norm(new, axis=1)[:, None] * size
    squared = 10 * min(4 * np.finfo(float).eps * kappa**2, 1e-6)
    allowed = 100 * np.finfo(dtype).eps * change + squared * rows * (size + targets)
    return Answer(predictions, allowed)


def make_model(alphas: list[float], scope: str, **options: Any) -> MultiTargetRidgeCV:
    """Return an estimator that chooses penalties as ``scope``, one of `SCOPES`, says."""
    model = MultiTargetRidgeCV(alphas, alpha_per_target=scope == PER_TARGET, **options)
    # So few targets are scored one by one unless sums over them are asked for.
    model._selection = SCOPES[scope]
    return model


def share_of_allowed(data: Data, answer: Answer, model: MultiTargetRidgeCV) -> float:
    """Fit, and return the largest error of a prediction over what is allowed; inf for NaN."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # leverages of 1
        found = np.asarray(model.fit(data.X, data.Y).predict(data.new), np.float64)
    share = float(np.max(np.abs(found - answer.predictions) / answer.allowed))
    return share if np.isfinite(share) else np.inf


def main(seeds: int = 40) -> None:
    """Write the worst share of every solver, precision and scope over all kinds of data."""
    worst: dict[str, dict[str, Any]] = {}
    for seed, kind in itertools.product(range(seeds), KINDS):
        rng = np.random.default_rng([seed, KINDS.index(kind)])
        shape, scale = SHAPES[seed % len(SHAPES)], float(rng.choice(SCALES))
        noise, alpha = float(rng.choice(NOISES)), float(rng.choice(PENALTIES))
        for dtype in ("float64", "float32"):
            data = make_data(kind, shape, scale, noise, dtype, seed)
            answer = right_answer(data, alpha, dtype, intercept=True)
            for solver, scope, coef in itertools.product(SOLVERS, SCOPES, ("memory", None)):
                model = make_model([alpha], scope, solver=solver, coef=coef, cv=3)
                share = share_of_allowed(data, answer, model)
                name = f"{solver}, {dtype}, {scope}"
                entry = worst.setdefault(name, {"fits": 0, "decomposed_x": 0, "share": 0.0})
                entry["fits"] += 1
                entry["decomposed_x"] += int(model.plan_.shape.exact)
                if share >= entry["share"]:
                    entry.update(share=share, kind=kind, penalty=alpha)
    RECORD.write_text(json.dumps(worst, indent=1) + "\n")
    for name, entry in worst.items():
        print(name, entry)


if __name__ == "__main__":
    main()
