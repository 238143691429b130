"""Encryption between the processes of a cluster, as Dask offers it: three files in PEM."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from bench_core.cluster.settings import CommonSettings
from bench_core.errors import InputError


@dataclass(frozen=True, kw_only=True)
class TlsSettings(CommonSettings):
    """Keys of the kinds that talk over a network; ``ridgebench cluster certificates`` makes them.

    Raises
    ------
    InputError : some of the three files are named and others not, or one is absent.

    Examples
    --------
    >>> TlsSettings().encrypted
    False
    """

    tls_ca: Annotated[Path | None, "certificate of the authority that signed all others"] = None
    tls_cert: Annotated[Path | None, "certificate of every process"] = None
    tls_key: Annotated[Path | None, "key of that certificate"] = None

    def __post_init__(self) -> None:
        named = {name: getattr(self, name) for name in ("tls_ca", "tls_cert", "tls_key")}
        absent = [name for name, path in named.items() if path is None]
        if 0 < len(absent) < len(named):
            raise InputError(f"{', '.join(absent)} missing: encryption needs all three files")
        for name, path in named.items():
            if path is not None and not path.is_file():
                raise InputError(
                    f"{name} {path} does not exist: see ridgebench cluster certificates"
                )

    @property
    def encrypted(self) -> bool:
        """True where the processes of the cluster encrypt what they send."""
        return self.tls_ca is not None

    @property
    def protocol(self) -> str:
        """Dask's name of the transport."""
        return "tls://" if self.encrypted else "tcp://"


def security(settings: TlsSettings) -> Any:
    """Return Dask's `distributed.Security` of these files, None without any."""
    if not settings.encrypted:
        return None
    from distributed.security import Security

    own = {"cert": str(settings.tls_cert), "key": str(settings.tls_key)}
    return Security(
        tls_ca_file=str(settings.tls_ca),
        require_encryption=True,
        **{
            f"tls_{role}_{what}": path
            for role in ("client", "scheduler", "worker")
            for what, path in own.items()
        },
    )


@contextmanager
def configured(settings: TlsSettings) -> Iterator[None]:
    """Put the files, and what a fit needs of a scheduler, into Dask's own configuration.

    Launchers that hand it on to their processes, such as SSH's, need it there.
    """
    import dask

    own = {"cert": str(settings.tls_cert), "key": str(settings.tls_key)}
    chosen: dict[str, Any] = {
        # A fit that lost a node is no measurement: fail at once.
        "distributed.scheduler.allowed-failures": 0,
        # A node that computes for minutes does not answer the scheduler.
        "distributed.scheduler.worker-ttl": None,
        "distributed.worker.profile.enabled": False,
    }
    if settings.encrypted:
        chosen |= {
            "distributed.comm.require-encryption": True,
            "distributed.comm.tls.ca-file": str(settings.tls_ca),
            **{f"distributed.comm.tls.{role}": own for role in ("client", "scheduler", "worker")},
        }
    with dask.config.set(chosen):
        yield
