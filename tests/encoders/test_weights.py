"""Weights from files: what is right loads, what is wrong is named."""

import hashlib
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bench_core.errors import InputError
from encoders import weights
from encoders.registry import make
from encoders.weights import Published, fetch

SMALL = {"widths": (2, 3, 4, 5, 6), "hidden": 8, "classes": 3, "size": 32}


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return dict(make("vgg16", seed=3, **SMALL).network.state_dict())


def save(state: dict[str, torch.Tensor], path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    elif path.stem == "nested":
        torch.save({"state_dict": state, "epoch": 3}, path)
    else:
        old = path.stem == "old"
        torch.save(state, path, _use_new_zipfile_serialization=not old)
    return path


@pytest.mark.parametrize("name", ["new.pth", "old.pth", "nested.pt", "x.safetensors"])
def test_files_load_and_are_told_apart_by_digest(name: str, tmp_path: Path, state) -> None:
    path = save(state, tmp_path / name)
    encoder = make("vgg16", path, **SMALL)
    for key, tensor in state.items():
        assert torch.equal(encoder.network.state_dict()[key], tensor)
    assert encoder.weights.trained
    assert encoder.weights.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert "untrained" not in str(encoder.weights)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_another_shape_names_file_tensor_and_shapes(suffix: str, tmp_path: Path, state) -> None:
    state["classifier.0.weight"] = torch.zeros(8, 5)
    path = save(state, tmp_path / f"wide{suffix}")
    with pytest.raises(InputError, match=r"wide.*'classifier.0.weight'.*\(8, 5\).*\(8, 6\)"):
        make("vgg16", path, **SMALL)


def test_tensors_too_few_too_many_or_not_finite_are_named(tmp_path: Path, state) -> None:
    short = dict(state)
    del short["features.5.bias"]
    with pytest.raises(InputError, match=r"'features.5.bias'"):
        make("vgg16", save(short, tmp_path / "a.pth"), **SMALL)
    with pytest.raises(InputError, match="has tensor 'extra'"):
        make("vgg16", save({**state, "extra": torch.ones(1)}, tmp_path / "b.pth"), **SMALL)
    state["features.0.bias"][1] = float("nan")
    with pytest.raises(InputError, match=r"'features.0.bias' has NaN"):
        make("vgg16", save(state, tmp_path / "c.pth"), **SMALL)


@pytest.mark.parametrize("name", ["new.pth", "old.pth", "x.safetensors"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.99])
def test_a_file_cut_short_is_named(name: str, kept: float, tmp_path: Path, state) -> None:
    path = save(state, tmp_path / name)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(InputError, match=name):
        make("vgg16", path, **SMALL)


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("with_torch", [True, False])
def test_code_in_a_file_is_not_run(with_torch: bool, tmp_path: Path) -> None:
    path, touched = tmp_path / "bad.pth", tmp_path / "touched"
    if with_torch:
        torch.save({"features.0.weight": Malicious(touched)}, path)
    else:
        path.write_bytes(pickle.dumps(Malicious(touched), protocol=2))
    with pytest.raises(InputError, match=r"bad.pth"):
        make("vgg16", path, **SMALL)
    assert not touched.exists()


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"")
    with pytest.raises(InputError, match=r".npz"):
        make("vgg16", tmp_path / "x.npz", **SMALL)
    with pytest.raises(InputError, match=r"absent.pth"):
        make("vgg16", tmp_path / "absent.pth", **SMALL)
    torch.save(torch.ones(3), tmp_path / "one.pt")
    with pytest.raises(InputError, match=r"one.pt holds a Tensor"):
        make("vgg16", tmp_path / "one.pt", **SMALL)


@pytest.fixture
def published(tmp_path: Path, state, monkeypatch) -> Published:
    monkeypatch.setenv("RIDGEBENCH_CACHE", str(tmp_path / "cache"))
    path = save(state, tmp_path / "source.pth")
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    return Published(path.as_uri(), "kept.pth", digest, "md5")


def test_fetching_checks_keeps_and_reports(
    published: Published, tmp_path: Path, monkeypatch
) -> None:
    seen: list[tuple[str, int, int]] = []
    encoder_class = type(make("vgg16", **SMALL))
    monkeypatch.setattr(encoder_class, "published", published)
    encoder = make("vgg16", "fetch", progress=lambda *done: seen.append(done), **SMALL)
    assert encoder.weights.trained
    size = (tmp_path / "source.pth").stat().st_size
    assert seen[-1] == ("kept.pth", size, size)
    (tmp_path / "source.pth").unlink()  # from the cache from now on
    assert fetch(published) == weights.cache_folder() / "kept.pth"


def test_a_fetched_file_with_another_checksum_is_refused(published: Published) -> None:
    wrong = Published(published.url, "kept.pth", "0" * 32, "md5")
    with pytest.raises(InputError, match=r"md5 .* 0000"):
        fetch(wrong)
    assert not list(weights.cache_folder().iterdir())
    fetch(published)
    with pytest.raises(InputError, match=r"kept.pth"):
        fetch(wrong)


def test_a_failed_download_says_what_to_do(published: Published, tmp_path: Path) -> None:
    (tmp_path / "source.pth").unlink()
    with pytest.raises(InputError, match=r"source.pth"):
        fetch(published)
    assert not list(weights.cache_folder().iterdir())


@pytest.mark.parametrize("name", ["vgg16", "vgg16-keras"])
def test_published_files_have_whole_checksums(name: str) -> None:
    published = type(make(name, **SMALL)).published
    assert len(published.digest) == 2 * hashlib.new(published.algorithm).digest_size
    assert published.url.startswith("https://")
    assert published.url.endswith(published.file)
