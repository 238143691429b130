"""A worker that is ready to fit: what it counts and proves, in this process and on its nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench_core import strategies
from bench_core.blas.threads import ProductThreads, product_threads, torch_threads
from bench_core.blas.torch_watch import TorchProducts, is_loaded
from bench_core.cluster import Ledger, Recovery
from bench_core.cluster.delivery import own_path
from bench_core.cluster.waiting import guarded
from bench_core.data import Problem
from bench_core.disk import give_back
from bench_core.machine import limits, throttled_seconds
from bench_core.records.blas import BlasCalls, BlasProof, BlasRecord
from bench_core.records.machine import ClusterRecord, LinkRecord, Load, PlacementRecord
from bench_core.records.record import RecoveryRecord
from bench_core.records.times import DeviceMemory
from bench_core.runner.blas_proof import (
    calls_of,
    locate_calls,
    wrong_kernels,
    wrong_threads,
)
from bench_core.runner.device_memory import Counts, read_peaks, start_counting
from bench_core.runner.host_memory import HostsWatch
from bench_core.runner.hosts import cluster_record, host_load, quota, throttled
from bench_core.runner.memory import MemoryWatch
from bench_core.runner.processor import ProcessTimes, placed, process_times
from bench_core.runner.protocol import HELD, FitJob
from bench_core.runner.torch_proof import (
    device_of,
    in_torch,
    kernels_note,
    torch_record,
    unwatched,
    wrong_device,
    wrong_torch,
)

if TYPE_CHECKING:
    from bench_core.cluster import Cluster


@dataclass
class Session:
    """A worker that is ready to fit.

    Parameters
    ----------
    make : returns a new estimator of the job's strategy and options; with ``shuffled=True`` one
        whose coefficients never lie where those of the fit do.
    busy : the cores of the measured work.
    names : what to call processes, by their ids, in the record's memory.
    cluster_start_s, warm_up_s : seconds; the first is None without a cluster.
    declared_torch : where the strategy says that it computes in torch, None for numpy.
    in_warm_up : calls of torch in the warm-up; None where it was not watched.
    """

    job: FitJob
    strategy: type[strategies.Strategy]
    train: Problem
    test: Problem
    cluster: Cluster | None
    make: Callable[..., Any]
    busy: list[int]
    names: dict[int, str]
    cluster_start_s: float | None
    warm_up_s: float
    declared_torch: str | None = None
    in_warm_up: TorchProducts | None = None
    _last_times: dict[int, ProcessTimes] = field(default_factory=dict)

    def start_recovery(self) -> None:
        """Let fits go on after the loss of nodes from now on, if the job asks for it.

        Not the warm-up: its batches are none of the fit.
        """
        if self.cluster is not None and self.job.retries is not None:
            folder = None if self.job.ledger is None else Path(self.job.ledger)
            self.cluster.recovery = Recovery(self.job.retries, Ledger(folder, self._give_back))

    def forget_batches(self) -> None:
        """Neither use nor keep on disk any finished batches: what follows is another fit."""
        if self.cluster is not None and self.cluster.recovery is not None:
            self.cluster.recovery = Recovery(self.job.retries or 0)

    def _give_back(self, size: int) -> None:
        """Give back space held for coefficients that are copied otherwise, and here are linked."""
        job = self.job
        if job.output is not None and job.save_coef and "coef" not in self.strategy.supports:
            give_back(Path(job.output) / HELD, size)

    def recovery(self) -> RecoveryRecord | None:
        """Return the record's ``recovery``; None where nothing was lost or resumed."""
        found = None if self.cluster is None else self.cluster.recovery
        if found is None or not (found.lost or found.redone or found.ledger.resumed):
            return None
        return RecoveryRecord(tuple(found.lost), found.redone, found.ledger.resumed)

    @property
    def torch_device(self) -> str | None:
        """Where the products ran in torch, "cpu" or "cuda:0" …; None for numpy and scipy."""
        return device_of(self.declared_torch, self.in_warm_up)

    @property
    def elsewhere(self) -> bool:
        """True where nodes may be on other machines than this process."""
        return self.cluster is not None and self.cluster.elsewhere

    def watch_memory(self, interval_ms: float) -> MemoryWatch | HostsWatch:
        """Return what samples memory: here, or on the hosts of the nodes too."""
        if self.elsewhere:
            return HostsWatch(interval_ms, self.cluster)
        return MemoryWatch(interval_ms, busy=self.busy)

    def throttled(self) -> float | None:
        """Return the seconds for which quotas have stopped this fit so far, None if unknown."""
        return throttled(self.cluster) if self.elsewhere else throttled_seconds()

    def quota(self) -> float | None:
        """Return the quota of cores where the fit runs, None without one."""
        return quota(self.cluster) if self.elsewhere else limits().cores

    def loads(self) -> list[Load]:
        """Return the load by other work on the host of every node elsewhere."""
        return self.cluster.run(host_load) if self.cluster is not None and self.elsewhere else []

    def cluster_record(
        self,
        before: Sequence[Load],
        watch: MemoryWatch | HostsWatch,
        links: Sequence[LinkRecord],
    ) -> ClusterRecord | None:
        """Return the record's ``cluster``, None where all nodes are processes of this machine.

        before : `loads` before the fits. links : see `bench_core.runner.link_meter`.
        """
        if not self.elsewhere:
            return None
        peaks = watch.peaks if isinstance(watch, HostsWatch) else {}
        return cluster_record(self.cluster, before, self.loads(), peaks, links)

    def bytes_moved(self) -> dict[str, int]:
        """Return the bytes that nodes have moved so far; nothing moves within one process."""
        return {"total": 0} if self.cluster is None else self.cluster.bytes_moved()

    def link_seconds(self) -> dict[str, float]:
        """Return the seconds that links between hosts have taken so far."""
        return {} if self.cluster is None else self.cluster.link_seconds()

    def process_times(self) -> list[ProcessTimes]:
        """Return the processor time so far of this process and of every node."""
        if self.cluster is None:
            return [process_times()]
        answers = self.cluster.run(process_times)
        self._last_times |= zip(self.cluster.living, answers, strict=True)
        # What a node that was lost has used is not known: as much as when it was asked last.
        return [process_times(), *(one for _, one in sorted(self._last_times.items()))]

    def products(self) -> dict[str, list[ProductThreads]]:
        """Return the threads of matrix products in every process that computes, by its name.

        All nodes multiply at once, as they do in a fit. Nothing is made for one thread, nor where
        the fit's products run on a GPU.
        """
        spec, device = self.job.spec, self.torch_device
        if spec.threads == 1 or device not in (None, "cpu"):
            return {}
        count = product_threads if device is None else torch_threads
        if self.cluster is None:
            return {"main": count(spec.threads, spec.dtype)}
        answers = self.cluster.run(count, spec.threads, spec.dtype)
        return dict(zip(self._node_names, answers, strict=True))

    @property
    def _node_names(self) -> list[str]:
        """What the record calls the nodes that live, in order."""
        assert self.cluster is not None
        return [f"node {node}" for node in self.cluster.living]

    def start_device_memory(self) -> list[Counts]:
        """Start counting memory on the GPU, in every process that computes there; [] without one.

        The answer goes to `device_memory`.
        """
        device = self.torch_device
        if device is None or not device.startswith("cuda"):
            return []
        if self.cluster is None:
            return [start_counting(device)]
        return self.cluster.run(start_counting, device)

    def device_memory(self, before: list[Counts]) -> tuple[DeviceMemory, ...]:
        """Return the record's ``device_memory`` since `start_device_memory`."""
        device = self.torch_device
        if not before or device is None:
            return ()
        if self.cluster is None:
            return (read_peaks(device, before[0]).to_record("main", device),)
        found = []
        for number in self.cluster.living:
            node = self.cluster.workers[number]
            read = partial(
                self.cluster.client.run,
                read_peaks,
                device,
                before[number],
                workers=[node.address],
            )
            peaks = guarded(read, self.cluster.check)
            found.append(peaks[node.address].to_record(f"node {number}", device))
        return tuple(found)

    def placement(self) -> tuple[PlacementRecord, ...]:
        """Return the processors of every process that computes."""
        if self.cluster is None:
            return (placed("main"),)
        found = zip(self._node_names, self.cluster.run(placed, "node"), strict=True)
        return tuple(replace(one, process=name) for name, one in found)

    def blas_calls(self) -> list[BlasCalls]:
        """Return the BLAS of this process and of every node; raise `BlasMismatchError`.

        With torch's, in the processes that compute, where the products ran there.
        """
        spec, device = self.job.spec, self.torch_device
        found = [calls_of(spec.blas)]
        if self.cluster is None:
            if device is not None:
                proof = torch_record(device, spec.dtype, self.in_warm_up)
                found[0] = replace(found[0], torch=proof)
            return found
        nodes = self.cluster.run(calls_of, spec.blas)
        if device is not None:
            proofs = self.cluster.run(torch_record, device, spec.dtype)
            nodes = [replace(a, torch=b) for a, b in zip(nodes, proofs, strict=True)]
        return found + nodes

    def _wrong_torch(self, calls: list[BlasCalls]) -> str | None:
        """Return what is wrong with what is known of torch's part in the fit, None if nothing."""
        loaded: dict[str, bool] = {}
        if self.cluster is not None:
            answers = self.cluster.run(is_loaded)
            loaded = dict(zip(self._node_names, answers, strict=True))
        return (
            wrong_device(self.declared_torch, self.in_warm_up)
            or unwatched(loaded, self.torch_device)
            or wrong_torch(in_torch(calls), self.job.spec.threads)
        )

    def _located(self, calls: BlasCalls) -> BlasProof:
        """Return where every call goes, in the environment in which the fit runs."""
        if self.cluster is None or not self.elsewhere:
            return locate_calls(calls, Path(self.job.kept))
        task = self.cluster.submit(0, _locate_there, self.job.spec.blas, str(self.cluster.scratch))
        found: BlasProof = self.cluster.gather([task])[0]
        return found

    def prove_blas(self) -> tuple[BlasRecord, str | None]:
        """Return the record's ``blas``, and what is wrong with its threads or kernels, or None."""
        calls = self.blas_calls()
        spec = self.job.spec
        # With nodes elsewhere this process has the threads and kernels of its own machine.
        fitting = calls[1:] if self.elsewhere else calls
        reason = (
            wrong_threads(fitting, spec.threads)
            or wrong_kernels(fitting, spec.kernels)
            or self._wrong_torch(calls)
        )
        proof = None if reason else self._located(calls[0])
        # The library that the fit ran on: with nodes elsewhere, that of the first of them.
        main = fitting[0]
        record = BlasRecord(
            self.job.spec.blas,
            main.numpy,
            main.scipy,
            workers=tuple(calls[1:]),
            proof=proof,
            torch=main.torch,
        )
        return record, reason or kernels_note(record, spec.kernels)


def _locate_there(blas: str | None, scratch: str) -> BlasProof:
    return locate_calls(calls_of(blas), own_path(scratch))
