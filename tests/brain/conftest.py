"""Fixtures of the example data set: `tests.brain_example`."""

from brain_example import brain, built, example

__all__ = ["brain", "built", "example"]
