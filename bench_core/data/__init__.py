"""Problems to fit: the thesis's shapes, synthetic and real data, folders, splits."""

from bench_core.data.delays import delayed
from bench_core.data.factory import make
from bench_core.data.feature_spaces import FeatureSpaces
from bench_core.data.generator import synthetic
from bench_core.data.problem import Problem
from bench_core.data.rows import RowsOf
from bench_core.data.shapes import DELAYS, HAXBY, SUBJECTS, THESIS_ALPHAS, Shape, names, shape
from bench_core.data.space import TargetSpace
from bench_core.data.splits import Split, random_split, run_split

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
    "TargetSpace",
    "delayed",
    "make",
    "names",
    "random_split",
    "run_split",
    "shape",
    "synthetic",
]
