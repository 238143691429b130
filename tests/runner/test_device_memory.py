"""Peak memory on a GPU: counted by torch's allocator, here by one that is injected."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from bench_core.records import parse_record, record_line
from bench_core.runner import session as session_module
from bench_core.runner.device_memory import Counts, read_peaks, start_counting
from bench_core.runner.session import Session
from tests.devices import usable_device


class Cuda:
    """What is used of ``torch.cuda``: an allocator whose arrays are counted."""

    def __init__(self, total=1000, foreign=100):
        self.total, self.foreign = total, foreign
        self.held = self.kept = self.peak = self.most_kept = 0
        self.asked = set()

    def allocate(self, count):
        self.held += count
        self.kept = max(self.kept, self.held)
        self.peak, self.most_kept = max(self.peak, self.held), max(self.most_kept, self.kept)

    def release(self, count):
        self.held -= count

    def synchronize(self, device):
        self.asked.add(device)

    def empty_cache(self):
        self.kept = self.held

    def reset_peak_memory_stats(self, device):
        self.peak, self.most_kept = self.held, self.kept

    def mem_get_info(self, device):
        return self.total - self.foreign - self.kept, self.total

    def max_memory_allocated(self, device):
        return self.peak

    def max_memory_reserved(self, device):
        return self.most_kept


def test_peaks_are_those_of_the_fits_alone():
    cuda = Cuda()
    cuda.allocate(500)  # the warm-up's
    cuda.release(490)
    before = start_counting("cuda:1", cuda)
    assert before == Counts(free=890, total=1000)
    cuda.allocate(200)
    cuda.release(200)
    cuda.allocate(50)
    found = read_peaks("cuda:1", before, cuda)
    assert (found.peak, found.reserved) == (210, 210)
    assert cuda.asked == {"cuda:1"}
    record = found.to_record("node 3", "cuda:1")
    assert (record.process, record.device) == ("node 3", "cuda:1")
    assert (record.peak_bytes, record.free_bytes, record.total_bytes) == (210, 890, 1000)


@pytest.mark.parametrize("declared", [None, "cpu"])
def test_nothing_is_counted_without_a_gpu(declared):
    session = Session(*[None] * 10, declared_torch=declared)
    assert session.start_device_memory() == []
    assert session.device_memory([]) == ()


class Nodes:
    """What is used of a cluster of three nodes, of which the second is lost."""

    living = (0, 2)

    def __init__(self):
        self.workers = [SimpleNamespace(address=f"tcp://{number}") for number in range(3)]
        self.client = self
        self.asked = []

    def run(self, function, *arguments, workers=None):
        found = {}
        for address in workers or [one.address for one in self.workers]:
            self.asked.append((address, function.__name__))
            found[address] = function(*arguments)
        return found if workers else list(found.values())

    def check(self):
        """Find no node lost."""


@pytest.mark.parametrize("nodes", [False, True])
def test_every_process_with_a_gpu_is_counted(nodes, monkeypatch):
    peaks = iter([7, 9])
    monkeypatch.setattr(session_module, "start_counting", named("start", lambda _: Counts(90, 100)))
    monkeypatch.setattr(
        session_module,
        "read_peaks",
        named("read", lambda device, before: replace(before, peak=next(peaks), reserved=10)),
    )
    cluster = Nodes() if nodes else None
    session = Session(*[None] * 4, cluster, *[None] * 5, declared_torch="cuda:1")
    found = session.device_memory(session.start_device_memory())
    assert [one.process for one in found] == (["node 0", "node 2"] if nodes else ["main"])
    assert [one.peak_bytes for one in found] == [7, 9][: len(found)]
    assert {one.device for one in found} == {"cuda:1"}
    assert {(one.free_bytes, one.total_bytes) for one in found} == {(90, 100)}
    if nodes:
        reads = [address for address, name in cluster.asked if name == "read"]
        assert reads == ["tcp://0", "tcp://2"]


def named(name, function):
    function.__name__ = name
    return function


def test_a_record_of_a_fit_on_a_gpu_has_its_peak(problem_folder, scratch, tmp_path):
    usable_device("cuda")
    from bench_core.measure import FitSpec, measure

    spec = FitSpec(str(problem_folder), "multitarget", null="skip", options={"device": "cuda"})
    record = measure(spec, store=tmp_path, scratch=scratch)
    assert record.status == "ok"
    (memory,) = record.device_memory
    assert (memory.process, memory.device) == ("main", "cuda:0")
    assert 0 < memory.peak_bytes <= memory.reserved_bytes <= memory.total_bytes
    assert record.blas.torch.gpu is not None
    assert record.blas.torch.library.version is not None
    assert parse_record(record_line(record), "this test") == record
