"""ridgebench: which BLAS, threads, nodes and strategy fit a many-target ridge fastest?"""

__version__ = "0.1.0"
