"""Features of a store: renamed and doubled films, several kinds, and the keys that choose."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("h5py", reason="h5py (extra 'encoders') is not installed")
pytest.importorskip("av", reason="av (extra 'encoders') is not installed")

from bench_core.brain.stored_features import StoreSettings
from bench_core.errors import InputError, UnknownNameError
from encoders.alignment import Alignment
from encoders.film import Film
from encoders.store import FeatureStore, Identity, StoredFeatures

IDENTITY = Identity(
    run="movie",
    encoder="vgg16",
    preprocessing="none",
    layer="fc2",
    weights="ab" * 32,
    trained=True,
    reducers=({"name": "none"},),
    stimulus="11" * 32,
    tr=1.49,
    phase=0.0,
    input_spec={"kind": "images"},
    dtype="float32",
)


def put(folder: Path, film: Film | None = None, **changes) -> StoredFeatures:
    """Store features whose every value is their number in the store."""
    store = FeatureStore(folder)
    value = len(store.find())
    identity = replace(IDENTITY, **changes)
    if film is not None:
        identity = replace(identity, film=film.identity())
    features = np.full((5, 3), value, identity.dtype)
    times = np.arange(5.0)[:, None] * identity.tr
    return store.write(identity, features, np.arange(5), times, film)


def chosen(folder: Path, tr: float = 1.49, **keys) -> dict[str, float]:
    """Return stimulus → the number of the features that are chosen."""
    found = StoreSettings(folder=folder, **keys).open(Alignment(tr=tr))
    return {name: float(found.read(name, 5)[0, 0]) for name in found.stimuli}


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"dtype": "float16"}, {"dtype": "float32"}),
        ({"phase": 0.5}, {"phase": 0.0}),
        ({"layer": "fc1"}, {"layer": "fc2"}),
        ({"encoder": "vgg16-keras"}, {"encoder": "vgg16"}),
        ({"weights": "cd" * 32}, {"weights": "abab"}),
        ({"reducers": ({"name": "pca", "components": 9},)}, {"reducers": ("none",)}),
    ],
)
def test_the_error_names_the_key_that_decides(changes: dict, keys: dict, tmp_path: Path) -> None:
    put(tmp_path)
    put(tmp_path, **changes)
    (key,) = keys
    with pytest.raises(InputError, match=rf"Choose with features\.{key}$"):
        chosen(tmp_path)
    assert chosen(tmp_path, **keys) == {"movie": 0}


def test_the_repetition_time_chooses(tmp_path: Path) -> None:
    put(tmp_path)
    put(tmp_path, tr=2.0)
    assert chosen(tmp_path, 1.49) == {"movie": 0}
    assert chosen(tmp_path, 2.0) == {"movie": 1}
    with pytest.raises(InputError, match=r"1\.49, 2 s .* 3\.0 s"):
        chosen(tmp_path, 3.0)


def test_sizes_of_reducers_choose(tmp_path: Path) -> None:
    for size in (50, 100):
        put(
            tmp_path,
            reducers=({"name": "project", "components": 7}, {"name": "pca", "components": size}),
        )
    with pytest.raises(InputError, match=r"features\.reducers$"):
        chosen(tmp_path, reducers=("project", "pca"))
    assert chosen(tmp_path, reducers=("project", "pca=100")) == {"movie": 1}


def test_the_kind_chooses_where_nothing_else_can(tmp_path: Path) -> None:
    put(tmp_path)
    put(tmp_path, preprocessing="other")
    with pytest.raises(InputError, match=r"with features\.kind$") as error:
        chosen(tmp_path)
    kinds = [words.split()[0].rstrip(".;") for words in str(error.value).split("kind ")[1:]]
    assert len(kinds) == 2
    assert {chosen(tmp_path, kind=kind)["movie"] for kind in kinds} == {0, 1}


def test_a_film_that_was_changed_is_chosen_by_its_key(tmp_path: Path) -> None:
    put(tmp_path, run="other", stimulus="33" * 32)
    old = put(tmp_path)
    new = put(tmp_path, stimulus="22" * 32)
    with pytest.raises(InputError, match=rf"movie.*{new.key[:12]}.*features\.keys"):
        chosen(tmp_path)
    assert chosen(tmp_path, keys=(new.key[:8],)) == {"other": 0, "movie": 2}
    assert chosen(tmp_path, keys=(old.key,)) == {"other": 0, "movie": 1}
    with pytest.raises(UnknownNameError, match="'zz'"):
        chosen(tmp_path, keys=("zz",))


def test_the_clock_chooses_between_features_of_one_film(tmp_path: Path) -> None:
    film = Film("picture", 0.75, "", 0)
    put(tmp_path, film)
    put(tmp_path, replace(film, clock="file"))
    put(tmp_path, Film("file", 0.0, "", 0), run="regular", stimulus="44" * 32)
    with pytest.raises(InputError, match=r"clock file.*features\.clock"):
        chosen(tmp_path)
    assert chosen(tmp_path, clock="picture") == {"movie": 0, "regular": 2}
    assert chosen(tmp_path, clock="file") == {"movie": 1, "regular": 2}
    about = StoreSettings(folder=tmp_path, clock="file").open(Alignment()).about
    assert about["films"] == {"movie": replace(film, clock="file").to_dict()}


def test_features_are_found_under_every_name_of_their_film(tmp_path: Path) -> None:
    first = put(tmp_path)
    store = FeatureStore(tmp_path)
    renamed = replace(IDENTITY, run="renamed")
    found = store.get(renamed)
    assert found is not None
    assert found.run == "movie"
    copy = store.under(renamed, found)
    assert (copy.run, copy.key) == ("renamed", first.key)
    np.testing.assert_array_equal(copy.read(), first.read())
    assert chosen(tmp_path) == {"movie": 0, "renamed": 0}
    own = store.get(renamed)
    assert own is not None
    assert own.path == copy.path
    first.path.unlink()
    assert chosen(tmp_path) == {"renamed": 0}
