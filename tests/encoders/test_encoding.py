"""From videos to stored features: nothing twice, nothing half, nothing under a wrong key."""

import fcntl
import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from sklearn.decomposition import PCA as Reference
from tiny_encoder import Numbers, Tiny, irregular, video

from bench_core.errors import InputError, UnknownNameError
from encoders.alignment import align
from encoders.encode import Encoded, encode
from encoders.protocol import Frames, InputSpec
from encoders.reducers import parse
from encoders.store import FeatureStore, open_features
from encoders.video import samples

TR = 0.5


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("videos")
    return {
        f"run-{k}": video(folder / f"run-{k}.mp4", irregular(80 + 20 * k, k), first=1000 * k)
        for k in range(3)
    }


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features")


def files(store: FeatureStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.folder.iterdir()}


def one(videos, encoder, store, **options) -> Encoded:
    layer = options.pop("layer", "head")
    first = {"run-0": videos["run-0"]}
    return encode(first, encoder, [layer], store, **{"tr": TR, **options})[0]


def test_features_are_the_network_s_on_the_right_frames(videos, store) -> None:
    encoder = Tiny()
    found = encode(videos, encoder, ["head", "conv"], store, tr=TR, batch=4)
    assert [(each.features.run, each.features.layer) for each in found] == [
        (run, layer) for run in videos for layer in ("head", "conv")
    ]
    for each in found:
        path = videos[each.features.run]
        taken = list(samples(path, encoder.input_spec, tr=TR))
        pixels = np.stack([sample.pixels for sample in taken])
        times = np.stack([sample.times for sample in taken])
        layer = each.features.layer
        expected = encoder.extract(encoder.preprocess(Frames(pixels, times)), [layer])[layer]
        assert each.features.shape == (len(taken), expected[0].numel())
        np.testing.assert_allclose(
            each.features.read(), expected.reshape(len(taken), -1), rtol=1e-5, atol=1e-6
        )
        np.testing.assert_array_equal(each.features.trs, [sample.tr for sample in taken])
        np.testing.assert_array_equal(each.features.times, times)


