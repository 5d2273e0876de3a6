"""Trust: what a client shows of itself over TLS, and which certificates it believes.

A node's own certificate is self-signed, of the key that is its identity, so the fingerprint that
`connect(expect=...)` and `alknet --expect` take pins the certificate too: it is SHA256 over the
public key (as OpenSSH prints it), not over the certificate, whose other fields mean nothing. A
certificate of another key is believed if an authority vouches for it and for the name that was
dialled. There is no third way: who is dialled over TLS without `expect`, and is vouched for by
nobody, is refused.
"""

import ssl
from functools import cache
from pathlib import Path
from typing import Self

import msgspec

from alknet._core.tls import Certificate, Roots
from alknet.errors import SettingsError
from alknet.keys import CertifiedKey, Ed25519Key, ssh_fingerprint


class Trust(msgspec.Struct, frozen=True):
    """What one end that dials shows and believes.

    `own` is the certificate to show, `expect` the fingerprint of the key that the node must hold,
    `roots` the authorities that are believed. `identity` is the key that SSH proves.
    """

    own: Certificate | None = None
    expect: str | None = None
    roots: Roots | None = None
    identity: Ed25519Key | CertifiedKey | None = None

    @classmethod
    def of(
        cls,
        identity: Ed25519Key | CertifiedKey | str,
        expect: bytes | str | None,
        ca: Path | str | None = None,
    ) -> Self:
        """Return the trust of who is called *identity* and expects the key *expect*.

        *ca* is a PEM file with authorities; without it those of the operating system are believed.

        Raises:
            SettingsError: the file cannot be read, or holds no certificate.
        """
        # A key with an SSH certificate is listed nowhere: over TLS alone it would be nobody's, whom
        # a node refuses before a word of his is read. Its certificate is shown in the handshake
        # within, so that a node with `client_certificates` does not let it in.
        own = Certificate.of_key(identity) if isinstance(identity, Ed25519Key) else None
        pin = ssh_fingerprint(expect) if isinstance(expect, bytes) else expect
        roots = _read(Path(ca)) if ca is not None else _of_the_system()
        return cls(own, pin, roots, None if isinstance(identity, str) else identity)


def _read(path: Path) -> Roots:
    try:
        return Roots.from_pem(path.read_bytes())
    except (OSError, SettingsError) as error:
        why = error.strerror or "" if isinstance(error, OSError) else str(error)
        raise SettingsError(f"{path}: {why.lower()}") from None


def _of_the_system() -> Roots | None:
    # The same file that Python's and OpenSSL's clients read, and the same variable, SSL_CERT_FILE.
    found = ssl.get_default_verify_paths().cafile
    return None if found is None else _cached(Path(found))


@cache
def _cached(path: Path) -> Roots | None:
    # There are some 140, and reading them takes longer than the handshake does.
    try:
        return _read(path)
    except SettingsError:
        return None
