"""The reference of the command line, generated from click.

A page that has the line ``<!-- commands -->`` gets a section for every command there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

MARK = "<!-- commands -->"


def reference(root: click.Group, name: str = "ridgebench") -> str:
    """Return the reference of a group in Markdown: usage, help, arguments, options."""
    return "\n\n".join(_sections(root, (name,)))


def _sections(group: click.Group, path: tuple[str, ...]) -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        words = (*path, name)
        yield _section(command, words)
        if isinstance(command, click.Group):
            yield from _sections(command, words)


def _section(command: click.Command, words: tuple[str, ...]) -> str:
    name = " ".join(words)
    context = click.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    parts = ["#" * len(words) + f" {name}", f"```text\n{usage}\n```", _text(command.help)]
    if command.deprecated:
        parts.append("Deprecated.")
    rows = [
        f"| {_code(record[0])} | {_cell(record[1])} |"
        for parameter in command.params
        if isinstance(parameter, click.Option)
        and (record := parameter.get_help_record(context)) is not None
    ]
    if rows:
        parts.append("\n".join(["| option | |", "|---|---|", *rows]))
    return "\n\n".join(part for part in parts if part)


def _text(help_text: str | None) -> str:
    """Return a help text as Markdown: its paragraphs, and blocks that click does not wrap."""
    found = []
    for paragraph in (help_text or "").replace("\f", "").split("\n\n"):
        if paragraph.lstrip().startswith("\b"):
            found.append("```text\n" + paragraph.partition("\n")[2] + "\n```")
        else:
            found.append(_escaped(" ".join(paragraph.split())))
    return "\n\n".join(found)


def _escaped(text: str) -> str:
    """Escape what is markup of Markdown outside of `code`; link the pages that are named."""
    pieces = text.split("`")
    for number in range(0, len(pieces), 2):
        for mark in "*_<[|$":
            pieces[number] = pieces[number].replace(mark, "\\" + mark)
        pieces[number] = re.sub(r"docs/([\w-]+\.md)", r"[\1](\1)", pieces[number])
    return "`".join(pieces)


def _cell(text: str) -> str:
    return _escaped(" ".join(text.split()))


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


def setup(app):
    """Have the mark replaced as a page is read."""

    def read(app, name, source):
        if MARK in source[0]:
            from bench_core.cli import cli

            source[0] = source[0].replace(MARK, reference(cli))

    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
