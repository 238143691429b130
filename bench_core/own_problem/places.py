"""Where a sweep keeps what it makes: in a clone with the suites' results, elsewhere in a folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bench_core.report.runs import pending_folder
from bench_core.scaling.calibration import CALIBRATIONS

STATE = Path(".asv", "own")


@dataclass(frozen=True)
class Places:
    """Folders of a sweep.

    Parameters
    ----------
    root : the clone, or the folder that the command runs in.
    results : collected records, ``MACHINE/COMMIT-ENVIRONMENT.records.jsonl``.
    clone : whether `asv` knows the results, too.
    label : of how penalties are chosen, empty for what holds without.

    Examples
    --------
    >>> Places(Path("."), Path("results"), clone=False).page("my data").as_posix()
    'pages/my-data/answer.html'
    """

    root: Path
    results: Path
    clone: bool
    label: str = ""

    @property
    def pending(self) -> Path:
        """Folder to which records are published as they are made; another for other penalties."""
        return pending_folder(self.root, self.label)

    @property
    def state(self) -> Path:
        """Folder of the records to go on from, and of copied array files."""
        return self.root / STATE / "problems"

    @property
    def environments(self) -> Path:
        """Folder of built environments."""
        return self.root / STATE / "environments"

    @property
    def calibrations(self) -> Path:
        """Folder of the calibrations that `ridgebench calibrate` writes."""
        return self.root / CALIBRATIONS

    @property
    def quick_calibrations(self) -> Path:
        """Folder of quick calibrations, which are for sweeps alone."""
        return self.root / STATE / "calibration"

    def page(self, name: str) -> Path:
        """Return the first page of a problem's site, which has a folder of its own."""
        readable = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "problem"
        return (self.root / STATE if self.clone else self.root) / "pages" / readable / "answer.html"


def find_places(here: Path, label: str = "") -> Places:
    """Return the folders of a sweep that is started in ``here``.

    A clone of ridgebench has its suites, and asv is installed to read their configuration.
    """
    from bench_core.report.bench_request import PROFILES
    from bench_core.report.site import CONFIGURATION, find_project

    known = any((one / CONFIGURATION).is_file() for one in (here, *here.parents))
    if known and find_spec("asv") is not None:
        project = find_project(here)
        if (project.benchmarks / PROFILES).is_file():
            return Places(project.root, project.results, clone=True, label=label)
    return Places(here, here / "results", clone=False, label=label)
