"""A project for `ridgebench bench` whose one environment is the Python that runs the tests.

asv measures a commit in environments that it builds. Its "existing" environment takes no commit, so
the project has a kind of its own, which links to what is installed here.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

from bench_core.blas import detect

ROOT = Path(__file__).parents[2]

PLUGIN = """
import os
import sys

from asv.environment import Environment


class LinkedEnvironment(Environment):
    tool_name = "linked"

    def __init__(self, conf, python, requirements, tagged_env_vars):
        self._requirements = requirements  # the name is made of them before they are set
        super().__init__(conf, python, requirements, tagged_env_vars)

    @classmethod
    def matches(cls, python):
        return True

    def _setup(self):
        os.makedirs(self._path)

    def find_executable(self, executable):
        return sys.executable

    def run(self, args, **kwargs):
        return self.run_executable("python", args, **kwargs)
"""

PROFILE = """
[medium]
runs = 1
repeats = 1
mor_repeats = 1
"""

#: Replacements that make the grids small: (file, pattern, text).
SMALL = (
    ("common.py", r"^THREADS = .*$", "THREADS = [1]"),
    ("common.py", r"^NODES = .*$", "NODES = [1, 2]"),
    ("common.py", r'"parcels", "1/32"', '"parcels", "1/256"'),
    (
        "nodes_bmor.py",
        r"^    params = .*$",
        '    params = (["ridgecv", "bmor"], NODES, THREADS, ["1/256"])',
    ),
)


def make_project(folder: Path) -> Path:
    """Make a git checkout with the suites `clock` and `nodes_bmor` at small sizes; return it."""
    suites = folder / "benchmarks"
    suites.mkdir(parents=True)
    for name in ("__init__.py", "common.py", "clock.py", "nodes_bmor.py"):
        shutil.copy(ROOT / "benchmarks" / name, suites)
    (suites / "profiles.toml").write_text(PROFILE)
    for name, pattern, text in SMALL:
        path = suites / name
        changed, count = re.subn(pattern, text, path.read_text(), flags=re.MULTILINE)
        assert count == 1, (name, pattern)
        path.write_text(changed)
    (folder / "linked_environment.py").write_text(PLUGIN)
    blas = detect().numpy.name
    configuration = {
        "version": 1,
        "project": "small",
        "repo": ".",
        "branches": ["HEAD"],
        "dvcs": "git",
        "environment_type": "linked",
        "plugins": [".linked_environment"],
        "pythons": ["same"],
        "build_command": [],
        "install_command": [],
        "uninstall_command": [],
        "matrix": {"env": {"RIDGEBENCH_BLAS": [blas]}},
        "benchmark_dir": "benchmarks",
        "env_dir": ".asv/env",
        "results_dir": "results",
        "html_dir": ".asv/html",
    }
    (folder / "asv.conf.json").write_text(json.dumps(configuration))
    (folder / ".gitignore").write_text(".asv\nresults\nhome\n")
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], [*who, "commit", "-q", "-m", "all"]):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)
    return folder
