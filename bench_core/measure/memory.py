"""Peak memory of a tree of processes, sampled by a process of its own.

What is summed. A resident page is private to one process or backed by a file or by shared
memory, and then several processes may map it: nodes map the same X. The proportional set size
(PSS) would divide such pages fairly, but the kernel walks every page table to give it, 11 ms per
resident GiB (measured on Linux 6.18) while page faults wait, so it cannot be read every 50 ms. The
resident and shared counts of ``/proc/PID/statm`` cost 12 µs per process. So the sum is

    peak = Σ private  +  the largest shared of any one process,

which counts pages mapped by all processes once. It is exact for one process. With several it is
below the truth where they map different files, and ``peak_rss_bytes``, which counts shared pages
once per process, is above it.

Run as ``python -m bench_core.measure.memory PID INTERVAL_MS`` this module is the sampler: it
answers ``start`` with ``ready`` and ``stop`` with one line of JSON, and leaves with its caller.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any

import psutil

INTERVAL_MS = 20.0
# Finding new descendants reads every process on the machine: a hundredth of the time, at most.
REFRESH_S = 0.25
REFRESH_SHARE = 0.01


class MemoryWatch:
    """Samples this process and all its descendants between `start` and `stop`.

    A process that lives for less than about 0.25 s may be missed.

    Parameters
    ----------
    interval_ms : time between two samples.
    busy : cores that the measured work has; the sampler runs on the others where there are any.
    """

    def __init__(self, interval_ms: float = INTERVAL_MS, *, busy: Collection[int] = ()) -> None:
        self.interval_ms = interval_ms
        self._busy = busy
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> MemoryWatch:
        command = [sys.executable, "-m", __name__, str(os.getpid()), str(self.interval_ms)]
        command += [",".join(str(core) for core in sorted(self._busy))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.communicate()

    def start(self) -> None:
        """Take the baseline and sample from now on."""
        self._ask("start")

    def stop(self, names: Mapping[int, str] | None = None) -> dict[str, Any]:
        """Stop sampling and return the record's ``memory`` part.

        ``names`` says what to call the processes by their ids; others have their program's name.
        """
        found: dict[str, Any] = json.loads(self._ask("stop"))
        for entry in found["per_process"]:
            entry["process"] = (names or {}).get(entry.pop("pid"), entry["process"])
        return found

    def _ask(self, word: str) -> str:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the memory sampler ended with status {self._process.wait()}")
        return answer


class _Sampler:
    """Reads the tree below one process and keeps the largest sum."""

    def __init__(self, root: int) -> None:
        self._root = psutil.Process(root)
        self._tree: list[psutil.Process] = []
        self._refresh_at = 0.0
        self.samples = 0
        self.peak = self.peak_rss = 0
        self.baseline = 0
        self.longest_gap = 0.0
        self.at_peak: list[dict[str, Any]] = []
        self._last: float | None = None

    def sample(self) -> None:
        now = time.perf_counter()
        if now >= self._refresh_at:
            self._refresh()
        if self._last is not None:
            self.longest_gap = max(self.longest_gap, now - self._last)
        self._last = now
        read: list[tuple[psutil.Process, int, int]] = []
        for process in self._tree:
            try:
                memory = process.memory_info()
            except psutil.Error:
                self._refresh_at = 0.0
                continue
            # The two counts are not read at one instant, so shared may exceed resident.
            shared = min(memory.shared, memory.rss)
            read.append((process, memory.rss - shared, shared))
        total = sum(private for _, private, _ in read) + max((s for *_, s in read), default=0)
        if self.samples == 0:
            self.baseline = total
        self.samples += 1
        self.peak_rss = max(self.peak_rss, sum(private + shared for _, private, shared in read))
        if total > self.peak:
            self.peak = total
            self.at_peak = [
                {"pid": process.pid, "private_bytes": private, "shared_bytes": shared}
                for process, private, shared in read
            ]

    def _refresh(self) -> None:
        began = time.perf_counter()
        try:
            below = self._root.children(recursive=True)
        except psutil.Error:
            below = []
        self._tree = [self._root, *(p for p in below if p.pid != os.getpid())]
        now = time.perf_counter()
        self._refresh_at = now + max(REFRESH_S, (now - began) / REFRESH_SHARE)

    def report(self, interval_ms: float) -> dict[str, Any]:
        names = {process.pid: _name(process) for process in self._tree}
        return {
            "peak_bytes": self.peak,
            "baseline_bytes": self.baseline,
            "peak_rss_bytes": self.peak_rss,
            "interval_ms": interval_ms,
            "longest_gap_ms": round(self.longest_gap * 1e3, 3),
            "samples": self.samples,
            "per_process": [
                {"process": names.get(entry["pid"], "ended"), **entry} for entry in self.at_peak
            ],
        }


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return "ended"


def _use_other_cores(busy: Collection[int]) -> None:
    if not hasattr(os, "sched_setaffinity"):
        return
    # The measured process may have pinned itself, which its children inherit.
    try:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        if free := os.sched_getaffinity(0) - set(busy):
            os.sched_setaffinity(0, free)
    except OSError:
        pass  # a container may forbid it; the sampler then shares the work's cores


def _serve(root: int, interval_ms: float) -> None:
    sampler: _Sampler | None = None
    interval, due = interval_ms / 1e3, 0.0
    while True:
        wait = None if sampler is None else max(0.0, due - time.perf_counter())
        ready, _, _ = select.select([sys.stdin], [], [], wait)
        if ready:
            word = sys.stdin.readline().strip()
            if word == "start":
                sampler = _Sampler(root)
                sampler.sample()
                due = time.perf_counter() + interval
                print("ready", flush=True)
            elif word == "stop" and sampler is not None:
                sampler.sample()
                print(json.dumps(sampler.report(interval_ms)), flush=True)
                sampler = None
            else:
                return
        elif sampler is not None:
            sampler.sample()
            due = max(due + interval, time.perf_counter())


if __name__ == "__main__":
    _use_other_cores({int(core) for core in sys.argv[3].split(",") if core})
    _serve(int(sys.argv[1]), float(sys.argv[2]))
