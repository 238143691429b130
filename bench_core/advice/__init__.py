"""Advice: predicted time and memory of every way to fit a problem, before anything runs.

`advise` predicts and recommends; `scaling_curve` predicts over nodes and says where a strategy
stops scaling, and why.
"""

from bench_core.advice.advise import Advice, Limits, Predicted, advise
from bench_core.advice.curve import Curve, scaling_curve

__all__ = ["Advice", "Curve", "Limits", "Predicted", "advise", "scaling_curve"]
