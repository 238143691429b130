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

`bench_core.runner.memory_sampler` is what the other process runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any

from bench_core.records import codec
from bench_core.records.times import Memory

INTERVAL_MS = 50.0
SAMPLER = "bench_core.runner.memory_sampler"


class MemoryWatch:
    """Samples this process and all its descendants between `start` and `stop`.

    A process that lives for less than about half a second may be missed. What malloc kept of
    earlier work is in the baseline, and may be handed out again without the peak rising above it.

    Parameters
    ----------
    interval_ms : time between two samples.
    busy : cores that the measured work has; the sampler runs on the others where there are any.
    roots : numbers of the processes to watch, with their descendants; this one by default.
    """

    def __init__(
        self,
        interval_ms: float = INTERVAL_MS,
        *,
        busy: Collection[int] = (),
        roots: Collection[int] = (),
    ) -> None:
        self.interval_ms = interval_ms
        self._roots = roots or [os.getpid()]
        self._busy = busy
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> MemoryWatch:
        roots = ",".join(map(str, self._roots))
        command = [sys.executable, "-m", SAMPLER, roots, str(self.interval_ms)]
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

    def sample(self) -> None:
        """Look for new descendants and sample all of them now, besides the regular samples."""
        self._ask("sample")

    def stop(self, names: Mapping[int, str] | None = None) -> Memory:
        """Stop sampling and return the record's ``memory`` part.

        ``names`` says what to call the processes by their ids; others have their program's name.
        """
        found: dict[str, Any] = json.loads(self._ask("stop"))
        for entry in found["per_process"]:
            entry["process"] = (names or {}).get(entry.pop("pid"), entry["process"])
        return codec.from_json(Memory, json.dumps(found), "the sampler's answer")

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
