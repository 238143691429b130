"""The one pipeline of everything that fits and times.

`spec` states a fit, `preflight` checks that it can run here, `run` starts the `worker` in a process
of its own and checks its result, and returns a `bench_core.records.Record`. `measure`, `fit`,
`study` and the asv suites differ only in what they ask of it and in what they keep.
"""
