"""The ``ridgebench`` command line: one file per command in `bench_core.cli.commands`.

A command's file is named after it and defines ``command`` (a click command or group); the first
line of its docstring is its line in ``ridgebench --help``, which therefore imports no command.
"""

from __future__ import annotations

import ast
import contextlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import click

from bench_core import __version__
from bench_core.disk import FULL, REFUSED, explained
from bench_core.errors import RidgebenchError, UnknownNameError
from bench_core.interruption import TerminatedError, ended_by_signals
from bench_core.plugins import Registry

COMMANDS = Registry("command", "bench_core.cli.commands", "command")


class _LazyGroup(click.Group):
    """A group that imports a command's module only when that command runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return COMMANDS.names()

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        try:
            found = COMMANDS.get(cmd_name)
        except UnknownNameError as error:
            raise click.UsageError(str(error), ctx=ctx) from None
        assert isinstance(found, click.Command)
        return found

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an interruption says what is kept, and ends it with status 130."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            name = ctx.invoked_subcommand
            module = sys.modules.get(f"{COMMANDS.package}.{str(name).replace('-', '_')}")
            kept = getattr(module, "KEPT", "")
            ended = error if isinstance(error, TerminatedError) else "interrupted"
            notes = " ".join(getattr(error, "__notes__", ()))  # what this one has kept
            with contextlib.suppress(OSError):  # the terminal may be gone
                click.echo(f"\nridgebench: {ended}. {notes or kept}".rstrip(), err=True)
            ctx.exit(130)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first_line(name)) for name in self.list_commands(ctx)])


def _first_line(name: str) -> str:
    """Return the first docstring line of a command's file without importing it."""
    spec = find_spec(f"{COMMANDS.package}.{name.replace('-', '_')}")
    assert spec is not None
    assert spec.origin is not None
    docstring = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="ridgebench")
def cli() -> None:
    """Find out, with proof, which BLAS, threads, nodes and strategy fit your ridge fastest."""


def main() -> None:
    """Run the command line; errors that the user can correct are printed without a traceback.

    Set ``RIDGEBENCH_TRACEBACK=1`` to see where such an error was raised. SIGTERM and SIGHUP end a
    command as Ctrl-C does, with status 128 + the signal's number.
    """
    with ended_by_signals() as signals:
        try:
            cli.main(prog_name="ridgebench")
        except RidgebenchError as error:
            _fail(error)
        except OSError as error:  # a file of the user's, in most cases
            if error.errno not in (*FULL, *REFUSED):
                raise
            _fail(explained(error))
        except SystemExit:
            if not signals:
                raise
            sys.exit(128 + signals[0])


def _fail(error: RidgebenchError) -> NoReturn:
    """Print the error and exit with its status."""
    if os.environ.get("RIDGEBENCH_TRACEBACK"):
        raise error
    text = "\n".join([str(error), *getattr(error, "__notes__", ())])
    click.secho(f"ridgebench: {text}", fg="red" if sys.stderr.isatty() else None, err=True)
    sys.exit(error.exit_code)
