import subprocess
import sys
import urllib.request

import psutil
import pytest


@pytest.fixture
def project(tmp_path):
    (tmp_path / "asv.conf.json").write_text(
        '{"version": 1, "project": "x", "repo": ".", "html_dir": "html", "results_dir": "results"}'
    )
    return tmp_path


def _preview(project, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "bench_core.cli", "preview", *arguments],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_only_loopback_is_listened_on(project):
    pytest.importorskip("asv", reason="asv is the bench extra")
    (project / "html").mkdir()
    (project / "html" / "ridgebench.html").write_text("the page")
    served = _preview(project, "--port", "0")
    try:
        address = served.stdout.readline().split()[0]
        assert urllib.request.urlopen(address, timeout=10).read() == b"the page"
        listening = [
            one.laddr.ip
            for one in psutil.Process(served.pid).net_connections()
            if one.status == psutil.CONN_LISTEN
        ]
        assert listening == ["127.0.0.1"]
    finally:
        served.terminate()
        served.communicate()


def test_no_pages_says_what_to_run(project):
    pytest.importorskip("asv", reason="asv is the bench extra")
    _, error = (refused := _preview(project)).communicate()
    assert refused.returncode == 2
    assert "ridgebench bench" in error
