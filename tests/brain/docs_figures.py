"""Put the pictures of docs/walkthrough.md into docs/figures: python -m tests.brain.docs_figures.

The page's commands are run, in order, in a folder that is removed afterwards.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.brain.walkthrough_page import run_page

FIGURES = Path(__file__).parents[2] / "docs" / "figures"
PICTURES = {
    "results/subjects/subject-regions.svg": "subject-regions.svg",
    "results/subjects/between-subjects.svg": "between-subjects.svg",
    "layers/parcels/layers.svg": "layers.svg",
    "layers/parcels/preferred.png": "preferred.png",
}
"""Pictures by their place in the folder of the page, and their names in docs/figures."""


def main() -> None:
    """Run the page and copy its pictures."""
    before, path = Path.cwd(), list(sys.path)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            run_page()
            FIGURES.mkdir(exist_ok=True)
            for place, name in PICTURES.items():
                shutil.copyfile(place, FIGURES / name)
        finally:
            os.chdir(before)
            sys.path[:] = path


if __name__ == "__main__":
    main()
