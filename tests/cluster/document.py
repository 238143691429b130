"""The page docs/clusters.md as the tests run it: commands by section, and configurations."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parents[2] / "docs" / "clusters.md"


def sections() -> dict[str, str]:
    """Return the text of every section by its heading."""
    text = DOCUMENT.read_text(encoding="utf-8")
    found = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


def commands(section: str | None = None) -> list[str]:
    """Return the commands of a section, or of the page, in order."""
    text = DOCUMENT.read_text(encoding="utf-8") if section is None else sections()[section]
    return re.findall(r"^\$ (.*)$", text, flags=re.MULTILINE)


def configuration(section: str) -> dict[str, Any]:
    """Return the one configuration of a section."""
    (block,) = re.findall(r"```toml\n(.*?)```", sections()[section], re.DOTALL)
    return tomllib.loads(block)


def words(line: str, changes: dict[str, str]) -> list[str]:
    """Return the words of a command with some of its text replaced."""
    for old, new in changes.items():
        line = line.replace(old, new)
    return shlex.split(line)
