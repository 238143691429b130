"""Comparisons of records, and steps in their history, with verdicts that say how sure they are.

Reads records and nothing else.
"""

from bench_core.comparison.verdicts import CaseVerdict, Judgement, judge

__all__ = ["CaseVerdict", "Judgement", "judge"]
