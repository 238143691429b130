"""`ridgebench cluster`: the proof of nodes, and certificates that keep others out."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench_core import cluster
from bench_core.cli.commands.cluster import command
from bench_core.cluster import NodeLostError, read_cluster
from bench_core.errors import InputError
from bench_core.machine import cpu
from tests.cluster.running_scheduler import running_scheduler
from tests.cores import needs_two_cores

DOCUMENT = Path(__file__).parents[2] / "docs" / "clusters.md"

pytest.importorskip("cryptography", reason="cryptography is the tls extra")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Make certificates by the command, and return the keys that it prints."""
    folder = tmp_path_factory.mktemp("tls") / "certificates"
    done = CliRunner().invoke(command, ["certificates", str(folder), "--days", "2"])
    assert done.exit_code == 0, done.output
    assert {path.stat().st_mode & 0o077 for path in (folder, *folder.iterdir())} == {0}
    return tomllib.loads(done.stdout)


@pytest.fixture(scope="module")
def encrypted(
    certificates: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    options = ["--protocol", "tls"]
    for flag, key in (("ca-file", "tls_ca"), ("cert", "tls_cert"), ("key", "tls_key")):
        options += [f"--tls-{flag}", certificates[key]]
    folder = tmp_path_factory.mktemp("encrypted")
    with running_scheduler(folder / "dask", workers=2, options=options) as address:
        yield address


def written(folder: Path, address: str, keys: dict[str, str], timeout: float = 120.0) -> Path:
    path = folder / "site.toml"
    lines = [f'{name} = "{value}"' for name, value in keys.items()]
    text = [f'kind = "scheduler"\naddress = "{address}"\nstart_timeout = {timeout}', *lines]
    path.write_text("\n".join(text), encoding="utf-8")
    return path


@needs_two_cores
def test_check_proves_every_node_of_an_encrypted_scheduler(
    encrypted: str, certificates: dict[str, str], tmp_path: Path
) -> None:
    file = written(tmp_path, encrypted, certificates)
    asked = ["check", str(file), "--nodes", "2", "--threads", "1", "--scratch", str(tmp_path)]
    done = CliRunner().invoke(command, [*asked, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["kind"], found["data"], found["differences"]) == ("scheduler", "path", [])
    assert set(found["links"]) == {"0 to 1", "1 to 0"}
    assert [node["node"] for node in found["nodes"]] == [0, 1]
    for node in found["nodes"]:
        assert node["address"].startswith("tls://127.0.0.1")
        assert node["processor"] == cpu().model
        assert (node["threads"], len(node["cpus"]), node["sees_scratch"]) == (1, 1, True)
        # One machine has one clock.
        assert abs(node["clock_offset_s"]) <= node["clock_error_s"] + 1e-3
        assert min(node["from_here"], node["scratch_write"], node["scratch_read"]) > 0
    shown = CliRunner().invoke(command, asked)
    assert shown.exit_code == 0, shown.output
    assert "seen" in shown.stdout
    assert list(tmp_path.glob("ridgebench-*")) == []


def test_who_has_no_certificate_of_the_authority_stays_out(encrypted: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(command, ["certificates", str(tmp_path / "others")])
    for keys in ({}, tomllib.loads(done.stdout)):
        file = written(tmp_path, encrypted, keys, timeout=1.0)
        with pytest.raises((NodeLostError, InputError), match=re.escape(encrypted)):
            cluster.start(read_cluster(file), 1, 1, scratch=tmp_path)


def test_certificates_do_not_replace_others(certificates: dict[str, str]) -> None:
    folder = Path(certificates["tls_ca"]).parent
    done = CliRunner().invoke(command, ["certificates", str(folder)])
    assert isinstance(done.exception, InputError)
    assert str(folder) in str(done.exception)


def test_check_of_this_machine_names_the_command_for_it() -> None:
    done = CliRunner().invoke(command, ["check", "local"])
    assert isinstance(done.exception, InputError)
    assert "doctor" in str(done.exception)


def test_the_configurations_of_the_document_are_valid(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    kinds = []
    for block in blocks:
        path = tmp_path / "example.toml"
        path.write_text(block, encoding="utf-8")
        kinds.append(read_cluster(path).kind)
    assert kinds == ["slurm", "ssh"]
