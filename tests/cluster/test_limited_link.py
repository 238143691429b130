"""Bytes and seconds of links in the record, where the kernel limits one of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench_core.data import Problem
from bench_core.measure import FitSpec, measure
from tests.cluster.sites import ssh_site
from tests.cores import needs_two_cores

RATE = 1_000_000
"""Bytes per second of the limited link."""
BURST = 16_000


@needs_two_cores
def test_the_record_has_bytes_and_seconds_of_every_link(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    X, Y = rng.standard_normal((400, 150)), rng.standard_normal((400, 12))
    Problem.from_arrays(X, Y, np.repeat(range(4), 100), name="links").save(tmp_path / "links")
    spec = FitSpec(str(tmp_path / "links"), "bmor", nodes=2, alphas=(1.0, 100.0), null="skip")
    with (
        ssh_site(tmp_path, unshared=True) as (settings, hosts),
        hosts.limited(1, f"{8 * RATE}bit"),
    ):
        record = measure(spec, store=tmp_path / "store", cluster=settings)
    assert (record.status, record.reason) == ("ok", None)
    assert record.cluster is not None
    links = {(link.source, link.target): link for link in record.cluster.links}
    plain, limited = (links["here", f"host 0 (network {number})"] for number in (0, 1))
    assert record.case.problem.t_train is not None
    # Each node gets X, and half of the targets.
    needed = record.case.problem.t_train * (150 + 12 // 2) * 8
    for link in (plain, limited):
        assert needed <= link.bytes < 1.1 * needed
        assert link.seconds is not None
        assert record.bytes_moved is not None
        assert record.bytes_moved[f"{link.source} to {link.target}"] == link.bytes
    assert limited.seconds is not None
    assert plain.seconds is not None
    # What the kernel lets through at this rate cannot have been quicker.
    assert limited.seconds * RATE >= limited.bytes - BURST
    assert plain.bytes / plain.seconds > 2 * limited.bytes / limited.seconds
