"""A self-signed certificate for the exchange on loopback: clients that insist on TLS can be told to trust it.

It proves nothing to anybody and protects nothing: the keys of this exchange open nothing but this exchange. It is made
once and used again, so that a client which trusts it still does after the exchange was restarted.
"""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

# Long enough for any session; a file older than that is made anew.
VALID_DAYS = 365
# A client's clock may be a little behind.
BACKDATED = timedelta(hours=1)


class NoTls(Exception):
    """TLS cannot be offered: why, in one line."""


def key_path(certificate: Path) -> Path:
    """Where the private key of a certificate lies."""
    return certificate.with_name(certificate.name + ".key")


def tls_context(certificate: Path, now_ms: int) -> ssl.SSLContext:
    """A server context for 127.0.0.1 and localhost; makes the certificate where there is none that is still valid.

    Raises `NoTls` without the package that makes certificates, or where the files cannot be written or read.
    """
    try:
        from cryptography import x509
    except ImportError:
        raise NoTls("--tls-port: needs the package cryptography: install anchorwatch[tls]") from None
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        if certificate.exists() and key_path(certificate).exists():
            known = x509.load_pem_x509_certificate(certificate.read_bytes())
            if now < known.not_valid_after_utc:
                context.load_cert_chain(certificate, key_path(certificate))
                return context
        _make(certificate, now)
        context.load_cert_chain(certificate, key_path(certificate))
    except (OSError, ValueError) as error:
        raise NoTls(f"{certificate}: {' '.join(str(error).split())}") from None
    return context


def _make(certificate: Path, now: datetime) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "anchorwatch venue, for tests only")])
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    lies = key_path(certificate)
    lies.unlink(missing_ok=True)
    # Made anew and for its owner only: in a shared directory nobody else may have put something there.
    with os.fdopen(os.open(lies, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secret)
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
