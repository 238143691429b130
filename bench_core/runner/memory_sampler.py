"""The process that samples memory.

Run as ``python -m bench_core.runner.memory_sampler PID,… INTERVAL_MS CORES``.

It watches the processes PID and all their descendants, and ends with its caller. It answers
``start`` and ``sample`` with ``ready``, and ``stop`` with one line of JSON. CORES are those of the
measured work, which it avoids if it can; see `bench_core.runner.memory` for what is summed and why.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Collection
from typing import Any

import psutil

from bench_core.machine.pinning import can_pin, keep, usable

# Finding new descendants reads every process on the machine: 0.3 % of the time, at most.
REFRESH_S = 0.25
REFRESH_SHARE = 0.003


class _Sampler:
    """Reads the trees below some processes and keeps the largest sum."""

    def __init__(self, roots: Collection[int]) -> None:
        self._roots = [psutil.Process(root) for root in roots]
        self._tree: list[psutil.Process] = []
        self._refresh_at = 0.0
        self.samples = 0
        self.peak = self.peak_rss = 0
        self.baseline = 0
        self.longest_gap = 0.0
        self.at_peak: list[dict[str, Any]] = []
        self._last: float | None = None
        self._cpu = time.process_time()

    def sample(self, *, refresh: bool = False) -> None:
        now = time.perf_counter()
        if refresh or now >= self._refresh_at:
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
        began = time.process_time()
        found = {root.pid: root for root in self._roots}
        for root in self._roots:
            try:
                below = root.children(recursive=True)
            except psutil.Error:
                below = []
            found |= {each.pid: each for each in below if each.pid not in found}
        found.pop(os.getpid(), None)
        self._tree = list(found.values())
        cost = time.process_time() - began
        self._refresh_at = time.perf_counter() + max(REFRESH_S, cost / REFRESH_SHARE)

    def report(self, interval_ms: float) -> dict[str, Any]:
        used = time.process_time() - self._cpu
        names = {process.pid: _name(process) for process in self._tree}
        return {
            "peak_bytes": self.peak,
            "baseline_bytes": self.baseline,
            "peak_rss_bytes": self.peak_rss,
            "interval_ms": interval_ms,
            "longest_gap_ms": round(self.longest_gap * 1e3, 3),
            "samples": self.samples,
            "sampler_cpu_s": used,
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
    if not can_pin():
        return
    # The measured process may have pinned itself, which its children inherit.
    try:
        keep(range(os.cpu_count() or 1))
        if free := usable() - set(busy):
            keep(free)
    except OSError:
        pass  # a container may forbid it; the sampler then shares the work's cores


def _serve(roots: Collection[int], interval_ms: float) -> None:
    sampler: _Sampler | None = None
    interval, due = interval_ms / 1e3, 0.0
    while True:
        wait = None if sampler is None else max(0.0, due - time.perf_counter())
        ready, _, _ = select.select([sys.stdin], [], [], wait)
        if ready:
            word = sys.stdin.readline().strip()
            if word == "start":
                sampler = _Sampler(roots)
                sampler.sample()
                due = time.perf_counter() + interval
                print("ready", flush=True)
            elif word == "sample" and sampler is not None:
                sampler.sample(refresh=True)
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
    _serve([int(pid) for pid in sys.argv[1].split(",")], float(sys.argv[2]))