def test_several_layers_take_one_pass(videos, store) -> None:
    encoder = Tiny()
    found = encode(videos, encoder, ["head", "conv", "activation"], store, tr=TR, batch=4)
    rows = [each.computed for each in found if each.features.layer == "head"]
    assert encoder.samples == sum(rows)
    assert encoder.passes == sum(-(-n // 4) for n in rows)


def test_a_second_call_computes_nothing(videos, store) -> None:
    encode(videos, Tiny(), ["head", "conv"], store, tr=TR)
    before = files(store)
    encoder = Tiny()
    again = encode(videos, encoder, ["conv", "head"], store, tr=TR)
    assert encoder.passes == 0
    assert [each.computed for each in again] == [0] * 6
    assert files(store) == before


def test_only_missing_layers_and_runs_are_computed(videos, store) -> None:
    encode({"run-0": videos["run-0"]}, Tiny(), ["head"], store, tr=TR)
    encoder = Tiny()
    found = encode(videos, encoder, ["head", "conv"], store, tr=TR)
    computed = {(each.features.run, each.features.layer): each.computed for each in found}
    assert computed.pop(("run-0", "head")) == 0
    assert all(computed.values())


def test_features_follow_the_video_and_not_its_name(videos, store, tmp_path: Path) -> None:
    one(videos, Tiny(), store)
    renamed = tmp_path / "other.mp4"
    renamed.write_bytes(videos["run-0"].read_bytes())
    encoder = Tiny()
    (found,) = encode({"new": renamed}, encoder, ["head"], store, tr=TR)
    assert (found.computed, found.known_as, found.features.run) == (0, "run-0", "new")
    assert store.one("new", "head").key == store.one("run-0", "head").key
    (again,) = encode({"new": renamed}, encoder, ["head"], store, tr=TR)
    assert (again.computed, again.known_as) == (0, None)
    renamed.write_bytes(videos["run-1"].read_bytes())
    assert encode({"new": renamed}, encoder, ["head"], store, tr=TR)[0].computed > 0


@pytest.mark.parametrize(
    "change",
    [
        {"encoder": lambda: Tiny(seed=1)},
        {"encoder": lambda: Tiny(preprocessing="other")},
        {"encoder": lambda: Tiny(input_spec=InputSpec("images", (16, 16)))},
        {"layer": "conv"},
        {"tr": 0.6},
        {"phase": 0.1},
        {"dtype": "float16"},
        {"reducers": parse("project=3")},
    ],
)
def test_whatever_decides_the_values_is_in_the_key(change: dict, videos, store) -> None:
    first = one(videos, Tiny(), store)
    options = dict(change)
    encoder = options.pop("encoder", Tiny)()
    second = one(videos, encoder, store, **options)
    assert second.computed > 0
    assert second.features.key != first.features.key
    assert one(videos, Tiny(), store).computed == 0


def test_a_seed_of_a_reducer_is_in_the_key(videos, store) -> None:
    from encoders.reducers.project import SparseProjection

    one(videos, Tiny(), store, reducers=[SparseProjection(3, seed=0)])
    assert one(videos, Tiny(), store, reducers=[SparseProjection(3, seed=1)]).computed > 0


class Interrupted(Tiny):
    def run(self, batch):
        if self.passes == 2:
            raise KeyboardInterrupt
        return super().run(batch)


@pytest.mark.parametrize("torn", [0, 1, 9])
def test_an_interrupted_run_goes_on_where_it_stopped(torn: int, videos, store, tmp_path) -> None:
    with pytest.raises(KeyboardInterrupt):
        one(videos, Interrupted(), store, batch=3)
    assert store.find() == []
    (partial,) = store.folder.iterdir()
    content = partial.read_bytes()
    partial.write_bytes(content[: len(content) - torn])  # stopped in the middle of a row
    encoder = Tiny()
    resumed = one(videos, encoder, store, batch=3)
    whole = one(videos, Tiny(), FeatureStore(tmp_path / "whole"), batch=3)
    n = whole.features.shape[0]
    assert encoder.samples == resumed.computed == n - 6 + (torn > 0)
    np.testing.assert_allclose(resumed.features.read(), whole.features.read(), rtol=1e-5)
    np.testing.assert_array_equal(resumed.features.trs, whole.features.trs)
    np.testing.assert_array_equal(resumed.features.times, whole.features.times)
    assert [path.suffix for path in store.folder.iterdir()] == [".h5"]


def test_an_interrupted_run_goes_on_under_another_name(videos, store, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        one(videos, Interrupted(), store, batch=3)
    renamed = tmp_path / "renamed.mp4"
    renamed.write_bytes(videos["run-0"].read_bytes())
    encoder = Tiny()
    (found,) = encode({"renamed": renamed}, encoder, ["head"], store, tr=TR, batch=3)
    assert encoder.samples == found.computed == found.features.shape[0] - 6
    assert [path.name for path in store.folder.iterdir()] == [found.features.path.name]
    assert found.features.run == "renamed"


def test_a_damaged_partial_file_is_started_again(videos, store) -> None:
    with pytest.raises(KeyboardInterrupt):
        one(videos, Interrupted(), store, batch=3)
    (partial,) = store.folder.iterdir()
    partial.write_bytes(b"{}\n" + partial.read_bytes())
    encoder = Tiny()
    assert one(videos, encoder, store).computed == encoder.samples > 6


def test_two_processes_do_not_write_the_same_run(videos, store) -> None:
    with pytest.raises(KeyboardInterrupt):
        one(videos, Interrupted(), store, batch=3)
    (partial,) = store.folder.iterdir()
    with partial.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(InputError, match=re.escape(partial.name)):
            one(videos, Tiny(), store)
    assert one(videos, Tiny(), store).computed


def test_a_layer_that_lags_behind_catches_up(videos, store) -> None:
    with pytest.raises(KeyboardInterrupt):
        one(videos, Interrupted(), store, batch=3)
    encoder = Tiny()
    first = {"run-0": videos["run-0"]}
    head, conv = encode(first, encoder, ["head", "conv"], store, tr=TR, batch=3)
    assert conv.computed == encoder.samples == head.computed + 6
    np.testing.assert_array_equal(head.features.trs, conv.features.trs)
    np.testing.assert_array_equal(head.features.times, conv.features.times)


def test_a_video_cut_short_stores_nothing(videos, store, tmp_path: Path) -> None:
    path = tmp_path / "short.mkv"
    video(path, irregular(400))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"short.mkv"):
        encode({"short": path}, Tiny(), ["head"], store, tr=TR)
    assert store.find() == []


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_dtype_is_kept(dtype: str, videos, store) -> None:
    found = one(videos, Tiny(), store, dtype=dtype).features
    assert found.read().dtype == dtype
    full = one(videos, Tiny(), store).features.read()
    np.testing.assert_allclose(found.read(), full, rtol=2e-3, atol=1e-6)


def test_values_beyond_float16_are_an_error(videos, store) -> None:
    encoder = Tiny()
    encoder.network.head.bias += 1e5
    with pytest.raises(InputError, match=r"'head': float16 .* 100000"):
        one(videos, encoder, store, dtype="float16")
    with pytest.raises(UnknownNameError, match="'float32'"):
        one(videos, encoder, store, dtype="float31")


def test_untrained_is_said_in_name_and_file(videos, store) -> None:
    found = one(videos, Tiny(), store).features
    assert not found.trained
    assert "untrained" in found.path.name
    with h5py.File(found.path) as file:
        assert "untrained" in file.attrs["note"]
        assert not file.attrs["trained"]
        assert json.loads(file.attrs["identity"])["trained"] is False


def test_features_are_found_by_run_and_layer(videos, store) -> None:
    encode(videos, Tiny(), ["head", "conv"], store, tr=TR)
    assert len(store.find()) == 6
    assert [each.run for each in store.find(layer="conv")] == list(videos)
    found = store.one("run-1", "conv")
    assert (found.run, found.layer, found.encoder) == ("run-1", "conv", "tiny")
    np.testing.assert_array_equal(np.concatenate(list(found.batches(3))), found.read())
    with pytest.raises(UnknownNameError, match="'run-1 conv'"):
        store.one("run-1", "cnv")
    encode(videos, Tiny(), ["head"], store, tr=0.7)
    with pytest.raises(InputError, match="run-0 head"):
        store.one("run-0", "head")


def test_a_damaged_file_is_named(videos, store, tmp_path: Path) -> None:
    path = one(videos, Tiny(), store).features.path
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=re.escape(path.name)):
        one(videos, Tiny(), store)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["features"] = np.zeros(3)
    with pytest.raises(InputError, match=r"x.h5"):
        open_features(tmp_path / "x.h5")


def test_pca_sees_the_training_runs_only(videos, store) -> None:
    training = ["run-1", "run-2"]
    found = encode(
        videos, Tiny(), ["conv"], store, reducers=parse("pca=3"), training=training, tr=TR
    )
    full = {run: _unreduced(store, run) for run in videos}
    reference = Reference(3, svd_solver="full").fit(np.concatenate([full[run] for run in training]))
    for each in found:
        expected = reference.transform(full[each.features.run])
        values = each.features.read()
        signs = np.sign((values * expected).sum(0))
        np.testing.assert_allclose(values * signs, expected, rtol=1e-3, atol=1e-4)


def _unreduced(store: FeatureStore, run: str) -> np.ndarray:
    (found,) = [
        each for each in store.find(run=run) if each.identity["reducers"][-1]["name"] != "pca"
    ]
    return found.read().astype(np.float64)


def test_pca_is_fitted_once_and_kept_for_later_runs(videos, store) -> None:
    options = {"reducers": parse("pca=2"), "training": ["run-0", "run-1"], "tr": TR}
    both = {run: videos[run] for run in ("run-0", "run-1")}
    first = encode(both, Tiny(), ["head"], store, **options)
    encoder = Tiny()
    again = encode(both, encoder, ["head"], store, **{**options, "reducers": parse("pca=2")})
    assert encoder.passes == 0
    for a, b in zip(first, again, strict=True):
        assert b.computed == 0
        np.testing.assert_array_equal(a.features.read(), b.features.read())
    third = encode(videos, encoder, ["head"], store, **{**options, "reducers": parse("pca=2")})
    assert [each.computed > 0 for each in third] == [False, False, True]
    other = encode(videos, Tiny(), ["head"], store, **{**options, "training": ["run-0"]})
    assert other[0].features.key != third[0].features.key


def test_pca_of_a_doubled_film_is_there_under_both_names(videos, store, tmp_path: Path) -> None:
    twin = tmp_path / "twin.mp4"
    twin.write_bytes(videos["run-0"].read_bytes())
    both = {"run-0": videos["run-0"], "twin": twin}
    options = {"training": ["run-0"], "tr": TR, "reducers": parse("pca=2")}
    one, other = encode(both, Tiny(), ["head"], store, **options)
    assert (one.features.run, other.features.run) == ("run-0", "twin")
    np.testing.assert_array_equal(one.features.read(), other.features.read())


def test_pca_after_other_reducers(videos, store) -> None:
    found = encode(
        videos,
        Tiny(),
        ["conv"],
        store,
        reducers=parse("project=6,pca=2"),
        training=["run-0"],
        tr=TR,
    )
    assert [each.features.shape[1] for each in found] == [2, 2, 2]
    assert sorted({each.shape[1] for each in store.find()}) == [2, 6]


def test_pca_needs_training_runs_that_are_there(videos, store) -> None:
    with pytest.raises(InputError, match="pca"):
        encode(videos, Tiny(), ["head"], store, reducers=parse("pca=1"), tr=TR)
    with pytest.raises(UnknownNameError, match="'run-9'"):
        encode(videos, Tiny(), ["head"], store, reducers=parse("pca=1"), training=["run-9"], tr=TR)


def test_pooling_uses_the_encoder_s_channel_axis(videos, store) -> None:
    class Last(Tiny):
        def channel_axis(self, layer: str) -> int:
            return super().channel_axis(layer) + 2

    full = one(videos, Tiny(), store, layer="conv").features.read().reshape(-1, 4, 8, 16)
    pooled = one(videos, Tiny(), store, layer="conv", reducers=parse("pool")).features.read()
    np.testing.assert_allclose(pooled, full.mean((2, 3)), rtol=1e-5, atol=1e-6)
    last = one(
        videos, Last(), FeatureStore(store.folder / "last"), layer="conv", reducers=parse("pool")
    )
    np.testing.assert_allclose(last.features.read(), full.mean((1, 2)), rtol=1e-5, atol=1e-6)


def test_wrong_parameters_stop_before_anything_is_decoded(videos, store) -> None:
    absent = {"run-0": Path("absent.mp4")}
    with pytest.raises(InputError, match=r"absent.mp4"):
        encode(absent, Tiny(), ["head"], store)
    with pytest.raises(UnknownNameError, match="'head'"):
        encode(absent, Tiny(), ["heda"], store)
    with pytest.raises(InputError, match="TR -1"):
        encode(videos, Tiny(), ["head"], store, tr=-1.0)
    with pytest.raises(InputError, match="batch 0"):
        encode(videos, Tiny(), ["head"], store, batch=0)
    (store.folder / "file").write_text("")
    with pytest.raises(InputError, match="below"):
        FeatureStore(store.folder / "file" / "below")


def test_a_video_too_short_for_a_clip_is_an_error(videos, store) -> None:
    clips = Tiny(input_spec=InputSpec("clips", (8, 16), frames=4, frame_rate=0.1))
    with pytest.raises(InputError, match=r"run-0.mp4"):
        one(videos, clips, store)


def test_progress_counts_trs(videos, store) -> None:
    seen: list[tuple[str, int, int]] = []
    found = one(videos, Tiny(), store, batch=4, progress=lambda *done: seen.append(done))
    assert [run for run, _, _ in seen] == ["run-0"] * len(seen)
    assert seen[0][1] == 4
    n = found.features.shape[0]
    assert seen[-1][1] == n
    assert {total for _, _, total in seen} <= {n - 1, n, n + 1}  # the length that the file states


def test_each_volume_gets_the_frames_of_the_trs_before_it(store, tmp_path: Path) -> None:
    """From a video whose frames say their number to samples, with the thesis's parameters."""
    times = irregular(300)
    path = video(tmp_path / "x.mp4", times, first=500)
    (found,) = encode({"x": path}, Numbers(), ["conv"], store)
    run = found.features
    volumes = len(run.trs) + 2  # scanning went on for two TRs after the video
    aligned = align(run.read(), run.trs, volumes)
    on_screen = [
        500 + np.searchsorted(times, tr * 1.49 + 1e-6, side="right") - 1 for tr in range(volumes)
    ]
    expected = [[on_screen[v - delay] for delay in (1, 2, 3, 4)] for v in aligned.volumes]
    np.testing.assert_array_equal(aligned.X, expected)
    assert aligned.volumes[0] == 4
    assert aligned.volumes[-1] == len(run.trs)
    assert aligned.dropped == 4 + 1
