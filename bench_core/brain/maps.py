"""Former place of `bench_core.accuracy.maps`, for one release."""

from __future__ import annotations

from bench_core.deprecated import renamed

__getattr__ = renamed(
    __name__,
    {
        "write_maps": "bench_core.accuracy.maps:write_maps",
        "Written": "bench_core.accuracy.maps:Written",
    },
)
