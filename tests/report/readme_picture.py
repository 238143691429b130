"""The picture of the first page in README: the site that `ridgebench report` has published here.

Run as ``python -m tests.report.readme_picture``; needs Chromium.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.report.browser import Browser, Tab, find_browser

ROOT = Path(__file__).parents[2]
PAGE = ROOT / ".asv" / "html" / "ridgebench.html"
PICTURE = ROOT / "docs" / "figures" / "answer.png"

END = "document.querySelector('article.card:last-of-type').getBoundingClientRect().bottom"
MARGIN = 16
"""Pixels below the last answer."""


def main() -> None:
    program = find_browser()
    if program is None or not PAGE.is_file():
        sys.exit(f"needs Chromium, and {PAGE}: `ridgebench report` publishes it")
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(program, Path(folder, "profile"))
        try:
            tab = Tab(browser, width=1000, dark=False)
            tab.open(PAGE)
            tab.screenshot(PICTURE, int(tab.run(END)) + MARGIN)
        finally:
            browser.close()
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()
