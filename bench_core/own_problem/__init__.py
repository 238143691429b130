"""Sweep of one's own problem: strategies × BLAS × nodes × threads × precision, the answer first.

`bench_core.cli.own_problem` runs it for ``ridgebench bench --problem``. Steps: `problem` opens the
data, `environments` has a Python for every BLAS, `cases` lists what could be measured, `model`
predicts it, `sweep` decides what is measured and when, `measuring` measures, `summary` answers.
"""

from bench_core.own_problem.problem import OwnProblem, open_problem
from bench_core.own_problem.request import SweepRequest
from bench_core.own_problem.sweep import Sweep

__all__ = ["OwnProblem", "Sweep", "SweepRequest", "open_problem"]
