"""A quick calibration of the machine that the tests run on."""

from __future__ import annotations

from bench_core.measure import calibrate as module
from bench_core.records import codec
from bench_core.ridge.planning.flops import KERNELS
from bench_core.scaling.calibration import read_calibration


def test_a_calibration_has_every_kernel_and_resource(tmp_path, monkeypatch):
    # Kernels are timed here, not in a process for every thread count.
    monkeypatch.setattr(module, "_timed", lambda job, *_: module.time_job(job))
    monkeypatch.setattr("bench_core.machine.available_cores", lambda: 1)
    steps = []
    made = module.calibrate(quick=True, scratch=tmp_path, progress=lambda *step: steps.append(step))
    assert made.machine.cores == 1
    assert {one.kernel for one in made.kernels} == set(KERNELS)
    assert {one.dtype for one in made.kernels} == {"float64", "float32"}
    assert {one.kind for one in made.memory} == {"stream", "fresh", "pages", "file"}
    assert made.checked == len(module.CHECKS)
    assert steps
    assert made.notes[0] == module.LOOPBACK
    assert len(made.notes) >= 2  # quick, and perhaps other work
    path = codec.write(made, tmp_path / "calibration.json")
    assert codec.to_dict(read_calibration(path)) == codec.to_dict(made)
