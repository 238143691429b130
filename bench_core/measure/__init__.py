"""Measurements: one fit in a process of its own, and one record of everything it showed.

`measure` runs a `FitSpec` and returns its record; `docs/measurements.md` documents the record.
The package itself can be called and does the same, so that both of these measure::

    from bench_core import measure
    from bench_core.measure import measure
"""

import importlib
import inspect
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from bench_core.deprecated import renamed
from bench_core.measure.resume import seed_session
from bench_core.measure.run import RecordNotWrittenError, measure
from bench_core.records.store import publish, records_folder, session_store
from bench_core.runner.spec import FitSpec

if TYPE_CHECKING:
    from bench_core.measure.kernels import measure_kernels
    from bench_core.measure.overhead import measure_overhead

__all__ = [
    "FitSpec",
    "RecordNotWrittenError",
    "measure",
    "measure_kernels",
    "measure_overhead",
    "publish",
    "records_folder",
    "seed_session",
    "session_store",
]


class MeasureModule(ModuleType):
    """Type of this package: a module that is called as `measure`."""

    __call__ = staticmethod(measure)
    __signature__ = inspect.signature(measure)


sys.modules[__name__].__class__ = MeasureModule

_former = renamed(
    __name__,
    {
        "Case": "bench_core.runner.spec:FitSpec",
        "read_all": "bench_core.records:read_all",
    },
)


def __getattr__(name: str) -> Any:
    # asv starts a process for every figure; most only read a record.
    if name in ("measure_kernels", "measure_overhead"):
        module = importlib.import_module(f"bench_core.measure.{name.removeprefix('measure_')}")
        return getattr(module, name)
    return _former(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
