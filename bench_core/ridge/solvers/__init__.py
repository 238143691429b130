"""Solvers: the dual and the primal form, each with the same steps."""

from __future__ import annotations

from bench_core.ridge.planning.flops import Form
from bench_core.ridge.solvers.base import Solver
from bench_core.ridge.solvers.dual import DualSolver
from bench_core.ridge.solvers.primal import PrimalSolver

__all__ = ["SOLVERS", "Solver"]

SOLVERS: dict[Form, type[Solver]] = {"dual": DualSolver, "primal": PrimalSolver}
