"""Configurations of clusters: what a file may say, and what they can hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench_core.cli import cli, sweep
from bench_core.cluster import LOCAL, ClusterSettings, chosen_cluster, parse_cluster, read_cluster
from bench_core.cluster.capacity import Capacity, HostCapacity
from bench_core.cluster.comm_bytes import between, links
from bench_core.cluster.inspection import NodeFacts, differences, differences_from_here, look
from bench_core.cluster.kinds.slurm import SlurmSettings
from bench_core.cluster.placing import place_on_hosts
from bench_core.cluster.settings import MIXED, VARIABLE, default_threads, mixed_allowed
from bench_core.errors import InputError, ResourceError, UnknownNameError
from bench_core.machine.topology import HardwareThread, Topology
from bench_core.records import codec
from bench_core.records.times import Memory, ProcessMemory
from bench_core.runner.host_memory import add_up
from bench_core.runner.spec import FitSpec

SLURM = """
kind = "slurm"
name = "somewhere"
partition = "cpu"
account = "def-someone"
walltime = "02:00:00"
nodes = 4
cores = 32
memory = "120G"
interface = "ib0"
scratch = "scratch"
activate = ["module load python", "source env/bin/activate"]
directives = ["--exclusive"]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_slurm_configuration_is_read_with_its_types(tmp_path: Path) -> None:
    found = read_cluster(written(tmp_path, SLURM))
    own = found.own()
    assert isinstance(own, SlurmSettings)
    assert (found.kind, found.label, found.elsewhere) == ("slurm", "slurm somewhere", True)
    assert found.scratch == own.scratch == tmp_path / "scratch"
    assert own.activate == ("module load python", "source env/bin/activate")
    assert (own.nodes, own.cores, own.memory_bytes) == (4, 32, 120 * 2**30)
    # A job's file has it as JSON.
    assert codec.from_json(ClusterSettings, codec.to_json(found), "job") == found
    capacity = found.capacity()
    assert capacity.refusal(4, 32) is None
    assert capacity.refusal(5, 1) is not None
    assert capacity.refusal(1, 33) is not None
    assert default_threads(found, 4) == 32
    assert capacity.memory_bytes == 120 * 2**30


def test_a_configuration_without_a_name_has_the_file_s(tmp_path: Path) -> None:
    text = SLURM.replace('name = "somewhere"\n', "")
    assert read_cluster(written(tmp_path, text)).label == "slurm site"


@pytest.mark.parametrize(
    ("change", "error", "named"),
    [
        (("partition =", "partitoin ="), UnknownNameError, "'partition'"),
        (('kind = "slurm"', 'kind = "slrum"'), UnknownNameError, "'slurm'"),
        (('kind = "slurm"\n', ""), InputError, "kind is None"),
        (("nodes = 4", 'nodes = "4"'), InputError, "nodes is '4'"),
        (("nodes = 4", "nodes = 0"), InputError, "nodes is 0"),
        (('memory = "120G"', 'memory = "much"'), InputError, "memory is 'much'"),
        (('interface = "ib0"\n', ""), InputError, "interface is missing"),
        (('interface = "ib0"', 'interface = "ib0"\ntls_ca = "ca.pem"'), InputError, "tls_cert"),
        (('kind = "slurm"', "kind = "), InputError, "TOML"),
    ],
)
def test_what_is_wrong_is_named_with_the_file(
    tmp_path: Path, change: tuple[str, str], error: type[Exception], named: str
) -> None:
    assert change[0] in SLURM
    path = written(tmp_path, SLURM.replace(*change))
    with pytest.raises(error) as raised:
        read_cluster(path)
    assert type(raised.value) is error
    assert named in str(raised.value)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("text", "bytes_"), [("120G", 120 * 2**30), ("4000M", 4000 * 2**20), ("500", 500 * 2**20)]
)
def test_memory_is_in_slurm_s_units(text: str, bytes_: int) -> None:
    own = SlurmSettings(nodes=1, cores=1, memory=text, interface="lo", scratch=Path("/s"))
    assert own.memory_bytes == bytes_


