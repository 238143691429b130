"""Histories of figures over commits: steps in them, better and worse, and what is a regression.

Reads records and asv's results, and nothing else.
"""

from bench_core.history.steps import Step, find_steps

__all__ = ["Step", "find_steps"]
