"""Clusters for all tests of strategies: starting one takes seconds."""

import numpy as np
import pytest

from bench_core.cluster import local
from bench_core.machine import available_cores


@pytest.fixture(scope="session")
def cluster_of():
    """Return the running cluster of c nodes with one thread each; c = 3 may exceed the cores."""
    running = {}

    def start(nodes):
        if nodes not in running:
            running[nodes] = local(nodes, 1, oversubscribe=available_cores() < nodes)
        return running[nodes]

    yield start
    for one in running.values():
        one.close()


@pytest.fixture(scope="session")
def make_problem():
    """Return a maker of X (t, p) and Y (t, s) whose targets want different penalties."""

    def make(t, p, s, dtype="f8", seed=0):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((t, p)) + rng.standard_normal(p)  # intercepts matter
        strength = 2.0 ** rng.permutation(np.linspace(-6, 1, s))
        Y = X @ rng.standard_normal((p, s)) * strength + rng.standard_normal((t, s))
        return X.astype(dtype), (Y + rng.standard_normal(s)).astype(dtype)

    return make
