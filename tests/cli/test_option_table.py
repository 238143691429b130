"""The same option has the same name, type, help and default in every command."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import click
import pytest

from bench_core.cli import COMMANDS, cli
from bench_core.cli.option_values import named_values, renamed
from bench_core.cli.options import COMMON

#: (option, command) whose default, type or help differs, and the reason.
EXCEPTIONS = {
    ("--dtype", "encode"): "features are stored in single or half precision",
    ("--device", "videogpt"): "training takes a GPU where there is one",
    ("--device", "bench"): "fits on a device are held against those of the processor",
    ("--test-fraction", "plan"): "0 plans for all samples",
    ("--nodes", "advise"): "the most that are predicted",
    ("--threads", "advise"): "the most that are predicted",
    ("--nodes", "bench"): "several are swept",
    ("--threads", "bench"): "several are swept",
    ("--blas", "bench"): "several are swept, each in an environment",
    ("--dtype", "bench"): "several are swept; the default is the data's own",
    ("--option", "videogpt"): "settings of the training, not of a strategy",
    ("--option", "encode"): "options of the encoder, not of a strategy",
    ("--option", "layers"): "options of the encoder, not of a strategy",
    ("--error-rate", "regressions"): "a false alarm costs more there: 1 in 100",
}


def _commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for sub in command.list_commands(context):
            found = command.get_command(context, sub)
            assert found is not None
            yield from _commands(found, f"{name} {sub}".strip())
    else:
        yield name, command


def _options() -> dict[str, dict[str, click.Option]]:
    found: dict[str, dict[str, click.Option]] = defaultdict(dict)
    for name, command in _commands(cli, ""):
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                for flag in parameter.opts:
                    found[flag][name] = parameter
    return found


OPTIONS = _options()


@pytest.mark.parametrize("name", COMMON)
def test_a_common_option_is_the_same_everywhere(name: str) -> None:
    declarations, settings = COMMON[name]
    flag = declarations[0].partition("/")[0]
    assert OPTIONS[flag], f"no command takes {flag}"
    for command, option in OPTIONS[flag].items():
        if (flag, command.split()[0]) in EXCEPTIONS:
            continue
        assert option.help == settings["help"], command
        assert option.default == settings.get("default", option.default), command
        expected = click.Option(declarations, **settings)
        assert type(option.type) is type(expected.type), command
        assert option.is_flag == expected.is_flag, command
        assert option.multiple == expected.multiple, command


def test_what_takes_a_cluster_accepts_nodes_that_differ() -> None:
    takes = set(OPTIONS["--cluster"])
    assert {"measure", "fit", "study", "bench"} <= takes
    assert takes <= set(OPTIONS["--allow-mixed"])


def test_every_exception_is_needed() -> None:
    for flag, command in EXCEPTIONS:
        own = [one for name, one in OPTIONS[flag].items() if name.split()[0] == command]
        assert own
        settings = next(
            settings
            for declarations, settings in COMMON.values()
            if declarations[0].partition("/")[0] == flag
        )
        assert any(
            (one.help, one.default) != (settings["help"], settings.get("default", one.default))
            or vars(one.type) != vars(settings["type"])
            for one in own
        )


@pytest.mark.parametrize("flag", sorted(flag for flag, found in OPTIONS.items() if len(found) > 1))
def test_an_option_of_several_commands_has_one_kind_of_value(flag: str) -> None:
    kinds = {
        (type(option.type).__name__, option.multiple, option.is_flag)
        for command, option in OPTIONS[flag].items()
        if (flag, command.split()[0]) not in EXCEPTIONS
    }
    assert len(kinds) == 1


#: Options whose help says more of the one folder or machine that each command means, or of what it
#: would do.
SAME_MEANING = {"--out", "--machine", "--plan", "--fail-on"}

#: Options whose choices are what each command can find.
OWN_CHOICES = {"--fail-on"}


@pytest.mark.parametrize("flag", sorted(flag for flag, found in OPTIONS.items() if len(found) > 1))
def test_an_option_of_several_commands_has_one_meaning(flag: str) -> None:
    found = {
        command: option
        for command, option in OPTIONS[flag].items()
        if (flag, command.split()[0]) not in EXCEPTIONS
    }
    choices = {getattr(option.type, "choices", None) for option in found.values()}
    assert len(choices) == 1 or flag in OWN_CHOICES, list(found)
    if flag not in SAME_MEANING:
        assert len({option.help for option in found.values()}) == 1, list(found)


def test_former_names_say_the_new_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert renamed("--rate", "--error-rate", None, 0.05) == 0.05
    assert capsys.readouterr().err == ""
    assert renamed("--rate", "--error-rate", 0.1, 0.05) == 0.1
    assert "--error-rate" in capsys.readouterr().err
    hidden = {
        (name, flag)
        for name, command in _commands(cli, "")
        for parameter in command.params
        if isinstance(parameter, click.Option) and parameter.hidden
        for flag in parameter.opts
    }
    assert {("accuracy", "--rate"), ("accuracy", "--null"), ("plan", "--strategy")} <= hidden


@pytest.mark.parametrize("name", ["measure", "fit", "plan"])
def test_strategy_comes_before_problem(name: str) -> None:
    arguments = [
        parameter.name
        for parameter in COMMANDS.get(name).params
        if isinstance(parameter, click.Argument)
    ]
    assert arguments == ["strategy", "problem"]


def test_a_name_given_twice_is_named() -> None:
    assert named_values((("cv", 3), ("coef", None))) == {"cv": 3, "coef": None}
    with pytest.raises(click.UsageError, match="cv"):
        named_values((("cv", 3), ("cv", 4)))
