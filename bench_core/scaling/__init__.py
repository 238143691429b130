"""Speed-up, parallel efficiency and distributed speed-up, of our records and of published times.

Nothing here measures: it reads what was recorded.
"""

from bench_core.scaling.ratios import (
    distributed_speed_up,
    parallel_efficiency,
    speed_up,
)

__all__ = ["distributed_speed_up", "parallel_efficiency", "speed_up"]
