import subprocess
import sys

import pytest
from click.testing import CliRunner

from bench_core.cli import COMMANDS, cli

HEAVY = ("numpy", "scipy", "sklearn", "dask", "distributed", "torch", "asv", "pandas", "matplotlib")


def _run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_help_imports_nothing_heavy_and_no_command():
    """`ridgebench --help` has to answer at once."""
    done = _run(
        "import sys; from bench_core.cli import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print('MODULES', *sys.modules)"
    )
    help_text, modules = done.stdout.split("MODULES")
    assert not set(modules.split()) & set(HEAVY)
    assert not [name for name in modules.split() if name.startswith("bench_core.cli.commands.")]
    for name in COMMANDS.names():
        assert f"\n  {name} " in help_text


@pytest.mark.parametrize("name", COMMANDS.names())
def test_every_command_explains_itself_without_heavy_imports(name):
    done = _run(
        "import sys; from bench_core.cli import cli\n"
        f"try: cli.main([{name!r}, '--help'])\n"
        "except SystemExit: pass\n"
        "print('MODULES', *sys.modules)"
    )
    text, modules = done.stdout.split("MODULES")
    assert "Usage:" in text
    assert not set(modules.split()) & set(HEAVY)


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