def test_bench_hands_cluster_and_mixed_nodes_on_to_the_suites(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[dict[str, str]] = []
    monkeypatch.chdir(Path(__file__).parents[2])

    def show_plan(_: object, __: str, chosen: dict[str, str], *___: object, **____: object) -> None:
        given.append(chosen)

    monkeypatch.setattr(sweep, "show_plan", show_plan)
    address = "tcp://127.0.0.1:8786"
    for more in ([], ["--allow-mixed"]):
        done = CliRunner().invoke(cli, ["bench", "--plan", "--cluster", address, *more])
        assert done.exit_code == 0, done.output
    plain, mixed = given
    assert (plain[VARIABLE], MIXED in plain) == (address, False)
    for name, value in mixed.items():
        monkeypatch.setenv(name, value)
    assert chosen_cluster() == parse_cluster(address)
    assert mixed_allowed()


def test_words_of_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_cluster("local") is LOCAL
    assert parse_cluster("tcp://127.0.0.1:8786").own().address == "tcp://127.0.0.1:8786"
    assert "127.0.0.1" not in parse_cluster("tcp://127.0.0.1:8786").label
    assert parse_cluster(str(written(tmp_path, SLURM))).kind == "slurm"
    for wrong in ("ucx://a:1", "absent.toml"):
        with pytest.raises(InputError, match=wrong):
            parse_cluster(wrong)
    monkeypatch.delenv("RIDGEBENCH_CLUSTER", raising=False)
    assert chosen_cluster() is LOCAL
    monkeypatch.setenv("RIDGEBENCH_CLUSTER", str(tmp_path / "site.toml"))
    assert chosen_cluster().kind == "slurm"
    monkeypatch.setenv("RIDGEBENCH_CLUSTER", "nowhere")
    with pytest.raises(InputError, match="RIDGEBENCH_CLUSTER"):
        chosen_cluster()


def test_a_local_configuration_may_name_a_scratch(tmp_path: Path) -> None:
    assert read_cluster(written(tmp_path, 'kind = "local"\n')) is LOCAL
    found = read_cluster(written(tmp_path, 'kind = "local"\nscratch = "here"\n'))
    assert (found.elsewhere, found.label, found.scratch) == (False, "local", tmp_path / "here")


def test_a_fit_on_another_cluster_is_another_case() -> None:
    here, there = FitSpec("parcels", "bmor"), FitSpec("parcels", "bmor", cluster="slurm site")
    assert here.key() != there.key()
    assert "cluster" not in here.to_dict() or here.key() == replace(there, cluster="local").key()


def test_capacity_counts_nodes_by_cores_and_by_workers() -> None:
    assert Capacity().refusal(100, 100) is None
    assert Capacity((HostCapacity(None, None),)).refusal(100, 100) is None
    two = Capacity((HostCapacity(2, 8), HostCapacity(1, 32)))
    assert two.refusal(3, 4) is None
    assert two.refusal(3, 8) is not None  # one on the first host, one on the second
    assert (two.cores, two.memory_bytes) == (8, None)


def facts(machine: str, cpus: dict[int, int], **changes: object) -> NodeFacts:
    """Facts of a node that may use CPUs, given with their cores."""
    threads = tuple(HardwareThread(0, 0, core, number) for number, core in sorted(cpus.items()))
    return replace(
        look(),
        host=f"host-{machine}",
        machine=machine,
        topology=Topology(threads, None, True),
        **changes,
    )


def test_nodes_of_one_host_share_no_core_and_jobs_keep_to_their_own() -> None:
    four = {cpu: cpu for cpu in range(4)}
    assert place_on_hosts([facts("a", four), facts("b", four)], 2) == [[0, 1], [0, 1]]
    assert place_on_hosts([facts("a", four), facts("a", four)], 2) == [[0, 1], [2, 3]]
    # One job has two CPUs of its own, the other may use all four.
    own = facts("a", {1: 1, 2: 2}, control="job 1")
    assert place_on_hosts([facts("a", four, control="job 2"), own], 2) == [[0, 3], [1, 2]]


def test_a_host_that_does_not_hold_its_nodes_is_named() -> None:
    two = {cpu: cpu for cpu in range(2)}
    with pytest.raises(ResourceError, match="host-b"):
        place_on_hosts([facts("a", two), facts("b", two), facts("b", two)], 2)


def test_the_node_that_differs_is_named_not_the_others() -> None:
    usual = look()
    about = {**usual.about, "cpu": {**usual.about["cpu"], "model": "Another 9000"}}
    odd = replace(usual, about=about)
    old = replace(usual, versions={**usual.versions, "numpy": "0.1"})
    names = ["node 0", "node 1", "node 2", "node 3"]
    assert differences([usual] * 4, names) == []
    found = differences([usual, odd, old, usual], names)
    assert [text.partition(":")[0] for text in found] == ["node 1", "node 2"]
    assert "Another 9000" in found[0]
    assert "0.1" in found[1]
    there = differences_from_here([old, usual], names[:2])
    assert [text.partition(":")[0] for text in there] == ["node 0"]


def test_bytes_through_a_scheduler_of_its_own_and_between_hosts() -> None:
    def pair(one: str, other: str) -> tuple[str, str]:
        return one, other

    driver = {pair("d:1", "s:1"): 10}
    scheduler = {pair("s:1", "d:1"): 1, pair("s:2", "a:1"): 20}
    first = {pair("a:1", "s:2"): 2, pair("a:2", "b:2"): 300}
    second = {pair("b:2", "a:2"): 3}
    found = between(driver, [first, second], scheduler)
    assert found == {
        "to_workers": 20,
        "from_workers": 2,
        "between_workers": 303,
        "driver_and_scheduler": 11,
        "total": 336,
    }
    assert links([first, second], ["host 0", "host 1"]) == {
        "host 0 to host 1": 300,
        "host 1 to host 0": 3,
    }
    assert set(links([first, second], ["host 0", "host 0"])) == set()


def test_memory_of_hosts_is_added_up() -> None:
    each = ProcessMemory("node 0", 2, 1)
    memory = Memory(30, 10, 40, 50.0, 60.0, 9, 0.01, (each,))
    both = add_up([memory, replace(memory, longest_gap_ms=memory.longest_gap_ms + 5.0)])
    assert both.peak_bytes == 2 * memory.peak_bytes
    assert both.longest_gap_ms == memory.longest_gap_ms + 5.0
    assert both.samples == memory.samples
    assert len(both.per_process) == 2 * len(memory.per_process)
