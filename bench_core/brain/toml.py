"""Former module of `bench_core.toml`; its names warn for one release."""

from bench_core.deprecated import renamed

__getattr__ = renamed(
    __name__,
    {
        "read_section": "bench_core.toml:read_section",
        "read_toml": "bench_core.toml:read_toml",
    },
)
