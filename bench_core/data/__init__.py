"""Problems to fit: the thesis's shapes, synthetic and real data, folders, splits."""

from bench_core.data.delays import delayed
from bench_core.data.factory import make, problem_runs
from bench_core.data.feature_spaces import FeatureSpaces
from bench_core.data.generator import synthetic
from bench_core.data.problem import Problem
from bench_core.data.rows import RowsOf
from bench_core.data.shapes import DELAYS, HAXBY, SUBJECTS, Shape, names, shape
from bench_core.data.space import TargetSpace
from bench_core.data.splits import (
    Split,
    SplitChoice,
    auto_split,
    choose_split,
    random_split,
    run_split,
)
from bench_core.penalties import THESIS_ALPHAS

__all__ = [
    "DELAYS",
    "HAXBY",
    "SUBJECTS",
    "THESIS_ALPHAS",
    "FeatureSpaces",
    "Problem",
    "RowsOf",
    "Shape",
    "Split",
    "SplitChoice",
    "TargetSpace",
    "auto_split",
    "choose_split",
    "delayed",
    "make",
    "names",
    "problem_runs",
    "random_split",
    "run_split",
    "shape",
    "synthetic",
]
