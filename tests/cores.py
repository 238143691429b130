"""How many cores tests need."""

from __future__ import annotations

import pytest

from bench_core.machine import available_cores

needs_two_cores = pytest.mark.skipif(
    available_cores() < 2, reason="two nodes with a core each need two cores"
)
