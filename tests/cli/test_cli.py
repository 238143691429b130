import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from bench_core.cli import COMMANDS, cli

HEAVY = ("numpy", "scipy", "sklearn", "dask", "distributed", "torch", "asv", "pandas", "matplotlib")


# Answers in children of one interpreter, each as it is after the command line was imported.
ANSWERS = """
import json, os, sys
from bench_core.cli import cli
asked = json.loads(sys.argv[1])
for words in asked:
    print("ASKED", json.dumps(words), flush=True)
    child = os.fork()
    if not child:
        try:
            cli.main(words)
        except SystemExit as ended:
            print("MODULES", *sys.modules, flush=True)
            os._exit(ended.code or 0)
    _, status = os.waitpid(child, 0)
    assert status == 0, (words, status)
"""


@pytest.fixture(scope="module")
def helps():
    """Return the text of ``--help`` and the modules that it imports, of all and of each command."""
    asked = [["--help"], *([name, "--help"] for name in COMMANDS.names())]
    done = subprocess.run(
        [sys.executable, "-c", ANSWERS, json.dumps(asked)],
        capture_output=True,
        text=True,
        check=True,
    )
    found = {}
    for part in done.stdout.split("ASKED ")[1:]:
        words, _, rest = part.partition("\n")
        text, modules = rest.split("MODULES")
        found[" ".join(json.loads(words))] = text, set(modules.split())
    return found


def test_help_imports_nothing_heavy_and_no_command(helps):
    """`ridgebench --help` has to answer at once."""
    text, modules = helps["--help"]
    assert not modules & set(HEAVY)
    assert not [name for name in modules if name.startswith("bench_core.cli.commands.")]
    for name in COMMANDS.names():
        assert f"\n  {name} " in text


@pytest.mark.parametrize("name", COMMANDS.names())
def test_every_command_explains_itself_without_heavy_imports(helps, name):
    text, modules = helps[f"{name} --help"]
    assert "Usage:" in text
    assert f"bench_core.cli.commands.{name.replace('-', '_')}" in modules
    assert not modules & set(HEAVY)


def test_an_unknown_command_offers_near_ones():
    result = CliRunner().invoke(cli, ["problm"])
    assert result.exit_code == 2
    assert "unknown command 'problm': did you mean 'problem'?" in result.output


def test_errors_of_the_user_are_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "bench_core.cli", "problem", "show", str(tmp_path / "none")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert str(tmp_path / "none") in done.stderr.replace("\n", "")


def test_a_crashed_fit_is_no_mistake_of_the_user(monkeypatch, capsys):
    from bench_core.cli import main
    from bench_core.errors import InputError
    from bench_core.fitting.run import FitFailedError

    for error, status in ((FitFailedError("it crashed"), 1), (InputError("a mistake"), 2)):

        def fail(*arguments, error=error, **options):
            raise error

        monkeypatch.setattr(cli, "main", fail)
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == status
        assert str(error) in capsys.readouterr().err
