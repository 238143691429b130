"""One file per command of ``ridgebench``; see `bench_core.cli`."""
