"""Marks of tests that need an optional peer."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

needs_himalaya = pytest.mark.skipif(
    find_spec("himalaya") is None, reason="himalaya is not installed (extra: peers)"
)
