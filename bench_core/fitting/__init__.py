"""Fitting a problem for its results: what ``ridgebench fit`` and ``ridgebench plan`` do.

`sources` opens problems, by name, folder or array files; `plans` says what a fit will take;
`run` splits, fits in a process of its own (`worker`) and writes the result folder (`output`).
"""
