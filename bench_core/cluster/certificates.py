"""Certificates with which the processes of one cluster know each other, for Dask's TLS.

One authority of this cluster alone signs one certificate, which all its processes have. Dask checks
that a certificate is signed by the authority, not which host has it: who has the key belongs to
the cluster, so it is readable by its owner alone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench_core.errors import RidgebenchError, install_command
from bench_core.files import new_folder

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

NAMES = ("ca.pem", "cert.pem", "key.pem")
_DAYS = 365


@dataclass(frozen=True)
class Certificates:
    """The three files, as the keys ``tls_ca``, ``tls_cert`` and ``tls_key`` name them.

    Examples
    --------
    >>> print(Certificates(Path("a"), Path("b"), Path("c")).toml())
    tls_ca = "a"
    tls_cert = "b"
    tls_key = "c"
    """

    tls_ca: Path
    tls_cert: Path
    tls_key: Path

    def toml(self) -> str:
        """Return the lines for a cluster's configuration."""
        return "\n".join(f'{name} = "{path}"' for name, path in vars(self).items())


def make_certificates(folder: Path, *, days: int = _DAYS) -> Certificates:
    """Make the folder with a new authority's certificate, and one certificate with its key.

    The authority's own key is not kept: nobody can sign another certificate.

    Parameters
    ----------
    days : for which they are valid.

    Raises
    ------
    RidgebenchError : the package cryptography is not installed.
    FileExistsError : the folder exists.
    """
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise RidgebenchError(
            f"certificates need cryptography: {install_command('tls')}"
        ) from error
    authority, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    pem = serialization.Encoding.PEM
    contents = (
        _certificate("ridgebench authority", authority, authority, days).public_bytes(pem),
        _certificate("ridgebench node", own, authority, days).public_bytes(pem),
        own.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    with new_folder(folder) as part:
        part.chmod(0o700)
        for name, content in zip(NAMES, contents, strict=True):
            file = os.open(part / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "wb") as opened:
                opened.write(content)
    return Certificates(*(folder / name for name in NAMES))


def _certificate(
    name: str, key: EllipticCurvePrivateKey, authority: EllipticCurvePrivateKey, days: int
) -> Any:
    """Return the certificate of a key, signed by the authority; its own where they are one."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import NameOID

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.now(UTC)
    signs = key is authority
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named("ridgebench authority"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # clocks of hosts differ
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=signs, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),
            critical=False,
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=not signs,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=signs,
                crl_sign=signs,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    return builder.sign(authority, hashes.SHA256())
