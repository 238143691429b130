"""Ridge regression of many targets: pure numerics on arrays, and one estimator over them.

`MultiTargetRidgeCV` is the front door. Beneath it, functions next to their formulas: `dual` and
`primal` forms, `validation` (leave-one-out and folds), `quadratic` (all penalties at once),
`target_batches` (every target for itself), `plan`, `streaming`. Nothing here knows of Dask or asv.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench_core.ridge.costs import Work
    from bench_core.ridge.estimator import MultiTargetRidgeCV
    from bench_core.ridge.plan import Plan, make_plan

__all__ = ["MultiTargetRidgeCV", "Plan", "Work", "make_plan"]

_HOMES = {"MultiTargetRidgeCV": "estimator", "Plan": "plan", "Work": "costs", "make_plan": "plan"}


def __getattr__(name: str) -> Any:
    # scikit-learn takes long to import: only who asks for the estimator pays for it.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
