"""Help of every command: defaults are shown, and what has few values says which."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from bench_core.cli import cli


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Yield every command that does something, with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


OPTIONS = [
    pytest.param(words, option, id=f"{words} {option.opts[0]}")
    for words, command in leaves(cli)
    for option in command.params
    if isinstance(option, click.Option) and not option.hidden
]


@pytest.mark.parametrize(("words", "option"), OPTIONS)
def test_every_option_is_explained_with_its_default(words: str, option: click.Option) -> None:
    assert option.help, "no help"
    if option.is_flag or option.required or option.multiple:
        return
    context = click.Context(click.Command(words))
    default = option.to_info_dict()["default"]
    shown = option.get_help_record(context)
    assert shown is not None
    text = " ".join(" ".join(shown).split())
    if default is not None and "UNSET" not in str(default):
        assert "default" in text, f"{text}: the default {default!r} is not shown"


@pytest.mark.parametrize(("words", "option"), OPTIONS)
def test_options_of_few_words_are_choices(words: str, option: click.Option) -> None:
    # "kernels" takes the names of a library's kernels, too, and "cluster" files and addresses.
    free = ("kernels", "alphas", "cv", "cluster")
    if option.metavar and "|" in option.metavar and option.name not in free:
        assert isinstance(option.type, click.Choice), option.metavar


def test_metavars_keep_their_letters() -> None:
    command = dict(leaves(cli))["fit"]
    text = command.get_help(click.Context(command, info_name="fit"))
    assert "λ,λ,…" in text
    assert "loo|gcv|K|run" in text
