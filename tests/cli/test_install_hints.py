"""Hints name the command that works where the user stands (PEP 610, direct_url.json)."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace
from typing import Any

import pytest

from bench_core import errors

EDITABLE = '{"url": "file:///home/me/a%20clone", "dir_info": {"editable": true}}'
FOLDER = '{"url": "file:///home/me/clone", "dir_info": {}}'
WHEEL = '{"url": "file:///tmp/ridgebench-0.1-py3-none-any.whl", "archive_info": {}}'
ADDRESS = '{"url": "https://example.org/ridgebench.git", "vcs_info": {"vcs": "git"}}'


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (EDITABLE, "pip install -e '/home/me/a clone[brain]'"),
        (FOLDER, "pip install '/home/me/clone[brain]'"),
        (WHEEL, "pip install 'ridgebench[brain] @ file:///tmp/ridgebench-0.1-py3-none-any.whl'"),
        (ADDRESS, "pip install 'ridgebench[brain] @ https://example.org/ridgebench.git'"),
        (None, "pip install 'ridgebench[brain]'"),
        ("{", "pip install 'ridgebench[brain]'"),
    ],
)
def test_the_command_is_that_of_the_installation(
    origin: str | None, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = SimpleNamespace(read_text=lambda name: origin)
    monkeypatch.setattr(errors, "distribution", lambda name: found)
    assert errors.install_command("brain") == command


def test_without_an_installation_the_index_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(errors, "distribution", absent)
    assert errors.install_command("peers") == "pip install 'ridgebench[peers]'"
