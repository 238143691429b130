"""Strategies: named ways to fit one ridge problem, all with scikit-learn's interface.

One module per strategy; its attribute ``STRATEGY`` is the class. Somebody else's package adds
one by an entry point in the group ``ridgebench.strategies`` that names a `Strategy`.
"""

from __future__ import annotations

from bench_core.plugins import Registry
from bench_core.strategies._base import Strategy

__all__ = ["STRATEGIES", "Strategy", "get", "names"]

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
