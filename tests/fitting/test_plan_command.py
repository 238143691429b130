"""``ridgebench plan``: numbers from shapes, nothing run."""

import json

import pytest
from click.testing import CliRunner

from bench_core.cli.commands.plan import command
from bench_core.cli.parameters import Bytes
from bench_core.data import make
from bench_core.errors import InputError, ResourceError, RidgebenchError, UnknownNameError


def planned(*arguments):
    result = CliRunner().invoke(command, list(map(str, arguments)))
    if isinstance(result.exception, RidgebenchError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_shapes_and_flops_of_the_thesis():
    quarter = ("multitarget", "whole-brain-bmor", "--scale", "1/4", "--json")
    found = json.loads(planned(*quarter))
    assert (found["t"], found["p"], found["s"]) == (2250, 4096, 66_201)
    t, p, s, r = 2250.0, 4096.0, 66_201.0, 11.0
    useful = t * t * p + t * t * s + 2 * t * p * s + 9 * t**3 + 2 * r * t**3 + 2 * p * t * t
    assert found["plan"]["useful_flops"] == pytest.approx(useful)
    assert found["plan"]["form"] == "dual"
    assert found["plan"]["settings"]["bytes_written"] == 8 * 66_201 * 4096
    without = json.loads(planned(*quarter, "--no-coef"))
    assert without["plan"]["settings"]["bytes_written"] == 0


def test_numbers_given_by_hand_and_memory():
    text = planned("multitarget", "-t", 500, "-p", 900, "-s", 4000, "-r", 7, "--dtype", "float32")
    assert "500 samples × 900 features × 4,000 targets, 7 penalties" in text
    assert "peak memory" in text
    with pytest.raises(ResourceError, match=r"976\.56 KiB"):
        planned("multitarget", "-t", 500, "-p", 900, "-s", 4000, "--memory-limit", "1MB")
    wide_sizes = ("multitarget", "-t", 500, "-p", 900, "-s", 9000)
    wide = json.loads(planned(*wide_sizes, "--json", "--coef-file"))
    tight = json.loads(
        planned(
            "multitarget",
            "-t",
            500,
            "-p",
            900,
            "-s",
            9000,
            "--json",
            "--coef-file",
            "--memory-limit",
            "40MB",
        )
    )
    assert tight["plan"]["peak_bytes"] <= 40e6 < wide["plan"]["peak_bytes"]


def test_nodes_and_other_strategies():
    text = planned("bmor-shared", "whole-brain-bmor", "--nodes", 8)
    assert "ridge on 8 nodes, dual form" in text
    assert "factorised by node 0" in text
    assert "makes no plan" in planned("ridgecv", "parcels")


def test_what_is_sent_to_nodes_that_see_no_files():
    t, p, s = 500, 900, 4000
    sizes = ("-t", t, "-p", p, "-s", s, "--dtype", "float32")
    once = 4 * (t * p + t * s + s * p)
    for strategy, more in {"mor": 0, "bmor": 0, "bmor-shared": 0.2 * once}.items():
        sent = json.loads(planned(strategy, *sizes, "--nodes", 1, "--json"))["sent_bytes"]
        assert sent == once
        sent = json.loads(planned(strategy, *sizes, "--nodes", 3, "--json"))["sent_bytes"]
        assert once <= sent <= once + 2 * 4 * t * p + more
    assert json.loads(planned("multitarget", *sizes, "--json"))["sent_bytes"] is None
    assert "else by messages" in planned("bmor", *sizes, "--nodes", 3)
    assert "messages" not in planned("multitarget", *sizes)


def test_a_folder_knows_its_size(tmp_path):
    make("parcels", scale=1 / 64, dtype="float32", folder=tmp_path / "small")
    found = json.loads(planned("multitarget", tmp_path / "small", "--json", "--test-fraction", "0"))
    assert (found["t"], found["p"], found["s"], found["dtype"]) == (1081, 256, 6, "float32")


def test_the_former_option_still_works_and_says_so():
    result = CliRunner().invoke(command, ["parcels", "--strategy", "ridgecv"])
    assert result.exit_code == 0
    assert "plan STRATEGY" in result.stderr
    assert "makes no plan" in result.stdout


def test_what_cannot_be_planned():
    assert CliRunner().invoke(command, []).exit_code == 2
    with pytest.raises(UnknownNameError, match="strategy 'parcels'"):
        planned("parcels")
    with pytest.raises(UnknownNameError, match="'parcels'"):
        planned("multitarget", "parcel")
    with pytest.raises(InputError, match="-p, -s"):
        planned("multitarget", "-t", 500)
    with pytest.raises(InputError, match="parcels"):
        planned("multitarget", "parcels", "-t", 500)
    with pytest.raises(InputError, match="3"):
        planned("multitarget", "parcels", "-r", 3, "--alphas", "1,2")
    with pytest.raises(InputError, match="memory limit"):
        planned("ridgecv", "parcels", "--memory-limit", "1GB")
    with pytest.raises(UnknownNameError, match="coeff"):
        planned("multitarget", "parcels", "--option", "coeff=null")


@pytest.mark.parametrize(
    ("text", "count"),
    [("8GB", 8 * 10**9), ("8 GiB", 8 * 2**30), ("1.5k", 1500), ("12", 12), ("3tib", 3 * 2**40)],
)
def test_sizes(text, count):
    assert Bytes().convert(text, None, None) == count


@pytest.mark.parametrize("text", ["eight", "8 PB", "", "0", "1.2.3MB", "-5"])
def test_sizes_that_are_none(text):
    result = CliRunner().invoke(command, ["multitarget", "parcels", "--memory-limit", text])
    assert result.exit_code == 2
    assert "is not a size such as 8GB" in result.output
