"""Fits for their results: the engine of ``ridgebench fit``.

`sources` opens problems by name, folder or array files; `request` states what is wanted; `run`
splits, fits through `bench_core.runner`, and writes the result folder (`output`).
"""
