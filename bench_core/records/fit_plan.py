"""Plan of a fit for a problem of a given shape, in terms common to all strategies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class FitPlan:
    """Method, cost and memory of a fit, known from shapes before anything runs.

    Parameters
    ----------
    strategy : name of the strategy.
    nodes : number of nodes.
    form : "dual" (a t × t system) or "primal" (p × p); None where the library decides.
    flops : floating-point operations that the plan executes, all nodes together.
    useful_flops : operations that the result needs, however it is computed (each product counted
        once, symmetric halves once); the numerator of an efficiency.
    peak_bytes : memory beyond X and Y, all nodes together.
    node_bytes : the same for every node, at its peak; empty for one process.
    slowdown : flops relative to the fastest plan; None if this is the fastest.
    settings : what else the plan decides (block width, selection …), as JSON values.
    text : the plan in lines for people.

    Examples
    --------
    >>> from bench_core import strategies
    >>> plan = strategies.get("multitarget")().plan(t=100, p=2000, s=5000)
    >>> plan.form, plan.nodes
    ('dual', 1)
    """

    strategy: str
    nodes: int
    form: str | None
    flops: float | None
    useful_flops: float | None
    peak_bytes: int
    node_bytes: tuple[int, ...] = ()
    slowdown: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
