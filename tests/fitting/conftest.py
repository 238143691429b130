"""Fixtures of everything that measures: `tests.measuring`."""

from tests.measuring import oddities, problem_folder, scratch

__all__ = ["oddities", "problem_folder", "scratch"]
