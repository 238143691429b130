"""The package's names, old and new, its examples, and the order of its imports."""

import ast
import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

from bench_core import ridge, strategies

ROOT = Path(ridge.__file__).parent


def imports(folder):
    """Return the names of all modules that the modules of a folder import."""
    found = set()
    for path in (ROOT / folder).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
            elif isinstance(node, ast.Import):
                found |= {name.name for name in node.names}
    return found


@pytest.mark.parametrize(
    ("folder", "above"),
    [
        ("arrays", ["formulas", "planning", "solvers", "estimator", "inputs"]),
        ("formulas", ["planning", "solvers", "estimator", "inputs"]),
        ("planning", ["solvers", "estimator", "inputs"]),
        ("solvers", ["estimator", "inputs"]),
        (".", ["dask", "distributed", "asv"]),
    ],
)
def test_imports_point_one_way(folder, above):
    prefix = "" if folder == "." else "bench_core.ridge."
    wrong = [name for name in imports(folder) for one in above if name.startswith(prefix + one)]
    assert wrong == []


def test_public_names_are_listed_and_found():
    assert set(ridge.__all__) <= set(dir(ridge))
    assert all(
        inspect.isclass(getattr(ridge, name)) or callable(getattr(ridge, name))
        for name in ridge.__all__
    )
    with pytest.raises(AttributeError, match="ridgeCV"):
        ridge.ridgeCV  # noqa: B018


@pytest.mark.parametrize("name", sorted(ridge._MOVED))
def test_old_modules_are_found_with_a_warning(name):
    with pytest.warns(DeprecationWarning, match=name):
        assert inspect.ismodule(getattr(ridge, name))


@pytest.mark.parametrize("package", [ridge, strategies], ids=lambda package: package.__name__)
def test_examples_run(package):
    attempted = 0
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        result = doctest.testmod(importlib.import_module(module.name))
        assert result.failed == 0
        attempted += result.attempted
    assert attempted > 0
