"""What the suites share: profiles, skipping with a reason, one fit for all figures of a set.

asv runs every (benchmark, parameter set) in a process of its own. `setup_cache` gives each
`asv run` of an environment a folder of its own; the first benchmark that wants the figures of a
parameter set measures into it, the others read, and the next run measures anew. Every record is
also published to `.asv/records` the moment it is there, from where `ridgebench report` collects it.
With ``RIDGEBENCH_RESUME`` a run reads those instead (`bench_core.measure.resume`).
"""

from __future__ import annotations

import functools
import importlib
import itertools
import os
import pkgutil
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from bench_core.machine import available_cores  # here, so that asv's fork server imports it once

if TYPE_CHECKING:
    from bench_core.cluster.capacity import Capacity
    from bench_core.cluster.settings import ClusterSettings
    from bench_core.measure import FitSpec
    from bench_core.records import AnyRecord, KernelsRecord, Record
    from bench_core.records.times import Times

R = TypeVar("R", "Record", "KernelsRecord")

THREADS = [1, 2, 4, 8, 16, 32]
NODES = [1, 2, 4, 6, 8]

PENALTY = "RIDGEBENCH_PENALTY"
"""Variable by which `ridgebench bench` says how penalties are chosen; it is rarely there."""

DEVICE = "RIDGEBENCH_DEVICE"
"""Variable by which `ridgebench bench` says on which device to fit; absent for the processor."""

_NOTHING_RUNS = "nothing-runs.txt"
_PROFILES = tomllib.loads((Path(__file__).parent / "profiles.toml").read_text(encoding="utf-8"))


def profile() -> dict[str, Any]:
    """Return the chosen profile; an unknown one is an error that names the others."""
    name = os.environ.get("RIDGEBENCH_PROFILE", "small")
    if name not in _PROFILES:
        from bench_core.errors import unknown

        raise unknown("profile", name, _PROFILES)
    return {"name": name, **_PROFILES[name]}


class Suite:
    """Base of every suite. ``suite`` is its module's name and the profile's section."""

    version = "1"  # pinned: an edit of the source must not drop the history
    timeout = 24 * 3600.0
    suite: ClassVar[str]
    on_cluster: ClassVar[bool] = False
    """Whether it can measure on another cluster (RIDGEBENCH_CLUSTER) than this machine."""
    on_device: ClassVar[bool] = False
    """Whether it compares devices: it then runs where one is asked for (RIDGEBENCH_DEVICE)."""
    params: ClassVar[tuple[list[Any], ...]] = ()
    param_names: ClassVar[tuple[str, ...]] = ()

    def setup_cache(self) -> str:
        """Return the folder of this run and environment, and publish what will be left out."""
        from bench_core.measure import seed_session, session_store
        from bench_core.measure.turns_plan import PLAN, in_session, write_plan
        from bench_core.records.skips import make_skips

        name_records_folder()
        session = session_store()
        # Not twice in a session, nor the machine's clock, which shows how this session went.
        begun = Path(session, PLAN).exists()
        clock = [reference().stem] if in_session() else []
        if not begun and (kept := seed_session(Path(session), without=clock)):
            print(f"{kept} records of this environment and commit are used, not measured again")
        useless = no_better_kernels()
        if useless is not None:
            Path(session, _NOTHING_RUNS).write_text(useless, encoding="utf-8")
        publish(make_skips(count_skips(useless), profile()["name"]))
        if in_session():
            cases = [] if useless is not None else list(cases_in_turn())
            write_plan(Path(session), cases, reference(), profile().get("runs", 1), selection())
        return session

    @classmethod
    def reason_to_skip(cls, *parameters: Any) -> str | None:
        """Return why a parameter set does not run here, before anything heavy is imported."""
        chosen = profile()
        if cls.on_device != (DEVICE in os.environ):
            asked = "measures the processor: leave out --device"
            return "compares devices: give --device cuda" if cls.on_device else asked
        named = dict(zip(cls.param_names, parameters, strict=True))
        for key, value in named.items():
            allowed = chosen.get(cls.suite, {}).get(key)
            if allowed is not None and value not in allowed:
                runs = ", ".join(map(str, allowed)) or "none"
                return f"profile {chosen['name']} runs no other {key} than {runs}"
        return cls.too_large(named.get("nodes", 1), named.get("threads", 1))

    @classmethod
    def too_large(cls, nodes: int, threads: int) -> str | None:
        """Return why this machine or the cluster does not hold so many nodes and threads."""
        if (cluster := other_cluster()) is not None:
            if not cls.on_cluster:
                return f"measures this machine, not {cluster.label}"
            return cluster_capacity().refusal(nodes, threads)
        needed = nodes * threads
        if needed > (cores := available_cores()):
            return f"more nodes x threads than the {cores} cores that are available"
        return None

    def setup(self, session: str, *parameters: Any) -> None:
        reason = self.reason_to_skip(*parameters)
        if reason is None and (nothing := Path(session, _NOTHING_RUNS)).exists():
            reason = nothing.read_text(encoding="utf-8")
        if reason is not None:
            raise NotImplementedError(reason)
        self.prepare(session, *parameters)

    def prepare(self, session: str, *parameters: Any) -> None:
        """Measure one parameter set, or read what another benchmark of this run measured."""
        raise NotImplementedError


