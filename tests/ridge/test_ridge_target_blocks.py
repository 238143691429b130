"""Targets and coefficients larger than memory, and what an interruption leaves behind."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
from itertools import product

import numpy as np
import pytest

from bench_core.errors import InputError, ResourceError
from bench_core.files import PARTIAL
from bench_core.ridge import FitShape, MultiTargetRidgeCV, make_plan
from bench_core.ridge.arrays import coef_file
from bench_core.ridge.arrays.backend import Device
from bench_core.ridge.arrays.coef_file import CoefFile
from bench_core.ridge.arrays.column_reader import open_columns
from bench_core.ridge.arrays.target_blocks import ColumnBlocks
from tests.ridge.planned_memory import planned_and_peak

ALPHAS = [1.0, 10.0, 100.0, 1000.0]


def data(t, p, s, dtype="float64", mean=0.0):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((t, p))
    Y = X[:, :5] @ rng.standard_normal((5, s)) + rng.standard_normal((t, s)) + mean
    return X.astype(dtype), Y.astype(dtype)


def mapped(folder, array, order="C"):
    path = folder / f"{order}-{array.shape[1]}.npy"
    np.save(path, np.asarray(array, order=order))
    return np.load(path, mmap_mode="r")


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="this system takes no advice")
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_disk_is_told_of_all_that_is_read(tmp_path, monkeypatch, order):
    Y = mapped(tmp_path, np.arange(21.0).reshape(3, 7), order)
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda f, at, n, _: calls.append((at, n)))
    with open_columns(Y) as source:
        source.prefetch(slice(2, 5))
        source.prefetch(slice(0, 7))
        held = np.frombuffer(os.pread(source._file, 1000, 0), np.uint8)
    whole = calls.pop()  # without gaps, all in one
    assert whole == (Y.offset, Y.nbytes)
    told = [byte for at, n in calls for byte in range(at, at + n)]
    values = np.zeros(len(held), np.uint8)
    values[told] = held[told]
    strides = (56, 8) if order == "C" else (8, 24)
    found = np.ndarray((3, 7), float, values[Y.offset :].tobytes(), strides=strides)
    assert np.array_equal(found[:, 2:5], Y[:, 2:5])
    assert len(told) == 3 * 3 * 8


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("centring", ["none", "shift", "mean"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [1, 7, 64, 100])
def test_blocks_are_all_of_y(tmp_path, order, centring, dtype, width):
    _, Y = data(30, 5, 64, mean=1000.0)
    device = Device("cpu")
    for source in (np.asarray(Y, order=order), mapped(tmp_path, Y, order)):
        whole = np.full(Y.shape, np.nan)
        blocks = ColumnBlocks(
            source, width, dtype=np.dtype(dtype), centring=centring, device=device
        )
        for block in blocks:
            values = block.values.astype(float)
            if centring == "mean":
                assert np.abs(values.mean(axis=0)).max() < 1e-6
            whole[:, block.columns] = values + (0 if block.offset is None else block.offset)
        np.testing.assert_allclose(whole, Y, rtol=1e-6 if dtype == "float32" else 1e-14)


def test_blocks_in_memory_are_views(tmp_path):
    _, Y = data(30, 5, 64)
    file = mapped(tmp_path, Y)
    for targets, view_file, views in ((Y, False, True), (file, True, True), (file, False, False)):
        blocks = ColumnBlocks(targets, 10, dtype=Y.dtype, device=Device("cpu"), view_file=view_file)
        assert all(np.shares_memory(block.values, targets) == views for block in blocks)


def test_targets_that_blas_cannot_take_as_they_lie_are_copied():
    """numpy multiplies such views without BLAS, a hundred times slower."""
    _, Y = data(30, 5, 64)
    for targets in (Y[:, ::2], Y[::-1], Y[:, ::-1]):
        for block in ColumnBlocks(targets, 10, dtype=Y.dtype, device=Device("cpu")):
            assert not np.shares_memory(block.values, Y)
            np.testing.assert_array_equal(block.values, targets[:, block.columns])


@pytest.mark.parametrize("shape", [(40, 60, 101), (120, 30, 101), (60, 20, 500)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mean", [0.0, 500.0])
def test_mapped_equals_in_memory(tmp_path, shape, order, dtype, mean):
    X, Y = data(*shape, dtype, mean)
    expected = MultiTargetRidgeCV(ALPHAS).fit(X, Y)
    path = tmp_path / "coef.npy"
    found = MultiTargetRidgeCV(ALPHAS, coef=path, batch_size=17)
    found.fit(mapped(tmp_path, X), mapped(tmp_path, Y, order))
    tolerance = 1e-5 if dtype == "float32" else 1e-11
    np.testing.assert_allclose(
        found.cv_results_["mean_scores"], expected.cv_results_["mean_scores"], rtol=tolerance
    )
    assert found.alpha_ == expected.alpha_
    assert isinstance(found.coef_, np.memmap)
    assert found.coef_.dtype == dtype
    np.testing.assert_allclose(found.coef_, expected.coef_, atol=tolerance)
    np.testing.assert_allclose(found.intercept_, expected.intercept_, atol=tolerance * (1 + mean))
    assert [p.name for p in tmp_path.iterdir() if PARTIAL in p.name] == []


@pytest.mark.parametrize("shape", [(40, 60, 33), (120, 30, 33)])
def test_without_coefficients(shape, device):
    X, Y = data(*shape, mean=3.0)
    train, test = slice(None, -15), slice(-15, None)
    expected = MultiTargetRidgeCV(ALPHAS).fit(X[train], Y[train])
    found = MultiTargetRidgeCV(ALPHAS, coef=None, batch_size=8, device=device)
    r = found.fit_score(X[train], Y[train], X[test], Y[test])
    assert not hasattr(found, "coef_")
    predictions = expected.predict(X[test])
    np.testing.assert_allclose(found.predict(X[test]), predictions, atol=1e-10)
    np.testing.assert_allclose(found.intercept_, expected.intercept_, atol=1e-10)
    np.testing.assert_allclose(
        r, [np.corrcoef(Y[test][:, j], predictions[:, j])[0, 1] for j in range(shape[2])]
    )
    with_coefficients = MultiTargetRidgeCV(ALPHAS, device=device)
    np.testing.assert_allclose(with_coefficients.fit_score(X[train], Y[train], X[test], Y[test]), r)


@pytest.mark.parametrize("intercept", [True, False])
def test_without_coefficients_targets_are_read_once_until_predictions_are_wanted(intercept):
    X, Y = data(40, 60, 33, mean=500.0)
    passes = []

    def progress(what, done, total):
        if done == total:
            passes.append(what)

    expected = MultiTargetRidgeCV(ALPHAS, fit_intercept=intercept).fit(X, Y)
    model = MultiTargetRidgeCV(ALPHAS, coef=None, fit_intercept=intercept, progress=progress)
    assert not hasattr(model, "intercept_")
    model.fit(X, Y)
    assert passes == ["multiplying targets"]
    for _ in range(2):
        np.testing.assert_allclose(model.intercept_, expected.intercept_, atol=1e-9)
        assert passes == ["multiplying targets", "predicting"]
    model.fit(X, 2 * Y[:, 0])
    assert model.predict(X[:3]).shape == (3,)
    assert model.intercept_ == pytest.approx(2 * expected.intercept_[0], rel=1e-3)


@pytest.mark.parametrize("shape", [(300, 400, 900), (500, 90, 900), (500, 90, 40), (400, 401, 9)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"coef": None},
        {"cv": 4},
        {"cv": 4, "scoring": "r2"},
        {"scoring": "pearson"},
        {"alpha_per_target": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_planned_memory_is_enough(shape, options, dtype):
    X, Y = data(*shape, dtype)
    model = MultiTargetRidgeCV(ALPHAS, batch_size=128, **options)
    planned, peak = planned_and_peak(model, X, Y)
    assert peak <= planned < 4 * peak + 2**21


@pytest.mark.parametrize(
    ("shape", "width", "factor"),
    [((600, 610, 2500), 64, 1.6), ((1200, 250, 2500), 64, 1.6), ((600, 610, 60), 60, 1.5)],
)
@pytest.mark.parametrize("coef", [None, "memory"])
def test_planned_memory_is_what_the_worst_case_takes(tmp_path, shape, width, factor, coef):
    """Equal eigenvalues need the most work space, targets in a file the most buffers."""
    X, Y = data(*shape)
    left, _, right = np.linalg.svd(X, full_matrices=False)
    alphas = 10.0 ** np.arange(-1, 15)
    model = MultiTargetRidgeCV(alphas, coef=coef, batch_size=width, memory_limit=2**40)
    planned, peak = planned_and_peak(model, 30 * left @ right, mapped(tmp_path, Y))
    assert peak <= planned < factor * peak


@pytest.mark.parametrize("shape", [(300, 310, 4000), (400, 100, 4000)])
@pytest.mark.parametrize("scoring", ["neg_mean_squared_error", "pearson"])
@pytest.mark.parametrize("coef", [None, "memory"])
def test_planned_memory_is_what_wide_blocks_take(tmp_path, shape, scoring, coef):
    X, Y = data(*shape)
    model = MultiTargetRidgeCV(
        ALPHAS, scoring=scoring, coef=coef, batch_size=shape[2], memory_limit=2**40
    )
    planned, peak = planned_and_peak(model, X, mapped(tmp_path, Y))
    assert peak <= planned < 2.2 * peak


LIMITED = """
    import json, resource, sys
    import numpy as np
    from bench_core.ridge import MultiTargetRidgeCV

    folder, limit = sys.argv[1], int(sys.argv[2])

    def figure(name):
        for line in open("/proc/self/status"):
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024

    X, Y = (np.load(f"{folder}/{name}.npy", mmap_mode="r") for name in "XY")
    small = MultiTargetRidgeCV((1.0, 10.0))
    small.fit(np.asarray(X[:200, :100]), np.asarray(Y[:200, :300]))  # BLAS takes its buffers
    model = MultiTargetRidgeCV(
        (1.0, 10.0, 100.0, 1000.0), coef=f"{folder}/coef.npy", memory_limit=limit
    )
    plan = model.plan(X, Y)
    open("/proc/self/clear_refs", "w").write("5")
    before = figure("VmRSS")
    slack = 24 * 2**20  # a thread's stack and arena, the interpreter's own
    allowed = figure("VmData") + plan.peak_bytes + slack
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
    model.fit(X, Y)
    print(json.dumps({"peak": figure("VmHWM") - before, "planned": plan.peak_bytes,
                      "width": plan.width, "form": plan.form}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and sets RLIMIT_DATA")
@pytest.mark.parametrize(("t", "p", "s"), [(500, 700, 16_000), (900, 300, 16_000)])
def test_memory_stays_within_the_plan(tmp_path, t, p, s):
    """Y and the coefficients are several times larger than what the process may allocate."""
    X, Y = data(t, p, s)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "Y.npy", Y)
    limit = 48 * 2**20
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LIMITED), str(tmp_path), str(limit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["planned"] <= limit
    assert found["peak"] <= found["planned"] + 24 * 2**20
    assert 2 * (found["planned"] + 24 * 2**20) < Y.nbytes + 8 * s * p
    coefficients = np.load(tmp_path / "coef.npy", mmap_mode="r")
    expected = MultiTargetRidgeCV(ALPHAS).fit(X, Y[:, -50:])
    if expected.alpha_ == 100.0:
        np.testing.assert_allclose(coefficients[-50:], expected.coef_, atol=1e-9)


def test_a_limit_that_nothing_fits_is_refused():
    with pytest.raises(ResourceError, match="memory_limit"):
        make_plan(FitShape(t=1000, p=2000, s=5000, r=3), memory_limit=10 * 2**20)
    X, Y = data(50, 60, 30)
    with pytest.raises(ResourceError, match="bytes"):
        MultiTargetRidgeCV(memory_limit=1000).fit(X, Y)


LIMITS = (11, 20, 100)


def test_smaller_limits_give_narrower_blocks():
    work = FitShape(t=200, p=300, s=50_000, r=5, coef="file")
    plans = [make_plan(work, memory_limit=m * 2**20) for m in LIMITS]
    assert plans[0].width < plans[1].width < plans[2].width
    assert all(q.peak_bytes <= m * 2**20 for q, m in zip(plans, LIMITS, strict=True))


def test_plan_counts_what_the_formulas_say():
    t, p, s, r = 2250, 4096, 66_201, 11
    plan = make_plan(FitShape(t, p, s, r, dtype="float32"))
    assert (plan.form, plan.selection) == ("dual", "shared")
    assert plan.useful_flops == (
        t**2 * p + t**2 * s + 2 * t * p * s + 9 * t**3 + 2 * r * t**3 + 2 * p * t**2
    )
    assert plan.bytes_written == 4 * p * s
    assert plan.bytes_read == 2 * 4 * t * s
    text = str(plan)
    for part in ("dual", "2,250 samples", "66,201 targets", "peak memory", "Gflop"):
        assert part in text
    assert make_plan(FitShape(7785, 2048, 56, r)).selection == "each"
    assert make_plan(FitShape(7785, 2048, 20_000, r)).selection == "shared"
    json.dumps(plan.to_dict())


@pytest.mark.parametrize(
    ("t", "p", "s", "each", "folds"),
    list(product([64, 300], [64, 300], [8, 5000], [False, True], [(), ((200, 100),) * 3])),
)
def test_plans_exist_for_every_shape(t, p, s, each, folds):
    plan = make_plan(FitShape(t, p, s, 7, each=each, folds=folds))
    assert plan.flops > 0
    assert plan.peak_bytes > 0
    assert plan.form == "dual" or t > p


def interrupt(what, done, total):
    if what == "solving" and done == 2:
        raise KeyboardInterrupt


@pytest.mark.parametrize("old", [False, True])
def test_interrupted_fit_leaves_the_old_file_or_none(tmp_path, old):
    X, Y = data(30, 40, 60)
    path = tmp_path / "coef.npy"
    if old:
        np.save(path, np.ones(3))
    with pytest.raises(KeyboardInterrupt):
        MultiTargetRidgeCV(ALPHAS, coef=path, batch_size=7, progress=interrupt).fit(X, Y)
    assert list(tmp_path.iterdir()) == ([path] if old else [])
    if old:
        np.testing.assert_array_equal(np.load(path), np.ones(3))


HELD = """
    import sys
    import numpy as np
    from bench_core.ridge import MultiTargetRidgeCV

    def progress(what, done, total):
        if what == "solving":
            print(done, flush=True)
            if done == 3:
                sys.stdin.read()  # until the signal

    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((30, 40)), rng.standard_normal((30, 600))
    MultiTargetRidgeCV(coef=sys.argv[1], batch_size=10, progress=progress).fit(X, Y)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_killed_process_leaves_no_file_of_that_name(tmp_path, how):
    path = tmp_path / "coef.npy"
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HELD), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert [process.stdout.readline().strip() for _ in range(4)] == ["0", "1", "2", "3"]
        process.send_signal(how)
        assert process.wait(30) != 0
    assert not path.exists()
    if how == signal.SIGINT:
        assert list(tmp_path.iterdir()) == []


def test_coefficient_file_refuses_what_cannot_be(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="does not exist"):
        CoefFile(tmp_path / "none" / "c.npy", (2, 2), "f8")
    with pytest.raises(ResourceError, match="free"):
        CoefFile(tmp_path / "c.npy", (2**40, 2**20), "f8")
    with (
        pytest.raises(RuntimeError, match="1 of 2"),
        CoefFile(tmp_path / "c.npy", (2, 2), "f8") as file,
    ):
        file.write(np.ones((1, 2)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_coefficients_lie_in_memory_of_their_own(monkeypatch, dtype):
    X, Y = data(30, 40, 25, dtype)
    expected = MultiTargetRidgeCV(ALPHAS).fit(X, Y)
    monkeypatch.setattr(coef_file, "LARGE", 1)
    model = MultiTargetRidgeCV(ALPHAS).fit(X, Y)
    assert np.array_equal(model.coef_, expected.coef_)
    assert model.coef_.dtype == dtype
    assert model.coef_.flags.writeable
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(X), expected.predict(X))


def test_progress_reaches_the_end():
    seen = []
    X, Y = data(30, 40, 25)
    MultiTargetRidgeCV(ALPHAS, batch_size=10, progress=lambda *a: seen.append(a)).fit(X, Y)
    assert seen[-1] == ("solving", 3, 3)
    first = {what for what, _, _ in seen} - {"solving"}
    assert first in ({"scoring targets"}, {"multiplying targets"})


def test_a_plan_says_what_too_little_memory_costs():
    folds = ((1600, 400),) * 5
    work = FitShape(t=2000, p=3000, s=50_000, r=11, folds=folds, coef=None)
    quick = make_plan(work)
    assert quick.slowdown is None
    assert "memory limit" not in str(quick)
    enough = make_plan(work, selection="shared", width=16).peak_bytes
    assert make_plan(work, memory_limit=enough).slowdown is None
    slow = make_plan(work, memory_limit=enough - 1)
    assert slow.selection == "each"
    assert slow.slowdown == pytest.approx(slow.flops / quick.flops)
    assert slow.slowdown > 5
    assert slow.fastest_bytes == enough
    assert f"{enough} bytes" in str(slow)
