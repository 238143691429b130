"""The suite of devices: what runs where one is asked for, and how each solver is told of it."""

from __future__ import annotations

import itertools

import pytest

from bench_core import strategies
from benchmarks import common, devices
from benchmarks.devices import DEVICES, SOLVERS, Devices, device_options
from benchmarks.solvers import Solvers
from tests.devices import needs_torch, reason_to_skip


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setenv("RIDGEBENCH_PROFILE", "small")
    monkeypatch.setattr(common, "available_cores", lambda: 2)


def ask(monkeypatch, device, missing=None):
    monkeypatch.setenv(common.DEVICE, device)
    monkeypatch.setattr(devices, "missing", lambda name: missing)


def running():
    """Return the parameter sets that run."""
    found = itertools.product(*Devices.params)
    return [one for one in found if Devices.reason_to_skip(*one) is None]


def test_nothing_runs_unless_a_device_is_asked_for(monkeypatch):
    monkeypatch.delenv(common.DEVICE, raising=False)
    assert running() == []
    assert "--device" in Devices.reason_to_skip("multitarget", "parcels", "1/24", "cpu")
    assert not any("Devices" in one for one in common.selection())


def test_a_device_runs_beside_the_processor_and_nothing_else_does(monkeypatch):
    ask(monkeypatch, "cuda")
    found = running()
    assert {one[3] for one in found} == {"cpu", "cuda"}
    assert {one[2] for one in found} == {"1/24"}
    assert len(found) == 2 * 2 * len(SOLVERS)
    assert all("Devices" in one for one in common.selection())
    reason = Solvers.reason_to_skip("multitarget", "whole-brain-bmor", "1/24", 2)
    assert "--device" in reason
    assert {case.suite for case in common.cases_in_turn()} == {"devices"}


def test_a_device_that_is_not_here_is_the_reason(monkeypatch):
    ask(monkeypatch, "cuda", "torch finds no CUDA GPU here")
    assert running() == []
    assert "no CUDA" in Devices.reason_to_skip("multitarget", "parcels", "1/24", "cuda")


@needs_torch
def test_the_device_is_looked_for(monkeypatch):
    devices.missing.cache_clear()
    assert devices.missing("torch") is None
    devices.missing.cache_clear()
    assert devices.missing("cuda") == reason_to_skip("cuda")
    devices.missing.cache_clear()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("device", DEVICES)
def test_every_solver_computes_where_it_is_told_to(solver, device):
    strategy, own, dtype = SOLVERS[solver]
    options = {**own, **device_options(strategy, device)}
    kind = strategies.get(strategy)
    assert set(options) <= kind.option_names()
    wanted = {"cpu": None, "torch": "cpu", "cuda": "cuda:0"}[device]
    assert kind(**options).torch_device == wanted
    case = Devices().case(solver, "parcels", "1/24", device)
    assert (case.threads, case.dtype, case.options) == (2, dtype, options)
