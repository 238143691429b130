"""From films to r, timed: the planted layer wins where it was planted, and own films run."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench_core.errors import InputError, RidgebenchError, UnknownNameError
from bench_core.records import FiguresRecord
from bench_core.study import encoding
from bench_core.study.encoding import EncodingCase, measure_encoding
from bench_core.study.encoding_settings import VARIABLE, EncodingFile, files_of

ROOT = Path(__file__).parents[2]
CASE = EncodingCase("parcels", "first", "none", "multitarget")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("encoding")


WITHOUT_TORCH = """
import sys
from pathlib import Path
class NoTorch:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(name=name)
sys.meta_path.insert(0, NoTorch())
from bench_core.study import encoding
from bench_core.study.encoding import EncodingCase, measure_encoding
from encoders.registry import make
make("motion-energy")
for layer in ("first", "second"):
    measure_encoding(EncodingCase("parcels", layer, "none", "multitarget"), Path(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def figures(folder):
    """The figures of two layers, found where there is no torch, as in `make bench`."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {
        layer: measure_encoding(replace(CASE, layer=layer), folder) for layer in ("first", "second")
    }


def test_the_planted_layer_wins_where_it_was_planted(figures):
    for layer, place, other in (("first", "early", "late"), ("second", "late", "early")):
        planted = figures[layer].planted
        assert planted[place] > 0.5
        assert abs(planted[other]) < 0.35
    assert figures["first"].planted["early"] > figures["second"].planted["early"] + 0.3
    assert figures["second"].planted["late"] > figures["first"].planted["late"] + 0.3


def test_every_step_has_its_figure(figures):
    for found in figures.values():
        assert min(found.decode_s, found.network_s, found.fit_s, found.predict_s) > 0
        assert found.feature_bytes > 0
        assert found.r_max > found.r_p95 > found.r_mean
        assert found.null_max < found.r_max
        assert 0 < found.ceiling_p95 <= 1
        assert found.disagreement < 1e-2


def test_the_record_has_the_parameters_and_the_figures(figures):
    record = figures["first"].to_record(CASE)
    assert isinstance(record, FiguresRecord)
    assert record.case.parameters["subject"] == "sub-01"
    assert record.case.parameters["encoder"] == "bars"
    assert record.figures["decoding"].value == figures["first"].decode_s
    assert record.figures["planted r"].value == max(figures["first"].planted.values())


def test_another_subject_has_another_brain_and_the_same_answer(folder, figures):
    other = measure_encoding(replace(CASE, subject="sub-02"), folder)
    assert other.planted["early"] > 0.5
    assert other.r_mean != figures["first"].r_mean


def test_a_second_call_reads_the_figures(folder, figures, monkeypatch):
    monkeypatch.setattr(encoding, "_measured", None)
    assert measure_encoding(CASE, folder) == figures["first"]


@pytest.mark.parametrize("wrong", [{"problem": "voxels"}, {"subject": "sub-09"}])
def test_what_the_example_has_not_is_named(folder, wrong):
    with pytest.raises(UnknownNameError):
        measure_encoding(replace(CASE, **wrong), folder)


OWN = """\
films = ["stimuli/*.mkv"]
problem = "subjects.toml"
encoder = "bars"
layers = ["first", "bars"]
strategies = ["ridgecv"]
test_fraction = 0.4
"""


@pytest.fixture
def own(folder, figures, monkeypatch):
    """A user's file beside the example, whose encoder is installed."""
    data = folder / "example"
    monkeypatch.syspath_prepend(str(data / "encoder"))
    path = data / "films.toml"
    path.write_text(OWN, encoding="utf-8")
    return path


def test_a_user_s_films_and_subjects_give_the_example_s_r(folder, figures, own):
    file = EncodingFile.read(own)
    assert (file.name, list(file.subjects)) == ("films", ["sub-01", "sub-02"])
    assert len(file.films()) == 5
    case = EncodingCase("films", "first", "none", "ridgecv", subject="sub-01", file=own)
    found = measure_encoding(case, folder)
    assert found.planted == {}
    # multitarget's answer is RidgeCV's.
    assert found.r_mean == pytest.approx(figures["first"].r_mean, abs=1e-5)
    assert found.to_record(case).figures["planted r"].value is None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('encoder = "bars"', 'encoder = "bar"', "bar"),
        ('layers = ["first", "bars"]', "layers = []", "layers"),
        ('["ridgecv"]', '["ridge"]', "ridge"),
        ("test_fraction", "test_fractions", "test_fractions"),
        ("stimuli/*.mkv", "stimuli/*.avi", "avi"),
        ("films = ", 'reducers = ["poll"]\nfilms = ', "poll"),
        ('"subjects.toml"', '"spaces.toml"', "spaces.toml"),
    ],
)
def test_what_no_suite_can_run_is_refused(own, old, new, words):
    own.write_text(OWN.replace(old, new), encoding="utf-8")
    with pytest.raises(RidgebenchError, match=words):
        EncodingFile.read(own).films()


def test_the_suite_takes_the_files_cases_beside_the_example_s(own, monkeypatch):
    other = own.with_name("motion.toml")
    motion = OWN.replace('"bars"\n', '"motion-energy"\n', 1).replace(
        '["first", "bars"]', '["tf-2"]'
    )
    other.write_text(motion, encoding="utf-8")
    monkeypatch.setenv(VARIABLE, os.pathsep.join([str(own), str(other)]))
    monkeypatch.setenv("RIDGEBENCH_PROFILE", "small")
    import benchmarks.encoding

    try:
        suite = importlib.reload(benchmarks.encoding).Encoding
        problems = suite.params[suite.param_names.index("problem")]
        assert problems == ["parcels", "whole-brain", "films", "motion"]
        example = ("parcels", "first", "none", "multitarget", "sub-01", 1)
        assert suite.reason_to_skip(*example) is None
        assert suite.reason_to_skip("films", "bars", "none", "ridgecv", "sub-02", 1) is None
        # Its strategies are those of the file.
        refused = suite.reason_to_skip("films", "bars", "none", "multitarget", "sub-02", 1)
        assert "multitarget" in refused
        # An encoder of its own has layers of its own.
        assert suite.reason_to_skip("motion", "tf-2", "none", "ridgecv", "sub-02", 1) is None
        assert "bars" in suite.reason_to_skip("motion", "bars", "none", "ridgecv", "sub-02", 1)
        assert "films" not in benchmarks.encoding.GRIDS["problem"]
    finally:
        monkeypatch.delenv(VARIABLE)
        importlib.reload(benchmarks.encoding)


def test_two_files_of_one_name_are_refused(own):
    with pytest.raises(InputError, match="films"):
        files_of(os.pathsep.join([own.name, own.name]), own.parent)


def test_options_are_a_table(own):
    own.write_text('options = "fast"\n' + OWN, encoding="utf-8")
    with pytest.raises(InputError, match="options"):
        EncodingFile.read(own)
