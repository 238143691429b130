"""Relinking real wheels in an environment of its own, there and back, and killed on the way."""

import json
import re
import signal

import pytest
from blas_environments import bundled, renamed_library

from bench_core.blas import elf, journal
from bench_core.blas.wheels import NotRelinkableError, site_packages

ASK = "from bench_core.blas import proof; import json; print(json.dumps(proof()))"
IMPORTS = """
import numpy as np, scipy.linalg, scipy.special
a = np.arange(12.0).reshape(3, 4)
assert (a @ a.T == np.einsum('ik,jk->ij', a, a)).all()
assert abs(scipy.linalg.svdvals(a)**2 - np.linalg.eigvalsh(a @ a.T)[::-1]).max() < 1e-9
x = np.array([1 + 2j, 3 - 1j]); y = np.array([5 + 1j, .5 + 4j])
assert scipy.linalg.blas.zdotu(x, y) == x[0] * y[0] + x[1] * y[1]
"""
# Kills the process before its k-th event of a kind: a rename, which puts a file in its place, or a
# process, which patches a file or checks those in place.
KILLED = """
import os, signal, sys
from bench_core.blas.relink import use
left = {count}
def hook(event, arguments):
    global left
    if event == "{event}" and "{argument}" in str(arguments):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
use(sys.argv[1:])
print("ended")
"""


def killed_at_rename(count):
    return KILLED.format(event="os.rename", argument="", count=count)


def proof_in(environment):
    return json.loads(environment.python("-c", ASK).stdout)


@pytest.fixture(scope="module")
def pristine(environment):
    return environment.modules()


@pytest.fixture
def clean(environment, pristine):
    """Give the environment as pip left it, and see afterwards that it can be brought back."""
    environment.ridgebench("blas", "use", "bundled")
    assert environment.modules() == pristine
    yield environment
    environment.ridgebench("blas", "use", "bundled")
    assert environment.modules() == pristine


@pytest.mark.slow
def test_there_and_back(clean, foreign):
    thirty_two, sixty_four = map(str, foreign)
    first = clean.ridgebench("blas", "use", thirty_two, sixty_four)
    assert "files replaced" in first.stdout
    found = proof_in(clean)
    assert found["numpy"]["file"] == sixty_four
    assert found["scipy"]["file"] == thirty_two
    assert (found["numpy"]["interface"], found["scipy"]["interface"]) == ("ilp64", "lp64")
    assert found["exceptions"] == {"numpy": {}, "scipy": {}}
    callers = [
        name
        for name in clean.modules()
        if any("openblas" in needed for needed in elf.read(clean.site / name).needed)
    ]
    bound = {file for package in found["calls"].values() for file in package[0]["files"]}
    assert bound == set(callers)
    assert found["relinked"]["phase"] == "relinked"
    clean.python("-c", IMPORTS)
    clean.python("-c", "from bench_core.blas import require; require('openblas')")

    relinked = clean.modules()
    second = clean.ridgebench("blas", "use", thirty_two, sixty_four)
    assert "nothing to change" in second.stdout
    assert clean.modules() == relinked


@pytest.mark.slow
def test_one_package_alone_and_a_declaration(clean, foreign):
    clean.ridgebench("blas", "use", "--only", "scipy", str(foreign[0]))
    report = json.loads(clean.ridgebench("blas", "show", "--json").stdout)
    assert report["scipy"]["file"] == str(foreign[0])
    assert "numpy.libs" in report["numpy"]["file"]
    assert set(report["relinked"]["packages"]) == {"scipy"}
    # OpenBLAS answers for both: nothing to do for one who declares it.
    declared = {"RIDGEBENCH_BLAS": "openblas"}
    assert "already" in clean.ridgebench("blas", "provision", variables=declared).stdout
    none = clean.ridgebench("blas", "provision", check=False)
    assert none.returncode == 2
    assert "RIDGEBENCH_BLAS is not set" in none.stderr


