"""Speed-up, parallel efficiency and distributed speed-up of recorded and published times."""

from bench_core.scaling.ratios import (
    distributed_speed_up,
    parallel_efficiency,
    speed_up,
)

__all__ = ["distributed_speed_up", "parallel_efficiency", "speed_up"]
