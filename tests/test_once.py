"""What several processes of the tests share is made by one of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.once import made_once

Ask = Callable[[int, Callable[[Path], object]], Path]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Return a function that asks for one folder as process ``n`` of pytest-xdist does."""
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")

    def asked(n: int, make: Callable[[Path], object]) -> Path:
        factory: Any = SimpleNamespace(getbasetemp=lambda: tmp_path / f"popen-gw{n}")
        return made_once(factory, "shared", make)

    return asked


def test_one_makes_it_and_others_wait_for_the_whole(ask: Ask) -> None:
    made: list[int] = []

    def make(folder: Path) -> None:
        made.append(1)
        for number in range(200):
            (folder / str(number)).touch()

    def names(n: int) -> set[str]:
        return set(os.listdir(ask(n, make)))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(names, range(8)))
    assert found == [set(map(str, range(200)))] * 8
    assert made == [1]


def test_what_was_not_finished_is_made_again(ask: Ask) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise LookupError

    with pytest.raises(LookupError):
        ask(0, fail)
    folder = ask(1, lambda folder: (folder / "all").touch())
    assert os.listdir(folder) == ["all"]