@pytest.mark.slow
def test_killed_before_any_rename_and_taken_up_again(clean, foreign, pristine):
    """Cut off while originals are kept, replacements made, the journal written, files replaced."""
    targets = [str(path) for path in foreign]
    seen = set()
    for count, go_back in (
        (10, False),
        (30, True),
        (44, False),
        (25, True),
        (55, False),
        (3, True),
    ):
        done = clean.python("-c", killed_at_rename(count), *targets, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        clean.python("-c", IMPORTS)
        changed = sum(content != pristine[name] for name, content in clean.modules().items())
        seen.add((journal.read(clean.site).phase, 0 < changed < 22))
        if go_back:
            clean.ridgebench("blas", "use", "bundled")
            assert clean.modules() == pristine
    assert {("bundled", False), ("changing", True)} <= seen
    clean.ridgebench("blas", "use", *targets)
    assert proof_in(clean)["numpy"]["file"] == targets[1]
    done = clean.python("-c", killed_at_rename(20), "bundled", check=False)
    assert done.returncode == -signal.SIGKILL
    assert journal.read(clean.site).phase == "changing"
    clean.python("-c", IMPORTS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "count", "phase"),
    [
        ("patchelf", 0, "bundled"),
        ("patchelf", 12, "bundled"),
        ("bench_core.blas.bindings", 0, "changing"),
        ("bench_core.blas.verify", 0, "changing"),
    ],
)
def test_killed_before_a_process_is_started(clean, foreign, program, count, phase):
    """Cut off before the first of 22 files is patched, half-way, and before the checks."""
    code = KILLED.format(event="subprocess.Popen", argument=program, count=count)
    done = clean.python("-c", code, *map(str, foreign), check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert journal.read(clean.site).phase == phase
    clean.python("-c", IMPORTS)


@pytest.mark.slow
def test_wrong_answers_are_found_and_taken_back(clean, foreign, pristine, tmp_path):
    """A library whose dsyrk is its dgemm in disguise: every symbol there, the answers wrong."""
    swapped = {"scipy_dgeqrf_": "dgerqf_", "scipy_dgerqf_": "dgeqrf_"}
    liar = renamed_library(
        bundled("scipy"),
        tmp_path / "libliar.so",
        lambda n: swapped.get(n, n.removeprefix("scipy_")),
    )
    done = clean.ridgebench("blas", "use", str(liar), str(foreign[1]), check=False)
    assert done.returncode == 2
    assert "qr of scipy" in done.stderr
    assert "bundled library is restored" in done.stderr
    assert clean.modules() == pristine


@pytest.mark.slow
def test_a_missing_symbol_is_refused_by_name_before_anything_is_written(
    clean, foreign, pristine, tmp_path
):
    gone = {"scipy_dgesdd_": "gone_1", "scipy_zpotrf_": "gone_2"}
    poor = renamed_library(
        bundled("scipy"), tmp_path / "libpoor.so", lambda n: gone.get(n, n.removeprefix("scipy_"))
    )
    done = clean.ridgebench("blas", "use", str(poor), str(foreign[1]), check=False)
    assert done.returncode == 2
    assert "lacks 2 of the" in done.stderr
    assert "dgesdd_, zpotrf_" in done.stderr
    assert clean.modules() == pristine
    assert not (clean.site / ".ridgebench-blas" / "originals").exists()


@pytest.mark.slow
def test_refusals(clean, foreign, pristine):
    for arguments, message in (
        ([str(foreign[0])], "numpy.*64-bit integers"),
        (["--only", "scipy", str(foreign[1])], "scipy.*32-bit integers"),
        (["openblass"], "did you mean 'openblas'"),
        (["mkl"], "pip install mkl"),
        (["accelerate"], "not installed"),
        (["/no/such/library.so"], "not a file"),
    ):
        done = clean.ridgebench("blas", "use", *arguments, check=False)
        assert done.returncode == 2
        assert re.search(message, done.stderr), done.stderr
    assert clean.modules() == pristine


@pytest.mark.slow
def test_a_tampered_wheel_is_not_taken_for_an_original(clean, foreign):
    victim = next((clean.site / "scipy/special").glob("_ufuncs.*.so"))
    content = victim.read_bytes()
    victim.write_bytes(content + b"\0")
    try:
        for targets in (map(str, foreign), ["bundled"]):
            done = clean.ridgebench("blas", "use", *targets, check=False)
            assert done.returncode == 2
            assert "not what pip installed" in done.stderr
    finally:
        victim.write_bytes(content)


def test_outside_a_virtual_environment_it_refuses(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    monkeypatch.setattr("sys.base_prefix", str(tmp_path))
    with pytest.raises(NotRelinkableError, match=str(tmp_path)):
        site_packages()


def test_in_a_conda_environment_it_says_which_package(monkeypatch, tmp_path):
    (tmp_path / "conda-meta").mkdir()
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    with pytest.raises(NotRelinkableError, match=r"libblas=\*=\*mkl"):
        site_packages()


def test_packages_of_another_environment_are_left_alone(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    with pytest.raises(NotRelinkableError, match=str(tmp_path)):
        site_packages()
