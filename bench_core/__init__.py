"""Tools to find which BLAS, threads, nodes and strategy fit a many-target ridge fastest.

Examples
--------
>>> import numpy as np
>>> from bench_core import MultiTargetRidgeCV
>>> rng = np.random.default_rng(0)
>>> X = rng.standard_normal((50, 8))
>>> Y = X @ rng.standard_normal((8, 4)) + rng.standard_normal((50, 4))
>>> MultiTargetRidgeCV(alphas=(1.0, 100.0)).fit(X, Y).alpha_
1.0
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bench_core.lazy import lazy

if TYPE_CHECKING:
    from bench_core import strategies
    from bench_core.data import Problem
    from bench_core.measure import MeasureModule
    from bench_core.records import Record
    from bench_core.ridge import MultiTargetRidgeCV
    from bench_core.runner.spec import FitSpec
    from bench_core.strategies import check_strategy

    measure: MeasureModule

__version__ = "0.1.0"

__all__ = [
    "FitSpec",
    "MultiTargetRidgeCV",
    "Problem",
    "Record",
    "check_strategy",
    "measure",
    "strategies",
]

# Imported when asked for: `import bench_core` stays quick, and numpy is not loaded before a
# process has set its BLAS threads.
_PLACES = {
    "FitSpec": "runner.spec",
    "MultiTargetRidgeCV": "ridge",
    "Problem": "data",
    "Record": "records",
    "check_strategy": "strategies",
}
_find = lazy(__name__, _PLACES)


def __getattr__(name: str) -> Any:
    if name in ("measure", "strategies"):
        return importlib.import_module(f"bench_core.{name}")
    return _find(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
