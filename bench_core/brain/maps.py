"""Former module of `bench_core.accuracy.maps`; its names warn for one release."""

from bench_core.deprecated import renamed

__getattr__ = renamed(
    __name__,
    {
        "to_image": "bench_core.accuracy.maps:to_image",
        "write_maps": "bench_core.accuracy.maps:write_maps",
    },
)
