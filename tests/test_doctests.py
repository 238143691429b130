"""Examples in docstrings run and print what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import bench_core

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
    # The example of a cluster starts processes, which takes seconds: it is marked as skipped.
    assert found.attempted > 0 or "doctest: +SKIP" in Path(str(module.__file__)).read_text("utf-8")
    assert found.failed == 0


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
