"""Commands in the texts: every one exists with its options, and those of two pages are run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from bench_core.cli import cli
from tests.installed import ROOT

TEXTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(<!-- installs -->\n)?^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> Iterator[tuple[bool, str, str]]:
    """Yield whether a block installs something, its language and its text."""
    for match in BLOCK.finditer(text):
        yield bool(match[1]), match[2], match[3]


def commands(text: str) -> Iterator[str]:
    """Yield every line that calls ridgebench in the blocks for a shell."""
    for _, language, block in blocks(text):
        if language not in ("console", "sh", ""):
            continue
        for line in block.replace("\\\n", " ").splitlines():
            words = line.removeprefix("$ ").strip().removeprefix(".venv/bin/")
            if words.startswith("ridgebench ") and "COMMAND" not in words:
                yield words


def parsed(words: list[str]) -> click.Command:
    """Return the command that the words call; an option that it has not is an error."""
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        found = command.get_command(context, words.pop(0))
        assert found is not None
        command = found
    command.make_parser(click.Context(command)).parse_args(list(words))
    return command


CALLS = sorted({(path.name, one) for path in TEXTS for one in commands(path.read_text("utf-8"))})


@pytest.mark.parametrize(("page", "call"), CALLS, ids=[f"{page}: {call}" for page, call in CALLS])
def test_a_command_in_a_text_exists_with_its_options(page: str, call: str) -> None:
    parsed(shlex.split(call, comments=True)[1:])


def test_an_option_that_does_not_exist_is_found() -> None:
    with pytest.raises(click.UsageError):
        parsed(shlex.split("compare mkl openblas --no-such-option"))
    assert len(CALLS) > 80


def run_page(name: str, folder: Path) -> None:
    """Run a page's commands and Python in order, but for what installs something."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    os.chdir(folder)
    for installs, language, block in blocks(text):
        if language == "python":
            exec(compile(block, name, "exec"), {})
        if language != "console" or installs:
            continue
        for line in block.splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words[0] == "cd":
                os.chdir(words[1])
            elif words[0] == "git":
                subprocess.run(words, check=True, capture_output=True)
            else:
                assert words[0] == "ridgebench", line
                status: object = 0
                try:
                    cli.main(words[1:], standalone_mode=False)
                except SystemExit as ended:  # some commands say with their status what came out
                    status = ended.code
                assert not status, line


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Change into an empty folder, where git knows somebody, and back."""
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "tests")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "tests@localhost")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.delenv("RIDGEBENCH_RECORDS", raising=False)
    before = Path.cwd()
    yield tmp_path
    os.chdir(before)


def test_the_tutorial(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_page("tutorial.md", place)
    said = capsys.readouterr().out
    assert (place / "results" / "haxby" / "accuracy" / "accuracy.json").is_file()
    assert len(list((place / ".asv" / "measured").glob("*.json"))) == 1
    assert (place / "bench" / ".asv" / "html" / "ridgebench.html").is_file()
    assert "profile small" in said


def test_own_data(place: Path) -> None:
    run_page("own-data.md", place)
    assert (place / "problems" / "mine" / "problem.json").is_file()
    assert (place / "results" / "mine" / "r.npy").is_file()


def workflow() -> dict:
    text = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    (found,) = (block for _, language, block in blocks(text) if language == "yaml")
    return yaml.safe_load(found)


def test_the_workflow_measures_both_sides_in_turns_and_posts_the_verdict() -> None:
    found = workflow()
    # YAML 1.1 reads the key "on" as true.
    assert found[True] == "pull_request"
    assert found["permissions"] == {"contents": "read", "pull-requests": "write"}
    (job,) = found["jobs"].values()
    scripts = [step["run"] for step in job["steps"] if "run" in step]
    for script in scripts:
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    # Texts of a pull request never become part of a script.
    assert not [script for script in scripts if "${{" in script]
    called = [
        shlex.split(match[0])[1:]
        for script in scripts
        for match in re.finditer(r"^.*?\b(ridgebench .+)$", script, re.MULTILINE)
        for match in re.finditer(r"ridgebench [a-z][^|>)]+", match[1])
    ]
    assert [words[0] for words in called] == ["doctor", "bench", "compare"]
    for words in called:
        parsed(words)
    assert "--fail-on slower" in scripts[2]
    # What is used without a value in the environment would be empty there.
    used = {name for script in scripts for name in re.findall(r"\$\{?([A-Z_]+)", script)}
    steps = [step.get("env", {}) for step in job["steps"]]
    given = set(job["env"]).union(*steps)
    assert {one for one in used if not one.startswith("GITHUB_")} <= given


def test_the_workflow_s_turns_alternate(tmp_path: Path) -> None:
    (job,) = workflow()["jobs"].values()
    (script,) = (step["run"] for step in job["steps"] if "rounds/$round" in step.get("run", ""))
    # A ridgebench that writes its side's record and notes the order.
    fake = tmp_path / "bin" / "ridgebench"
    fake.parent.mkdir()
    fake.write_text(
        "#!/bin/sh\n"
        'echo "${PWD##*/}" >> ../order\n'
        'mkdir -p results/ci && echo "{}" > "results/ci/${PWD##*/}-env.records.jsonl"\n'
    )
    fake.chmod(0o755)
    for side in ("base", "head"):
        (tmp_path / side).mkdir()
    path = f"{fake.parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["bash", "-e", "-c", script], cwd=tmp_path, env={**os.environ, "PATH": path}, check=True
    )
    order = (tmp_path / "order").read_text().split()
    assert order == ["base", "head", "head", "base"] * 2
    for number in range(1, 5):
        found = {path.name for path in (tmp_path / "rounds" / str(number) / "ci").iterdir()}
        assert found == {"base-env.records.jsonl", "head-env.records.jsonl"}
