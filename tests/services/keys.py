"""Keys as stack.toml lists them."""

import time

from alknet.keys import CertifiedKey, ssh_public_line


def line_of(key, comment="somebody@somewhere"):
    """Return the OpenSSH line of *key*."""
    return ssh_public_line(key.public_key, comment)


def certify(key, *principals, hours=1, forced=None):
    """Return *key* with a certificate of a new authority, and that authority's line."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        SSHCertificateBuilder,
        SSHCertificateType,
    )

    authority = Ed25519PrivateKey.generate()
    builder = (
        SSHCertificateBuilder()
        .public_key(Ed25519PublicKey.from_public_bytes(key.public_key))
        .serial(1)
        .type(SSHCertificateType.USER)
        .key_id(b"test")
        .valid_principals([name.encode() for name in principals])
        .valid_after(int(time.time()) - 60)
        .valid_before(int(time.time() + hours * 3600))
    )
    if forced is not None:
        builder = builder.add_critical_option(b"force-command", forced.encode())
    line = builder.sign(authority).public_bytes().decode()
    ca = authority.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return CertifiedKey(key, line), f"cert-authority {ca}"
