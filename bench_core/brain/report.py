"""Former module of `bench_core.accuracy.report`; its names warn for one release."""

from bench_core.deprecated import renamed

__getattr__ = renamed(
    __name__,
    {
        "FOLDER": "bench_core.accuracy.report:FOLDER",
        "Wanted": "bench_core.accuracy.report:AccuracyRequest",
        "accuracy_report": "bench_core.accuracy.report:accuracy_report",
        "held_out_r": "bench_core.accuracy.report:held_out_r",
    },
)
