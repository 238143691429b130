"""An interruption says what is kept and how to go on, and ends with status 130."""

from __future__ import annotations

import importlib

import click
import pytest
from click.testing import CliRunner

from bench_core.cli import COMMANDS, cli
from bench_core.interruption import TerminatedError

LONG = ("accuracy", "bench", "blas", "encode", "fit", "measure", "problem", "study", "videogpt")


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), TerminatedError(15)], ids=["INT", "TERM"])
def test_what_is_kept_is_said(
    name: str, error: KeyboardInterrupt, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module(f"{COMMANDS.package}.{name}")

    def interrupted(self: click.Command, ctx: click.Context) -> None:
        raise error

    monkeypatch.setattr(click.Command, "invoke", interrupted)
    monkeypatch.setattr(module, "command", click.Command(name))
    result = CliRunner().invoke(cli, [name])
    assert result.exit_code == 130
    assert module.KEPT in result.output
    assert "Aborted" not in result.output
    if isinstance(error, TerminatedError):
        assert "SIGTERM" in result.output
