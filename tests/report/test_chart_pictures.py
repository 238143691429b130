"""Charts as pictures that a reader keeps: the file holds what the chart shows."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.report.browser import Browser, Tab, needs_bokeh
from tests.report.made_site import MadeSite

pytestmark = needs_bokeh

SVG = "{http://www.w3.org/2000/svg}"
CLICK = """((text) => Array.from(document.querySelectorAll(".controls button"))
  .find((one) => one.textContent === text).click())"""


@pytest.fixture(scope="module")
def kept(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder to which pages save."""
    folder = tmp_path_factory.mktemp("kept")
    browser.save_to(folder)
    return folder


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    opened = Tab(browser)
    yield opened
    opened.close()


def _save(tab: Tab, kind: str, path: Path) -> bytes:
    tab.run(f"{CLICK}('Save as {kind.upper()}')")
    assert tab.browser.wait_for_file() == "completed"
    content = path.read_bytes()
    path.unlink()
    return content


def _dots(picture: ET.Element) -> list[tuple[float, float, str]]:
    """Return place and words of every point."""
    found = []
    for path in picture.iter(f"{SVG}path"):
        words = path.find(f"{SVG}title")
        if words is not None:
            x, y = re.findall(r"-?[\d.]+", path.attrib["transform"])
            found.append((float(x), float(y), words.text or ""))
    return found


def test_a_chart_is_saved_as_svg_as_it_is_shown(tab: Tab, site: MadeSite, kept: Path) -> None:
    tab.open(site.path.with_name("ridgebench-scaling.html"))
    picture = ET.fromstring(_save(tab, "svg", kept / "scaling.svg"))
    data = tab.run(
        "(({ x, y }) => [Array.from(x), Array.from(y)])(ridgebenchCharts[0].points.data)"
    )
    dots = _dots(picture)
    assert len(dots) == len(data[0]) > 10
    # Places are straight in the logarithm of what the chart's points are.
    for values, places in (
        (data[0], [one[0] for one in dots]),
        (data[1], [one[1] for one in dots]),
    ):
        low, high = values.index(min(values)), values.index(max(values))
        span = math.log(values[high] / values[low])
        for value, place in zip(values, places, strict=True):
            part = math.log(value / values[low]) / span
            wanted = places[low] + part * (places[high] - places[low])
            assert place == pytest.approx(wanted, abs=0.02)
    texts = [one.text for one in picture.iter(f"{SVG}text")]
    assert {"All valid fits", "time in seconds", "threads of a node", "1", "2", "4"} <= set(texts)
    shown = tab.run("Array.from(document.querySelectorAll('.legend button'), (b) => b.textContent)")
    assert set(shown) <= set(texts)
    assert any("record" not in one and "ridgecv" in one for _, _, one in dots)

    tab.run("document.querySelector('.legend button').click()")  # one series less
    fewer = ET.fromstring(_save(tab, "svg", kept / "scaling.svg"))
    assert len(_dots(fewer)) == tab.run("ridgebenchCharts[0].points.data.x.length") < len(dots)
    assert shown[0] not in [one.text for one in fewer.iter(f"{SVG}text")]
    assert tab.errors == []


def test_commits_are_named_below_the_lines(tab: Tab, site: MadeSite, kept: Path) -> None:
    tab.open(site.path.with_name("ridgebench-history.html"))
    picture = ET.fromstring(_save(tab, "svg", kept / "history.svg"))
    names = [one.text for one in picture.iter(f"{SVG}text") if "rotate(-35" in str(one.attrib)]
    assert names == [commit.name[:8] for commit in site.history.order.commits]

    # Relative to the first commit every line begins at 1.
    tab.run(
        """(() => { const list = Array.from(document.querySelectorAll(".controls label"))
          .find((one) => one.firstChild.textContent === "Shown").querySelector("select");
        list.value = "value-relative"; list.dispatchEvent(new Event("change")); })()"""
    )
    data = "ridgebenchCharts[0].points.data"
    found = zip(tab.run(f"Array.from({data}.x)"), tab.run(f"Array.from({data}.y)"), strict=True)
    assert {y for x, y in found if x == 0} == {1}
    assert "relative" in tab.run("ridgebenchCharts[0].plot.left[0].axis_label")
    assert tab.errors == []


def test_a_chart_is_saved_as_png(tab: Tab, site: MadeSite, kept: Path) -> None:
    tab.open(site.path.with_name("ridgebench-scaling.html"))
    content = _save(tab, "png", kept / "scaling.png")
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    assert width == 1920
    assert height > 2 * 430
    assert len(content) > 10_000  # not an empty sheet
    assert tab.errors == []
