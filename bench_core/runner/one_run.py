"""One run of a case: its timed fits in one process, once more if others used the machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from bench_core.progress import Progress
from bench_core.records.times import HostUse, MachineUse, Memory, RunTimes
from bench_core.runner.disturbance import UseMeter, disturbance
from bench_core.runner.host_memory import HostsWatch
from bench_core.runner.hosts_use import HostsMeter, busiest, hosts_disturbance, others_cores
from bench_core.runner.link_meter import LinkMeter
from bench_core.runner.memory import MemoryWatch
from bench_core.runner.phase_meter import PhaseMeter
from bench_core.runner.processor import FitMeter
from bench_core.runner.session import Session
from bench_core.runner.timing import TimedFits, watched_fits

#: How often a disturbed run is measured again.
AGAIN = 1


@dataclass(frozen=True)
class Run:
    """What the timed fits of one process leave.

    Parameters
    ----------
    fits : those that count; their model is the last one.
    attempts : all of them as the record has them, one of them counted.
    """

    fits: TimedFits
    memory: Memory
    meter: FitMeter
    attempts: tuple[RunTimes, ...]

    @property
    def counted(self) -> RunTimes:
        """The attempt whose times count."""
        return next(one for one in self.attempts if one.counted)


def time_run(
    session: Session,
    watch: MemoryWatch | HostsWatch,
    progress: Progress,
    *,
    use_meter: Callable[[], UseMeter] = UseMeter,
) -> Run:
    """Time the fits of a session's job; again, at most `AGAIN` times, while others disturb them.

    Of several attempts that were all disturbed, the one with the least other work counts. Where
    the job accepts load, the first counts and is not judged: what disturbed it is noted.
    """
    job, spec = session.job, session.job.spec
    found: list[tuple[TimedFits, Memory, FitMeter, RunTimes]] = []
    while True:
        use = HostsMeter(session.cluster) if session.elsewhere else use_meter()
        meter = FitMeter(session.process_times, session.throttled, use)
        started = datetime.now(UTC)
        # The model of an attempt before is given up, so that two are never in memory together.
        found = [(_with_model(one[0], None), *one[1:]) for one in found]
        fits, memory = watched_fits(
            session.make,
            session.train,
            spec.repeats,
            watch,
            names=session.names,
            until=spec.until,
            bytes_moved=session.bytes_moved,
            meter=meter,
            phases=PhaseMeter(),
            links=LinkMeter(session.link_seconds) if session.elsewhere else None,
            progress=progress,
        )
        used, hosts, disturbed = _judged(use, session)
        attempt = RunTimes(
            number=job.run,
            started=f"{started:%Y-%m-%dT%H:%M:%SZ}",
            warm_up_fits_s=tuple(fits.warm_up),
            fit_s=tuple(fits.times),
            stopped=fits.stopped,
            use=used,
            disturbed=disturbed,
            counted=False,
            hosts=hosts,
        )
        found.append((fits, memory, meter, attempt))
        if attempt.disturbed is None or job.accept_load or len(found) > AGAIN:
            break
        progress("others used the machine, so timing again")
    best = min(range(len(found)), key=lambda n: _others(found[n][3]))
    attempts = [one for *_, one in found]
    attempts[best] = replace(attempts[best], counted=True)
    fits, memory, meter, _ = found[best]
    return Run(_with_model(fits, found[-1][0].model), memory, meter, tuple(attempts))


def _judged(
    meter: UseMeter | HostsMeter, session: Session
) -> tuple[MachineUse | None, tuple[HostUse, ...], str | None]:
    """Return the use of the machine, that of every host elsewhere, and what disturbed the fits."""
    spec = session.job.spec
    if not isinstance(meter, HostsMeter):
        used = meter.use()
        return used, (), disturbance(used, spec.nodes * spec.threads)
    hosts = meter.uses()
    asked = Counter(meter.cluster.host_names())
    cores = {host: nodes * spec.threads for host, nodes in asked.items()}
    return busiest(hosts), hosts, hosts_disturbance(hosts, cores)


def _with_model(fits: TimedFits, model: Any) -> TimedFits:
    return fits._replace(model=model)


def _others(attempt: RunTimes) -> tuple[bool, float]:
    """Return an order of attempts: those that nothing disturbed, then by the work of others."""
    use: MachineUse | None = attempt.use
    if use is None:
        return attempt.disturbed is not None, 0.0
    return attempt.disturbed is not None, others_cores(use)
