"""Ridge regression of many targets: numerics on arrays, and one estimator over them.

`MultiTargetRidgeCV` is the estimator. Beneath it lie four packages:

- `solvers`: the dual and the primal form, step by step;
- `planning`: flops and memory of a fit, in one process or over nodes, from its shape;
- `formulas`: pure functions next to their equations;
- `arrays`: devices, eigendecomposition, blocks of targets, files.

Nothing here knows of Dask or asv.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bench_core.lazy import lazy

if TYPE_CHECKING:
    from bench_core.ridge.estimator import MultiTargetRidgeCV
    from bench_core.ridge.penalty_grid import GridEdgeWarning
    from bench_core.ridge.planning.flops import FitShape
    from bench_core.ridge.planning.plan import Plan, make_plan

__all__ = ["FitShape", "GridEdgeWarning", "MultiTargetRidgeCV", "Plan", "make_plan"]

# scikit-learn takes long to import, so the estimator is imported when it is asked for.
_HOMES = {
    "FitShape": "planning.flops",
    "GridEdgeWarning": "penalty_grid",
    "MultiTargetRidgeCV": "estimator",
    "Plan": "planning.plan",
    "make_plan": "planning.plan",
}

_find = lazy(__name__, _HOMES)

# Modules that the documentation named, under their old names.
_MOVED = {
    "dual": "formulas.dual",
    "eigensystem": "arrays.eigh",
    "plan": "planning.plan",
    "primal": "formulas.primal",
    "quadratic": "formulas.quadratic_forms",
    "streaming": "arrays.target_blocks",
    "target_batches": "formulas.per_target_scores",
}


def __getattr__(name: str) -> Any:
    if name in _MOVED:
        home = f"{__name__}.{_MOVED[name]}"
        warnings.warn(
            f"{__name__}.{name} is now {home}; the old name goes with the next release",
            DeprecationWarning,
            stacklevel=2,
        )
        return import_module(home)
    return _find(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