class FitSuite(Suite):
    """Base of the suites that fit: they say which case belongs to which parameters.

    ``in_turn`` : whether `ridgebench bench` measures the cases in turns with other environments.
    """

    in_turn: ClassVar[bool] = True

    on_cluster = True

    def case(self, *parameters: Any) -> Any:
        """Return the `bench_core.measure.FitSpec` of one parameter set."""
        raise NotImplementedError

    @classmethod
    def reason_to_skip(cls, *parameters: Any) -> str | None:
        """Return as `Suite`, and why a strategy cannot choose penalties as `bench` was asked."""
        reason = super().reason_to_skip(*parameters)
        if reason is None and PENALTY in os.environ:
            from bench_core.runner.penalty_request import requested

            request = requested()
            return None if request is None else request.refusal(cls().case(*parameters))
        return reason

    def prepare(self, session: str, *parameters: Any) -> None:
        self.record = measured(session, self.case(*parameters))


def name_records_folder() -> None:
    """Have records published to the checkout that the suites lie in, unless a folder is named.

    This is so whichever configuration file asv was given. The variable reaches the processes that
    measure in turns, too.
    """
    from bench_core.records.store import RECORDS

    os.environ.setdefault(RECORDS, str(Path(__file__).parents[1] / ".asv" / "records"))


def publish(record: AnyRecord) -> None:
    """Keep a record for the report; see `bench_core.measure.publish`."""
    from bench_core.records import store

    name_records_folder()
    store.publish(record)


def measured(session: str, case: FitSpec) -> Record:
    """Return the case's record of this session, measuring it if no other benchmark has."""
    from bench_core.measure import measure

    record = measure(case, store=Path(session), cluster=other_cluster())
    publish(record)
    return usable(record)


def publish_figures(
    suite: str,
    parameters: Mapping[str, Any],
    figures: Mapping[str, tuple[float | None, str]],
) -> None:
    """Publish figures that are not those of one fit: name → (value, unit)."""
    from datetime import UTC, datetime

    from bench_core.records import make_figures

    started = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    publish(make_figures(suite, parameters, figures, started))


def samples(times: Times, reference: Times | None = None) -> dict[str, Any]:
    """Return repeats as asv takes them: it stores their median and interval, and compares by both.

    With a ``reference`` they are over its median.
    """
    over = 1.0 if reference is None else reference.median_s
    return {"samples": [one / over for one in times.fit_s], "number": 1}


def usable(record: R) -> R:
    """Return a valid record; let asv skip a skipped or disturbed one and fail on any other."""
    if record.status in ("skipped", "disturbed"):
        raise NotImplementedError(record.reason)
    if record.status != "ok":
        raise RuntimeError(f"{record.status}: {record.reason}")
    return record


