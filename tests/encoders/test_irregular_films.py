"""Turned films, films whose picture starts late, and time stamps that repeat or go back."""

import json
import shutil
import subprocess
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from irregular_films import MATRICES, displayed, turn, with_sound, with_stamps
from tiny_encoder import Numbers, Tiny

from bench_core.errors import InputError, UnknownNameError
from encoders.encode import encode
from encoders.film import film_of
from encoders.orientation import AS_STORED, filters_of
from encoders.protocol import InputSpec
from encoders.store import FeatureStore
from encoders.synthetic import read_number
from encoders.video import duration, frames, samples
from encoders.videogpt.clips.resize import resize
from encoders.videogpt.clips.sampling import read_video
from encoders.videogpt.clips.store import ClipStore

IMAGES = InputSpec("images", (8, 16))
LATE = 0.75 + np.arange(60) / 10


def shown(path: Path, **options) -> dict[int, int]:
    """Return the number of the frame of every TR of 1.5 s."""
    return {
        each.tr: read_number(each.pixels[0]) for each in samples(path, IMAGES, tr=1.5, **options)
    }


@pytest.fixture(scope="module")
def corners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a film of 48 x 128 pixels whose four corners differ."""
    picture = np.zeros((48, 128, 3), np.uint8)
    picture[:24, :64], picture[:24, 64:], picture[24:, :64] = (230, 20, 20), (20, 230, 20), 120
    path = tmp_path_factory.mktemp("corners") / "stored.mp4"
    return with_sound(path, np.arange(4) / 10, 0.4, [picture] * 4)


@pytest.mark.parametrize("name", MATRICES)
def test_pictures_are_shown_as_the_display_matrix_says(
    name: str, corners: Path, tmp_path: Path
) -> None:
    path = turn(Path(shutil.copy(corners, tmp_path / "turned.mp4")), MATRICES[name])
    stored = next(frames(corners)).pixels()
    expected = displayed(stored, MATRICES[name])
    assert stored[10, 10, 0] > 200 > 60 > stored[40, 120].max()
    np.testing.assert_array_equal(next(frames(path)).pixels(), expected)
    (sample, *_) = samples(path, IMAGES, tr=0.1)
    np.testing.assert_array_equal(sample.pixels[0], expected)
    np.testing.assert_array_equal(read_video(path, 16).frames[0], resize(expected[None], 16)[0])
    assert (film_of(path).orientation == AS_STORED) == (name == "as stored")


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize("angle", [0.4, 45, 89.2, 271, 300])
def test_angles_are_turned_as_ffmpeg_turns_them(
    angle: float, corners: Path, tmp_path: Path
) -> None:
    a, b = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    path = tmp_path / "turned.mp4"
    content = bytearray(corners.read_bytes())
    place = content.index((1 << 16).to_bytes(4, "big") + bytes(12) + (1 << 16).to_bytes(4, "big"))
    # The matrix of the film's header comes first; the picture's is in its track.
    place = content.index(content[place : place + 36], content.index(b"tkhd"))
    matrix = np.array([a, b, 0, -b, a, 0, 0, 0, 1 << 14]) * 65536
    content[place : place + 36] = matrix.round().astype(">i4").tobytes()
    path.write_bytes(content)
    command = ["ffmpeg", "-v", "error", "-i", path, "-frames:v", "1", "-pix_fmt", "rgb24"]
    truth = subprocess.run([*command, "-f", "rawvideo", "-"], capture_output=True, check=True)
    pixels = next(frames(path)).pixels()
    np.testing.assert_array_equal(pixels.reshape(-1), np.frombuffer(truth.stdout, np.uint8))


def test_a_matrix_of_zeros_turns_nothing() -> None:
    assert filters_of([0] * 9) == AS_STORED


def test_features_of_a_turned_film_are_kept_apart_and_said(corners: Path, tmp_path: Path) -> None:
    turned = turn(Path(shutil.copy(corners, tmp_path / "turned.mp4")), MATRICES["upside down"])
    store = FeatureStore(tmp_path / "features")
    (found,) = encode({"turned": turned}, Tiny(), ["conv"], store, tr=0.1)
    plain, *_ = encode({"stored": corners}, Tiny(), ["conv"], store, tr=0.1)
    assert found.features.identity["film"] == {"orientation": "hflip,vflip"}
    assert "film" not in plain.features.identity
    assert found.features.film is not None
    assert found.features.film["orientation"] == "hflip,vflip"
    assert [note for note in found.film.notes() if "hflip,vflip" in note]
    assert plain.film.notes() == []
    assert not np.allclose(found.features.read(), plain.features.read())


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_times_count_on_the_file_s_clock(suffix: str, tmp_path: Path) -> None:
    path = with_sound(tmp_path / f"x{suffix}", LATE, 7)
    # At 1.5 s the frame that began at 1.45 s is on the screen, the eighth.
    assert shown(path) == {1: 7, 2: 22, 3: 37, 4: 52}
    assert shown(path, clock="picture") == {0: 0, 1: 15, 2: 30, 3: 45}
    assert next(frames(path)).start == pytest.approx(0.75, abs=1e-3)
    assert film_of(path).first_picture == pytest.approx(0.75, abs=1e-3)
    assert duration(path) == pytest.approx(6.75, abs=0.1)
    assert duration(path, "picture") == pytest.approx(6.0, abs=0.1)
    with pytest.raises(UnknownNameError, match="'sound'"):
        film_of(path, "sound")
    with pytest.raises(UnknownNameError, match="'sound'"):
        list(frames(path, "sound"))


def test_a_format_without_a_zero_counts_from_its_earliest_stream(tmp_path: Path) -> None:
    path = with_sound(tmp_path / "x.ts", LATE, 7, begin=100)
    with av.open(str(path)) as container:
        first = min(s.start_time * s.time_base for s in container.streams)
        picture = container.streams.video[0]
        late = float(picture.start_time * picture.time_base - first)
    assert float(first) == pytest.approx(100, abs=0.1)
    assert next(frames(path)).start == pytest.approx(late, abs=1e-6)
    assert shown(path) == {1: 7, 2: 22, 3: 37, 4: 52}


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")
def test_times_are_those_of_ffprobe(tmp_path: Path) -> None:
    path = with_sound(tmp_path / "x.mp4", LATE, 7)
    command = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries"]
    found = subprocess.run(
        [*command, "frame=pts_time", "-of", "json", path], capture_output=True, check=True
    )
    truth = [float(each["pts_time"]) for each in json.loads(found.stdout)["frames"]]
    np.testing.assert_allclose([each.start for each in frames(path)], truth, atol=1e-6)


def test_the_late_picture_is_in_the_store_and_in_its_key(tmp_path: Path) -> None:
    path = with_sound(tmp_path / "x.mp4", LATE, 7)
    store = FeatureStore(tmp_path / "features")
    (own,) = encode({"x": path}, Numbers(), ["conv"], store, tr=1.5)
    (other,) = encode({"x": path}, Numbers(), ["conv"], store, tr=1.5, clock="picture")
    assert own.features.read()[:, 0].tolist() == [7, 22, 37, 52]
    assert own.features.trs.tolist() == [1, 2, 3, 4]
    assert other.features.read()[:, 0].tolist() == [0, 15, 30, 45]
    assert own.features.key != other.features.key
    with h5py.File(own.features.path) as file:
        film = json.loads(file.attrs["film"])
    assert (film["clock"], film["first_picture"]) == ("file", pytest.approx(0.75))
    assert "0.750" in own.film.notes()[0]
    assert "0.750" in other.film.notes()[0]


def test_clips_have_the_file_s_clock_too(tmp_path: Path) -> None:
    from bench_core.cli.commands.videogpt import command

    path = with_sound(tmp_path / "x.mp4", LATE, 7)
    for clock, start in (("file", 0.75), ("picture", 0.0)):
        out = tmp_path / clock
        arguments = ["prepare", str(path), "--out", str(out), "--side", "16", "--clock", clock]
        found = CliRunner().invoke(command, arguments)
        assert found.exit_code == 0, found.output
        assert "x: the first picture is at 0.750 s" in found.stderr
        store = ClipStore(out)
        np.testing.assert_allclose(store.times(0), LATE - 0.75 + start, atol=1e-3)
        assert "0.750 s" in store.runs[0].notes[0]


def test_of_pictures_with_one_time_stamp_the_last_is_shown(tmp_path: Path) -> None:
    stamps = [0, 100, 200, 200, 200, 300, 300]
    path = with_stamps(tmp_path / "x.mkv", stamps)
    found = [(round(each.start * 1000), read_number(each.pixels())) for each in frames(path)]
    assert found == [(0, 0), (100, 1), (200, 4), (300, 6)]
    assert film_of(path).repeated_stamps == 3
    times = np.array(stamps) / 1000
    for sample in samples(path, IMAGES, tr=0.05):
        latest = int(np.flatnonzero(times <= sample.tr * 0.05 + 1e-6)[-1])
        assert read_number(sample.pixels[0]) == latest
    store = FeatureStore(tmp_path / "features")
    (encoded,) = encode({"x": path}, Numbers(), ["conv"], store, tr=0.1)
    assert encoded.features.read()[:, 0].tolist() == [0, 1, 4, 6]
    assert encoded.features.identity["film"] == {"repeated_stamps": 3}
    assert "3 pictures" in encoded.film.notes()[0]


def test_time_stamps_that_go_back_are_refused(tmp_path: Path) -> None:
    one = with_sound(tmp_path / "one.ts", np.arange(20) / 10, 2).read_bytes()
    (tmp_path / "two.ts").write_bytes(one + one)
    with pytest.raises(InputError, match=r"two\.ts.* 1\.9.* to 0\.0"):
        list(frames(tmp_path / "two.ts"))


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".avi"])
def test_a_header_without_a_picture_is_the_user_s_error(suffix: str, tmp_path: Path) -> None:
    from bench_core.cli.commands.encode import command

    path = tmp_path / f"header{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        container.start_encoding()
    for read in (film_of, lambda each: list(frames(each)), lambda each: read_video(each, 16)):
        with pytest.raises(InputError, match=rf"header\{suffix}"):
            read(path)
    arguments = [str(path), "--out", str(tmp_path / "features"), "--encoder", "videogpt"]
    found = CliRunner().invoke(command, [*arguments, "--layer", "features", "--weights", "x.pt"])
    assert isinstance(found.exception, InputError)
    assert "Aborted" not in found.output
    assert not list(tmp_path.glob("features/*"))


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
def test_every_damage_is_an_error_that_names_the_file(suffix: str, tmp_path: Path) -> None:
    content = with_sound(tmp_path / f"whole{suffix}", np.arange(8) / 10, 0.8).read_bytes()
    generator = np.random.default_rng(0)
    path = tmp_path / f"damaged{suffix}"
    messages = []
    for length in np.linspace(0, len(content), 16, endpoint=False).astype(int):
        damaged = np.frombuffer(content[:length] + content[length:][::-1], np.uint8).copy()
        damaged[generator.integers(0, len(damaged), 10)] = 0
        path.write_bytes(damaged[: length + 200].tobytes())
        try:
            film_of(path)
            list(frames(path))
        except InputError as error:
            messages.append(str(error))
    assert messages
    assert all(path.name in message for message in messages)
