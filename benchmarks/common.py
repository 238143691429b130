"""What the suites share: profiles, skipping with a reason, one fit for all figures of a set.

asv runs every (benchmark, parameter set) in a process of its own. `setup_cache` gives each
`asv run` of an environment a folder of its own; the first benchmark that wants the figures of a
parameter set measures into it, the others read, and the next run measures anew. Every record is
also copied to `.asv/records`, from where `ridgebench report` collects it.
"""

from __future__ import annotations

import os
import tomllib
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

THREADS = [1, 2, 4, 8, 16, 32]
NODES = [1, 2, 4, 6, 8]

_PROFILES = tomllib.loads((Path(__file__).parent / "profiles.toml").read_text(encoding="utf-8"))


def profile() -> dict[str, Any]:
    """Return the chosen profile; an unknown one is an error that names the others."""
    name = os.environ.get("RIDGEBENCH_PROFILE", "small")
    if name not in _PROFILES:
        from bench_core.errors import unknown

        raise unknown("profile", name, _PROFILES)
    return {"name": name, **_PROFILES[name]}


def left_out(suite: str, **parameters: object) -> str | None:
    """Return why the profile leaves these parameters out, None when it runs them."""
    chosen = profile()
    for key, value in parameters.items():
        allowed = chosen.get(suite, {}).get(key)
        if allowed is not None and value not in allowed:
            return f"profile {chosen['name']} leaves out {key} {value}"
    return None


class Suite:
    """Base of every suite. ``suite`` is its module's name and the profile's section."""

    version = "1"  # pinned: an edit of the source must not drop the history
    timeout = 24 * 3600.0
    suite: ClassVar[str]

    def setup_cache(self) -> str:
        return os.getcwd()


class FitSuite(Suite):
    """Base of the suites that fit: says which case belongs to which parameters."""

    def case(self, *parameters: Any, **changes: Any) -> Any:
        """Return the `bench_core.measure.Case` of one parameter set."""
        raise NotImplementedError

    def skip(self, *parameters: Any) -> str | None:
        """Return why a parameter set is not run in this profile."""
        raise NotImplementedError

    def setup(self, session: str, *parameters: Any) -> None:
        from bench_core.measure import publish, skipped

        reason = self.skip(*parameters)
        if reason is not None:
            publish(skipped(self.case(*parameters), reason), Path(session))
            raise NotImplementedError(reason)
        self.record = self.measured(session, self.case(*parameters))

    def measured(self, session: str, case: Any) -> dict[str, Any]:
        """Return the case's record of this session, measuring it if no other benchmark has."""
        from bench_core.measure import measure, publish

        record = measure(case, store=Path(session))
        publish(record, Path(session))
        if record["status"] == "skipped":
            raise NotImplementedError(record["reason"])
        if record["status"] != "ok":
            raise RuntimeError(f"{record['status']}: {record['reason']}")
        return record


def make_case(suite: str, resolution: str, scale: str, **rest: Any) -> Any:
    """Return a `Case` in this environment's BLAS and kernels and the profile's repeats."""
    from bench_core.measure import Case

    chosen = profile()
    rest.setdefault("repeats", chosen["repeats"])
    return Case(
        suite=suite,
        problem=resolution,
        scale=float(Fraction(scale)),
        blas=os.environ.get("RIDGEBENCH_BLAS"),
        kernels=os.environ.get("RIDGEBENCH_KERNELS", "default"),
        **rest,
    )