def make_case(suite: str, resolution: str, scale: str, **rest: Any) -> Any:
    """Return a `FitSpec` in this environment's BLAS and kernels and the profile's repeats."""
    from bench_core.measure import FitSpec
    from bench_core.records.case import Until

    chosen = profile()
    rest.setdefault("repeats", chosen["repeats"])
    if "precision" in chosen:
        rest.setdefault("until", Until(chosen["precision"], chosen["budget_s"]))
    rest.setdefault("split", "random")  # the thesis's, and that of all records so far
    if (cluster := other_cluster()) is not None:
        rest["cluster"] = cluster.label
    spec = FitSpec(
        suite=suite,
        problem=resolution,
        scale=float(Fraction(scale)),
        blas=os.environ.get("RIDGEBENCH_BLAS"),
        kernels=os.environ.get("RIDGEBENCH_KERNELS", "default"),
        **rest,
    )
    if PENALTY not in os.environ:
        return spec
    from bench_core.runner.penalty_request import requested

    request = requested()
    return spec if request is None else request.applied(spec)


def reference() -> Any:
    """Return the case that is the clock of the machine: `ridgecv` on one node and one thread."""
    return make_case(
        "clock", "parcels", "1/32", strategy="ridgecv", repeats=2, until=None, null="skip"
    )


def cases_in_turn() -> Iterator[Any]:
    """Yield every case that runs here, is selected and is measured in turns, once."""
    from bench_core.report.bench_request import is_selected, selected_patterns

    seen, patterns = set(), selected_patterns()
    for suite in suites():
        if not (issubclass(suite, FitSuite) and suite.in_turn):
            continue
        for parameters in itertools.product(*suite.params):
            if suite.reason_to_skip(*parameters) is not None:
                continue
            if not is_selected(suite, parameters, patterns):
                continue
            case = suite().case(*parameters)
            if case.key() not in seen:
                seen.add(case.key())
                yield case


def selection() -> list[str]:
    """Return regular expressions for asv's ``--bench`` of the parameter sets that run here.

    asv starts a process for every other set only to hear that it is skipped.
    """
    found = []
    for suite in suites():
        runs = [
            re.escape(", ".join(map(repr, one)))
            for one in itertools.product(*suite.params)
            if suite.reason_to_skip(*one) is None
        ]
        if runs:
            name = rf"{suite.__module__.rpartition('.')[2]}\.{suite.__name__}"
            found.append(rf"^{name}\.\w+\(({'|'.join(runs)})\)$")
    return found


def no_better_kernels() -> str | None:
    """Return why an environment of best kernels has nothing to measure, None where it has."""
    if os.environ.get("RIDGEBENCH_KERNELS") != "best" or other_cluster() is not None:
        return None
    from bench_core.blas import kernel_advice
    from bench_core.blas.kernels import in_force

    advice = kernel_advice()
    if advice.environment or in_force(advice):
        return None
    return f"no better kernels to choose: {advice.reason}"


@functools.lru_cache(maxsize=1)
def other_cluster() -> ClusterSettings | None:
    """Return the cluster that RIDGEBENCH_CLUSTER names; None for this machine."""
    if not os.environ.get("RIDGEBENCH_CLUSTER"):
        return None
    from bench_core.cluster import chosen_cluster

    found = chosen_cluster()
    return found if found.elsewhere else None


@functools.lru_cache(maxsize=1)
def cluster_capacity() -> Capacity:
    """Return what that cluster can hold; a scheduler that runs is asked once per process."""
    found = other_cluster()
    assert found is not None
    return found.capacity()


def count_skips(otherwise: str | None = None) -> Counter[tuple[str, str]]:
    """Count, per suite and reason, the parameter sets of all suites that do not run here.

    ``otherwise`` is the reason of those that would, if nothing does.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for suite in suites():
        for parameters in itertools.product(*suite.params):
            reason = suite.reason_to_skip(*parameters) or otherwise
            if reason is not None:
                counts[suite.suite, reason] += 1
    return counts


def suites() -> Iterator[type[Suite]]:
    """Yield every suite of this folder that has parameters."""
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        loaded = importlib.import_module(f"{package}.{module.name}")
        for item in vars(loaded).values():
            if isinstance(item, type) and issubclass(item, Suite) and item.params:
                yield item
