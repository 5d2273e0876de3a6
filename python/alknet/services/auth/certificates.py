"""SSH certificates (PROTOCOL.certkeys): an authority's word whose key this is, and until when."""

import base64
import binascii
from typing import Final

import msgspec

from alknet.errors import BadKey
from alknet.services.auth.authorized_keys import ED25519, AuthorizedKey, operation_of
from alknet.services.auth.sources import Sources

_TYPE: Final = "ssh-ed25519-cert-v01@openssh.com"
_FOREVER: Final = 2**64 - 1
# What a certificate must say for connections to be forwarded, as ssh-keygen has it say.
_FORWARDING: Final = b"permit-port-forwarding"


class Certificate(msgspec.Struct, frozen=True):
    """A certificate whose signature is good; times are in Unix seconds."""

    public_key: bytes
    authority: bytes
    serial: int
    key_id: str
    principals: frozenset[str]
    valid_after: float
    valid_before: float
    sources: Sources | None
    command: str | None
    may_forward: bool

    @classmethod
    def parse(cls, blob: bytes) -> "Certificate":
        """Return the user certificate that *blob* is, of an Ed25519 key.

        Raises:
            BadKey: it is none, its signature is bad, or it asks for what cannot be honoured.
        """
        # Only who is shown a certificate waits for the library to load.
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            PublicFormat,
            SSHCertificate,
            SSHCertificateType,
            load_ssh_public_identity,
        )

        try:
            read = load_ssh_public_identity(f"{_TYPE} ".encode() + base64.b64encode(blob))
            assert isinstance(read, SSHCertificate)
            read.verify_cert_signature()
            subject, signer = read.public_key(), read.signature_key()
        except InvalidSignature:
            raise BadKey("the certificate's signature is not its authority's") from None
        except (ValueError, AssertionError, UnsupportedAlgorithm):
            raise BadKey(f"this is no {_TYPE} certificate that can be read") from None
        if not isinstance(subject, Ed25519PublicKey):
            raise BadKey(f"the certificate is not of an {ED25519} key")
        if read.type is not SSHCertificateType.USER:
            raise BadKey("the certificate is a host's, and a user's is wanted")
        sources, command = None, None
        for name, value in read.critical_options.items():
            text = value.decode(errors="replace")
            if name == b"source-address":
                sources = Sources.parse(text, are_blocks=True)
            elif name == b"force-command":
                command = operation_of(text)
            else:
                # PROTOCOL.certkeys: who does not know a critical option must refuse.
                raise BadKey(
                    f"the certificate has the critical option {name.decode(errors='replace')!r}, "
                    f"which is not known here"
                )
        line = signer.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        return cls(
            public_key=subject.public_bytes(Encoding.Raw, PublicFormat.Raw),
            authority=binascii.a2b_base64(line.split()[1]),
            serial=read.serial,
            key_id=read.key_id.decode(errors="replace"),
            principals=frozenset(each.decode(errors="replace") for each in read.valid_principals),
            valid_after=float(read.valid_after),
            valid_before=float("inf")
            if read.valid_before == _FOREVER
            else float(read.valid_before),
            sources=sources,
            command=command,
            may_forward=_FORWARDING in read.extensions,
        )

    def refusal(
        self, authority: AuthorizedKey, default: str, source: str | None, now: float
    ) -> str | None:
        """Return why it is not good by the word of *authority*, or None if it is.

        Without principals of its own the authority's line wants the name *default*.
        """
        if not self.principals:
            # sshd refuses it too: it would be everybody's.
            return "the certificate names no principals"
        if not self.principals & (authority.principals or {default}):
            return "the certificate names no principal that its authority may speak for here"
        if now < self.valid_after:
            return f"the certificate is not valid yet, for another {self.valid_after - now:.0f} s"
        if now >= self.valid_before:
            return f"the certificate has not been valid for {now - self.valid_before:.0f} s"
        if self.sources is not None and not self.sources.include(source):
            return "the certificate is not good from this address"
        if None not in (self.command, authority.command) and self.command != authority.command:
            return "the certificate and its authority are held to different operations"
        return None
