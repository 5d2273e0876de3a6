"""Keys as asyncssh wants them, which sign in the vault: no private key ever leaves Rust."""

import base64
import secrets
from typing import Final, Protocol

import asyncssh

from alknet.keys import CertifiedKey
from alknet.transport.ssh.algorithms import ED25519, ED25519_CERTIFICATE
from alknet.wire.credential import Certified

_KIND: Final = ED25519.encode()
_CERTIFICATE_KIND: Final = ED25519_CERTIFICATE.encode()
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 32
_OF_A_HOST: Final = 2
_FOREVER: Final = 2**64 - 1


class Signer(Protocol):
    """A key whose private half stays where it is."""

    @property
    def public_key(self) -> bytes:
        """The 32 raw bytes of the public key."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the key's signature, 64 bytes, over *message*."""
        ...


class VaultKeyPair(asyncssh.SSHKeyPair):
    """A key in the vault, alone or with a *certificate* (as it is encoded, without base64)."""

    _key_type = "vault"

    def __init__(self, key: Signer, certificate: bytes | None = None) -> None:
        self._key = key
        super().__init__(
            _KIND,
            _KIND,
            (_KIND,),
            (_KIND,),
            blob(key.public_key),
            None,
            None if certificate is None else _imported(certificate),
        )

    def sign(self, data: bytes) -> bytes:
        """Return the signature over *data* as it travels (RFC 8709, section 6).

        Raises:
            Locked: the vault has been locked since.
        """
        return string(_KIND) + string(self._key.sign(data))


def own_pair(key: Signer) -> VaultKeyPair:
    """Return what a client proves itself with: *key*, and its certificate if it has one."""
    return VaultKeyPair(key, key.certificate if isinstance(key, CertifiedKey) else None)


def host_pairs(host_key: Signer, identity: Signer) -> list[VaultKeyPair]:
    """Return what a node proves itself with: its host key, alone and certified.

    The certificate is the word of the node's identity, so whoever knows that (as `expect`, or as
    `@cert-authority` in known_hosts) knows the host key too. It names no host, since a node does
    not know what it is dialled by, and it does not expire, since both keys are of one seed.
    """
    if host_key.public_key == identity.public_key:
        return [VaultKeyPair(host_key)]
    certificate = _host_certificate(host_key.public_key, identity)
    return [VaultKeyPair(host_key, certificate), VaultKeyPair(host_key)]


def blob(public_key: bytes) -> bytes:
    """Return an Ed25519 *public_key* as SSH encodes it (RFC 8709, section 4)."""
    return string(_KIND) + string(public_key)


def shown(encoded: bytes) -> bytes | Certified | None:
    """Return the Ed25519 key that *encoded* is, or the certificate of one; None for any other."""
    kind, rest = _take(encoded)
    if kind == _KIND:
        key, rest = _take(rest)
        return key if len(key) == _KEY_BYTES and not rest else None
    if kind != _CERTIFICATE_KIND:
        return None
    _, rest = _take(rest)
    key, rest = _take(rest)
    return Certified(key, encoded) if len(key) == _KEY_BYTES and rest else None


def signature_in(encoded: bytes) -> bytes | None:
    """Return the 64 bytes of an Ed25519 signature (RFC 8709, section 6); None if it is none."""
    kind, rest = _take(encoded)
    signature, rest = _take(rest)
    return signature if kind == _KIND and not rest else None


def _host_certificate(public_key: bytes, authority: Signer) -> bytes:
    """Return a host's certificate (PROTOCOL.certkeys), signed by *authority*."""
    body = b"".join((
        string(_CERTIFICATE_KIND),
        string(secrets.token_bytes(_NONCE_BYTES)),
        string(public_key),
        bytes(8),  # serial
        _OF_A_HOST.to_bytes(4, "big"),
        string(b"alknet"),  # key id
        string(b""),  # principals: any name
        bytes(8),  # valid from the beginning
        _FOREVER.to_bytes(8, "big"),
        string(b""),  # critical options
        string(b""),  # extensions
        string(b""),  # reserved
        string(blob(authority.public_key)),
    ))  # fmt: skip
    return body + string(string(_KIND) + string(authority.sign(body)))


def _imported(certificate: bytes) -> asyncssh.SSHCertificate:
    return asyncssh.import_certificate(
        _CERTIFICATE_KIND + b" " + base64.b64encode(certificate) + b"\n"
    )


def string(data: bytes) -> bytes:
    """Return *data* as a string of SSH (RFC 4251, section 5)."""
    return len(data).to_bytes(4, "big") + data


def _take(data: bytes) -> tuple[bytes, bytes]:
    """Return the string of SSH that *data* begins with, and the rest; nothing if it is cut off."""
    end = 4 + int.from_bytes(data[:4], "big")
    return (data[4:end], data[end:]) if 4 <= end <= len(data) else (b"", b"")
