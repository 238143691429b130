"""The examples in the docstrings of `bench_core`.

The example of `bench_core.cluster.Cluster` is marked ``+SKIP``: it starts processes, which takes
seconds.
"""

import doctest
import importlib
import pkgutil

import pytest

import bench_core

MODULES = [
    module.name
    for module in pkgutil.walk_packages(bench_core.__path__, "bench_core.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_show(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
