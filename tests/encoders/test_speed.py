"""The speed suite: what it measures, what it skips."""

import json
from functools import partial
from pathlib import Path

import pytest
from tiny_encoder import irregular, video

from bench_core.errors import InputError
from bench_core.records.store import RECORDS
from benchmarks.encoders import Encoders
from encoders import speed
from encoders.registry import make

SMALL = {"widths": (2, 2, 4, 4, 4), "hidden": 8, "classes": 3, "size": 32}
RATES = {"decode_fps", "network_fps", "both_fps", "network_gflops", "matmul_gflops"}


@pytest.fixture(autouse=True)
def small_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "matmul_gflops", partial(speed.matmul_gflops, size=256))


def measured(folder: Path, **changes: object) -> dict:
    options = {"seconds": 2.0, "frame": (48, 64), "batch": 2, **SMALL, **changes}
    return speed.measured(folder, "vgg16", "fc2", **options)


def test_rates_are_counted_and_kept(tmp_path: Path) -> None:
    found = measured(tmp_path)
    assert found["samples"] == 4
    assert all(found[rate] > 0 for rate in RATES)
    slower = min(found["decode_fps"], found["network_fps"])
    assert found["overlap"] == pytest.approx(found["both_fps"] / slower)
    flops = make("vgg16", **SMALL).flops()
    assert found["network_gflops"] == pytest.approx(found["network_fps"] * flops / 1e9)
    ratio = found["network_gflops"] / found["matmul_gflops"]
    assert found["fraction_of_matmul"] == pytest.approx(ratio)
    (kept,) = tmp_path.iterdir()
    assert json.loads(kept.read_text()) == found
    assert measured(tmp_path) == found
    measured(tmp_path, batch=1)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_video_without_a_sample_is_an_error(tmp_path: Path) -> None:
    path = video(tmp_path / "x.mp4", irregular(10))
    encoder = make("vgg16", **SMALL)
    object.__setattr__(encoder.input_spec, "kind", "clips")
    object.__setattr__(encoder.input_spec, "frames", 2)
    object.__setattr__(encoder.input_spec, "frame_rate", 0.01)
    with pytest.raises(InputError, match=r"x.mp4"):
        speed.measure(encoder, path, "fc2", tr=0.5)


def test_the_suite_reads_one_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = measured(tmp_path)
    asked = []

    def known(*arguments: object, **options: object) -> dict:
        asked.append((*arguments, options))
        return found

    monkeypatch.setattr(speed, "measured", known)
    monkeypatch.setenv(RECORDS, str(tmp_path / "records"))
    suite = Encoders()
    parameters = [values[0] for values in suite.params]
    suite.setup(str(tmp_path), *parameters)
    assert asked == [(tmp_path, "vgg16", "fc2", {"device": "cpu", "batch": 1})]
    assert suite.track_decode_time("", *parameters) == 1 / found["decode_fps"]
    assert suite.track_network_time("", *parameters) == 1 / found["network_fps"]
    assert suite.track_both_time("", *parameters) == 1 / found["both_fps"]
    assert suite.track_lost_by_overlap("", *parameters) == 1 / found["overlap"]
    assert suite.track_matmul_over_network("", *parameters) == 1 / found["fraction_of_matmul"]


def test_the_suite_skips_what_cannot_run_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    suite = Encoders()
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(NotImplementedError, match="CUDA"):
        suite.setup("", "vgg16", "fc2", "cuda", 1)
    monkeypatch.setattr("benchmarks.encoders.find_spec", lambda name: None)
    assert "av, h5py, torch not installed here" in suite.reason_to_skip("vgg16", "fc2", "cpu", 1)
    with pytest.raises(NotImplementedError, match=r"pip install 'ridgebench\[encoders\]'"):
        suite.setup("", "vgg16", "fc2", "cpu", 1)
