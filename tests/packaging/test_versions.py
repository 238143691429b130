"""One version everywhere, and a change log whose headings are versions."""

from __future__ import annotations

import re
from datetime import date

import yaml
from packaging.version import Version

from bench_core import __version__
from tests.installed import ROOT

HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


def test_the_change_log_has_versions_newest_first() -> None:
    headings = HEADING.findall((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    unreleased = headings[0] == "Unreleased"
    released = []
    for heading in headings[unreleased:]:
        version, day = re.fullmatch(r"(\S+) \((\d{4}-\d\d-\d\d)\)", heading).groups()
        date.fromisoformat(day)
        released.append(Version(version))
    assert released == sorted(released, reverse=True)
    newest = released[0] if released else Version("0")
    # What is not released yet has a version of its own.
    assert Version(__version__) > newest if unreleased else Version(__version__) == newest


def test_the_citation_is_of_this_version() -> None:
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert found["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(found)
    assert found["version"] == __version__
    assert found["license"] == "BSD-3-Clause"
    assert [one["type"] for one in found["references"]] == ["thesis"]
