"""Strategies: named ways to fit one ridge problem, all with scikit-learn's interface.

One module per strategy; its attribute ``STRATEGY`` is the class. Somebody else's package adds
one by an entry point in the group ``ridgebench.strategies`` that names a `Strategy`, and tests it
with `check_strategy`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_core.lazy import lazy
from bench_core.plugins import Registry
from bench_core.strategies._base import COMMON_OPTIONS, Strategy

if TYPE_CHECKING:
    from bench_core.strategies._conformance import ConformanceError, check_strategy

__all__ = [
    "COMMON_OPTIONS",
    "STRATEGIES",
    "ConformanceError",
    "Strategy",
    "check_strategy",
    "get",
    "names",
    "with_cost",
]

STRATEGIES = Registry(
    "strategy", "bench_core.strategies", "STRATEGY", group="ridgebench.strategies"
)


def names() -> list[str]:
    """Return the names of all strategies, built in and installed, sorted."""
    return STRATEGIES.names()


def get(name: str) -> type[Strategy]:
    """Return the strategy called ``name``.

    Raises
    ------
    UnknownNameError : nothing is called that; the message offers near names.
    """
    found: type[Strategy] = STRATEGIES.get(name)
    return found


def with_cost() -> list[str]:
    """Return the names of the strategies that say what they cost (`Strategy.cost`), sorted."""
    return [name for name in names() if get(name).cost is not Strategy.cost]


# scikit-learn's models take long to import.
__getattr__ = lazy(__name__, dict.fromkeys(("ConformanceError", "check_strategy"), "_conformance"))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
