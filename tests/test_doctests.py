"""Examples in docstrings run and print what they say."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest

import bench_core
import encoders

ROOT = Path(bench_core.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
    if ">>>" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    module = importlib.import_module(name)
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


def public_classes(package: ModuleType) -> dict[str, type]:
    """Return the classes that public modules of a package list in ``__all__``, by full name."""
    found = {}
    modules = [package.__name__]
    modules += [one.name for one in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    for name in modules:
        if any(part.startswith("_") for part in name.split(".")):
            continue
        module = importlib.import_module(name)
        for public in getattr(module, "__all__", ()):
            value = getattr(module, public)
            if inspect.isclass(value) and not public.startswith("_"):
                found[f"{value.__module__}.{value.__qualname__}"] = value
    return found


PUBLIC = public_classes(bench_core) | public_classes(encoders)


def runs(cls: type) -> bool:
    """Return whether the docstring of a class itself has an example that is run."""
    examples = doctest.DocTestParser().get_examples(vars(cls).get("__doc__") or "")
    return any(not example.options.get(doctest.SKIP) for example in examples)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_class_has_an_example_that_is_run(name: str) -> None:
    assert runs(PUBLIC[name])


def test_a_class_without_an_example_that_is_run_is_found() -> None:
    class Bare:
        """Nothing."""

    class Inherits(bench_core.FitSpec):
        pass

    class Skipped:
        """>>> 1  # doctest: +SKIP"""

    assert not any(map(runs, (Bare, Inherits, Skipped)))
    assert {"bench_core.records.record.Record", "bench_core.cluster.base.Cluster"} <= set(PUBLIC)


def test_the_package_offers_its_public_names() -> None:
    assert set(bench_core.__all__) <= set(dir(bench_core))
    for name in bench_core.__all__:
        assert getattr(bench_core, name) is not None
    assert (ROOT / "py.typed").is_file()
    with pytest.raises(AttributeError):
        bench_core.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("bench_core.errors", "BadInput", "InputError"),
        ("bench_core.errors", "UnknownName", "UnknownNameError"),
        ("bench_core.errors", "NotEnough", "ResourceError"),
        ("bench_core.measure", "Case", "FitSpec"),
        ("bench_core.measure", "read_all", "read_all"),
        ("bench_core.brain.maps", "write_maps", "write_maps"),
    ],
)
def test_former_names_warn(module: str, old: str, new: str) -> None:
    with pytest.warns(DeprecationWarning, match=new):
        found = getattr(importlib.import_module(module), old)
    assert found.__name__ == new
