"""The commands of docs/walkthrough.md, run in the current folder."""

from __future__ import annotations

import glob
import os
import re
import shlex
import sys
from pathlib import Path

from bench_core.cli import cli

PAGE = Path(__file__).parents[2] / "docs" / "walkthrough.md"


def blocks(kind):
    """Return the places and the texts of the page's blocks of one kind."""
    text = PAGE.read_text(encoding="utf-8")
    return [
        (match.start(), match[1])
        for match in re.finditer(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    ]


def steps():
    """Return ("console", line) and ("python", text) in the order of the page."""
    found = [
        (place, "console", line[2:])
        for place, text in blocks("console")
        for line in text.splitlines()
        if line.startswith("$ ")
    ]
    found += [(place, "python", text) for place, text in blocks("python")]
    return [(kind, text) for _, kind, text in sorted(found, key=lambda step: step[0])]


def run_page(subjects=3):
    """Run every step; the folder changes as the page says, and so does the path of modules.

    ``subjects`` is the number of them, of which the page has 3.
    """
    for kind, text in steps():
        text = text.replace("--subjects 3", f"--subjects {subjects}")
        if kind == "python":
            exec(compile(text, str(PAGE), "exec"), {})
            continue
        words = [
            each
            for word in shlex.split(text)
            for each in (sorted(glob.glob(word)) if "*" in word else [word])
        ]
        if words[0] == "cd":
            os.chdir(words[1])
        elif words[0] == "export":
            name, value = words[1].split("=")
            assert name == "PYTHONPATH"
            sys.path.insert(0, str(Path(value).resolve()))
        else:
            assert words[0] == "ridgebench"
            try:
                cli.main(words[1:], standalone_mode=False)
            except SystemExit as ended:  # some commands say with their status what came out
                if ended.code:
                    raise
