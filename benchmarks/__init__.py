"""asv suites: parameters and what to record. The numbers come from `bench_core.measure`."""
