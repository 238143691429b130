"""Write an asv project: this project's own configurations and suites, for another folder.

The files are those that ridgebench is benchmarked with itself. In a wheel they lie beside this
module, in a clone at its root. A configuration differs in what asv builds and installs.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from bench_core import __version__
from bench_core.errors import InputError, RidgebenchError, installed_from, listed
from bench_core.files import write_text
from bench_core.toml import read_toml

CONFIGURATION = "asv.conf.json"
_SUITES, _ENVIRONMENTS, _IGNORED = "benchmarks", "envs", ".gitignore"
_WHEEL, _PROJECT = "{wheel_file}", '"project": "ridgebench"'


@dataclass(frozen=True)
class Written:
    """What `write_project` has written.

    Parameters
    ----------
    files : paths of the files, relative to the folder.
    requirement : what asv's environments install of ridgebench, as pip takes it, without extras.
    package : name of the package of that folder which asv builds too; None for none.
    ignored : whether git ignores asv's working folder because of a file that was written.

    Examples
    --------
    >>> Written((Path("asv.conf.json"),), "ridgebench==0.1.0", None, True).package is None
    True
    """

    files: tuple[Path, ...]
    requirement: str
    package: str | None
    ignored: bool


def write_project(folder: Path, requirement: str | None = None) -> Written:
    """Write configurations, suites and profiles into a folder, which is created where it is not.

    Where the folder is a Python package (``pyproject.toml``), asv builds and installs that package
    at every commit, beside ridgebench. Nothing is written where one of the files is there already.

    Parameters
    ----------
    requirement : what the environments install, as pip takes it, such as "ridgebench==0.1.0" or
        "ridgebench @ file:///…"; None for what is installed here.

    Raises
    ------
    InputError : files that would be overwritten, a requirement of another package, or a
        ``pyproject.toml`` without a name.
    """
    package = _package(folder)
    wanted = installed_requirement() if requirement is None else _checked(requirement)
    texts = dict(_texts(wanted, package))
    there = [str(folder / path) for path in texts if (folder / path).exists()]
    if there:
        raise listed(there, "files that are there already", "nothing was written; move them away")
    ignored = not (folder / _IGNORED).exists()
    if ignored:
        texts[Path(_IGNORED)] = ".asv/\n__pycache__/\n"
    for path, text in texts.items():
        write_text(folder / path, text)
    return Written(tuple(texts), wanted, package, ignored)


def installed_requirement() -> str:
    """Return the requirement that installs what is installed here, from where it came.

    That is a file, a folder or a repository, else a release.
    """
    origin = installed_from()
    url = origin.get("url")
    if not url:
        return f"ridgebench=={__version__}"
    if source := origin.get("vcs_info"):
        url = f"{source['vcs']}+{url}@{source['commit_id']}"
    return f"ridgebench @ {url}"


def with_extras(requirement: str, extras: str) -> str:
    """Return a requirement of ridgebench with optional packages.

    >>> with_extras("ridgebench==0.1.0", "peers")
    'ridgebench[peers]==0.1.0'
    >>> with_extras("ridgebench @ file:///tmp/ridgebench.whl", "peers,brain")
    'ridgebench[peers,brain] @ file:///tmp/ridgebench.whl'
    """
    return f"ridgebench[{extras}]{requirement.removeprefix('ridgebench')}"


def _checked(requirement: str) -> str:
    rest = requirement.strip().removeprefix("ridgebench")
    if rest == requirement.strip() or rest[:1] not in ("", " ", "=", ">", "<", "~", "!", "@"):
        raise InputError(
            f"requirement {requirement!r}: give ridgebench as pip takes it, without extras: "
            f"'ridgebench=={__version__}' or 'ridgebench @ file:///path/of/the.whl'"
        )
    if set(rest) & set("'\"{}\\\n"):
        raise InputError(f"requirement {requirement!r}: quotes and braces have no place in it")
    return requirement.strip()


def _package(folder: Path) -> str | None:
    """Return the name of the Python package in a folder, None where there is none."""
    path = folder / "pyproject.toml"
    if not path.is_file():
        return None
    name = read_toml(path).get("project", {}).get("name")
    if not isinstance(name, str):
        raise InputError(
            f"{path} has no project.name: give the package one, or take another folder"
        )
    return name


def _texts(requirement: str, package: str | None) -> Iterator[tuple[Path, str]]:
    """Yield every file with its text."""
    root = _templates()
    for path in [root / CONFIGURATION, *sorted((root / _ENVIRONMENTS).glob("asv.*.conf.json"))]:
        text = path.read_text(encoding="utf-8")
        yield path.relative_to(root), configured(text, requirement, package)
    for path in sorted((root / _SUITES).glob("*")):
        if path.suffix in (".py", ".toml"):
            yield path.relative_to(root), path.read_text(encoding="utf-8")


def configured(text: str, requirement: str, package: str | None) -> str:
    """Return a configuration of this project as one of another: what is built and installed.

    Raises
    ------
    RidgebenchError : the text has not the lines that are replaced.
    """
    lines, replaced = [], set()
    for line in text.splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        if line.strip().startswith(_PROJECT):
            line = line.replace('"ridgebench"', json.dumps(package or "benchmarks"))
            replaced.add("project")
        elif _WHEEL in line:
            extras = line.partition(f"{_WHEEL}[")[2].partition("]")[0]
            wanted = shlex.quote(with_extras(requirement, extras))
            wanted += f" {_WHEEL}" if package else ""
            line = line.replace(f"{_WHEEL}[{extras}]", wanted)
            replaced.add("install")
        elif line.strip().startswith(('"build_command"', '"uninstall_command"')):
            key = line.split('"')[1]
            line = line if package else f'{indent}"{key}": [],'
            replaced.add(key)
        lines.append(line)
    if len(replaced) != 4:
        raise RidgebenchError(f"a configuration of asv is not as expected: only {sorted(replaced)}")
    return "\n".join(lines) + "\n"


def _templates() -> Path:
    """Return the folder with configurations and suites: of the installed package, or the clone."""
    beside = Path(str(files("bench_core.asv_project")))
    for folder in (beside, beside.parents[1]):
        if (folder / CONFIGURATION).is_file() and (folder / _SUITES).is_dir():
            return folder
    raise RidgebenchError(
        f"{beside} lacks {CONFIGURATION} and {_SUITES}/: install ridgebench from a wheel or a clone"
    )
