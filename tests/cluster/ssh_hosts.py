"""Two hosts to reach by SSH: network namespaces of this machine, each with an SSH server.

A bridge joins them and this machine. Each has a name of its own and, if asked for, a folder of its
own in the place of the shared one. Needs root and Debian's ``openssh-server`` and ``iproute2``.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("ip", "tc", "sshd", "ssh-keygen", "unshare", "hostname")
INTERFACE = "eth0"

_NUMBERS = itertools.count()

SERVER = """
Port 22
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
LogLevel ERROR
{variables}
"""


class NoHostsError(RuntimeError):
    """No such hosts can be made here; the message is the reason."""


@dataclass(frozen=True)
class Hosts:
    """Addresses of the two hosts, the files that reach them, and this machine's ends of links."""

    addresses: tuple[str, str]
    key: Path
    known_hosts: Path
    links: tuple[str, str]
    spaces: tuple[str, str]

    @contextlib.contextmanager
    def cut(self, host: int) -> Iterator[None]:
        """Take the network from a host while the context lasts."""
        _run("ip", "link", "set", self.links[host], "down")
        try:
            yield
        finally:
            _run("ip", "link", "set", self.links[host], "up")

    @contextlib.contextmanager
    def limited(self, host: int, rate: str) -> Iterator[None]:
        """Limit what a host gets and sends, to a rate such as 8mbit, while the context lasts."""
        ends = (("tc",), self.links[host]), (("tc", "-n", self.spaces[host]), INTERFACE)
        queue = ("tbf", "rate", rate, "burst", "16kb", "latency", "500ms")
        for command, device in ends:
            _run(*command, "qdisc", "add", "dev", device, "root", *queue)
        try:
            yield
        finally:
            for command, device in ends:
                _run(*command, "qdisc", "del", "dev", device, "root", check=False)


def missing() -> str | None:
    """Return why no hosts can be made here, None if they may."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"not installed: {', '.join(absent)} (openssh-server, iproute2)" if absent else None


@contextlib.contextmanager
def ssh_hosts(
    folder: Path,
    own_folder: Path | None = None,
    variables: Sequence[Mapping[str, str]] = ({}, {}),
) -> Iterator[Hosts]:
    """Yield two hosts; ``own_folder`` is another, empty folder on each of them.

    variables : of the environment of everything that runs on each.

    Raises `NoHostsError` where this machine allows no network namespaces.
    """
    folder.mkdir()
    for name in ("host", "user"):
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
    for name, own in zip("ab", variables, strict=True):
        given = " ".join(f'{key}="{value}"' for key, value in own.items())
        text = SERVER.format(folder=folder, variables=f"SetEnv {given}" if given else "")
        (folder / f"sshd_config_{name}").write_text(text)
    Path("/run/sshd").mkdir(exist_ok=True)
    number = next(_NUMBERS)  # the system removes links of the last ones in its own time
    tag = f"rb{os.getpid() % 100_000}{number}"
    net = f"10.{200 + number % 50}.{os.getpid() % 250}"
    addresses = (f"{net}.3", f"{net}.2")  # nodes are in the order of hosts, not of addresses
    host_key = (folder / "host.pub").read_text().rpartition(" ")[0]
    known = folder / "known_hosts"
    known.write_text("".join(f"{address} {host_key}\n" for address in addresses))
    with contextlib.ExitStack() as stack:
        _run("ip", "link", "add", f"{tag}br", "type", "bridge")
        stack.callback(_run, "ip", "link", "del", f"{tag}br", check=False)
        _run("ip", "address", "add", f"{net}.1/24", "dev", f"{tag}br")
        _run("ip", "link", "set", f"{tag}br", "up")
        for name, address in zip("ab", addresses, strict=True):
            space, outer = f"{tag}{name}", f"{tag}v{name}"
            _run("ip", "netns", "add", space)
            stack.callback(_run, "ip", "netns", "del", space, check=False)
            stack.callback(_end_all_in, space)
            inside = ("ip", "-n", space)
            _run(
                *("ip", "link", "add", outer, "type", "veth", "peer"),
                *("name", INTERFACE, "netns", space),
            )
            _run("ip", "link", "set", outer, "master", f"{tag}br", "up")
            _run(*inside, "address", "add", f"{address}/24", "dev", INTERFACE)
            _run(*inside, "link", "set", INTERFACE, "up")
            _run(*inside, "link", "set", "lo", "up")
            hide = "" if own_folder is None else f"mount -t tmpfs tmpfs '{own_folder}' && "
            sshd = f"exec {shutil.which('sshd')} -D -f '{folder}/sshd_config_{name}'"
            server = f"{hide}hostname {space} && {sshd}"
            process = subprocess.Popen(
                ["ip", "netns", "exec", space, "unshare", "--uts", "--mount", "sh", "-c", server]
            )
            stack.callback(_end, process)
            _await_server(address, process)
        links, spaces = ((f"{tag}va", f"{tag}vb"), (f"{tag}a", f"{tag}b"))
        yield Hosts(addresses, folder / "user", known, links, spaces)


def _await_server(address: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        if process.poll() is not None:
            raise NoHostsError(f"sshd ended with status {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection((address, 22), timeout=1):
            return
        subprocess.run(["sleep", "0.05"], check=False)
    raise NoHostsError(f"no SSH server answers at {address}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


def _end_all_in(space: str) -> None:
    """Kill what still runs in a network namespace, which would stay there for ever."""
    done = subprocess.run(
        ["ip", "netns", "pids", space], capture_output=True, text=True, check=False
    )
    for pid in done.stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def _run(*command: str, check: bool = True) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise NoHostsError(f"{' '.join(command)}: {done.stderr.strip()}")
