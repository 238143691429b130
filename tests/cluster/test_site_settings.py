"""A site's configuration of Dask that is broken, or that allows no cluster here."""

import os
import subprocess
import sys

import pytest

from bench_core.cluster.site_settings import describe_settings, explain

START = """
import sys
from bench_core import cluster
from bench_core.errors import InputError
try:
    with cluster.start("local", 1, 1) as running:
        print("started", running.map(sum, [([1, 2],)]))
except InputError as error:
    print("refused", " ".join(str(error).split()))
"""


def start(tmp_path, text, **variables):
    (tmp_path / "site.yaml").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", START],
        env={**os.environ, "DASK_CONFIG": str(tmp_path), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("text", ["distributed: [unclosed\n", "- a list\n"])
def test_a_broken_file_is_named(tmp_path, text):
    answer = start(tmp_path, text)
    assert answer.startswith("refused")
    assert str(tmp_path / "site.yaml") in answer


def test_a_strict_setting_is_named_with_its_file_and_a_way_out(tmp_path):
    strict = "distributed:\n  comm:\n    require-encryption: true\n"
    answer = start(tmp_path, strict)
    assert answer.startswith("refused")
    assert "distributed.comm.require-encryption=True" in answer
    assert str(tmp_path / "site.yaml") in answer
    variable = "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"
    assert variable in answer
    assert start(tmp_path, strict, **{variable: "False"}).startswith("started [3]")


def test_nothing_is_blamed_on_a_site_that_sets_nothing(monkeypatch):
    import dask.config

    monkeypatch.setattr(dask.config, "collect", lambda: {"logging": {"distributed": "warning"}})
    assert describe_settings() == ""
    assert explain(RuntimeError("something else")) is None
