"""The examples in the docstrings of `encoders`."""

import doctest
import importlib
import pkgutil

import pytest

import encoders

MODULES = [module.name for module in pkgutil.walk_packages(encoders.__path__, "encoders.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_show(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
