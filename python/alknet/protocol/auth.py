"""What one may ask of the keeper of identities."""

import msgspec

from alknet.identity import Identity
from alknet.protocol.request import Request, operation


class Granted(msgspec.Struct, frozen=True, tag_field="result", tag="granted"):
    """The credential is good and belongs to `identity`."""

    identity: Identity


class Denied(msgspec.Struct, frozen=True, tag_field="result", tag="denied"):
    """The credential is not good; `reason` may be shown to whoever holds it."""

    reason: str


class AccessDecision(msgspec.Struct, frozen=True):
    """Whether an identity may call an operation, and `why` not."""

    allowed: bool
    why: str | None = None


class KeyCount(msgspec.Struct, frozen=True):
    """How many credentials are in force."""

    peers: int
    tokens: int


@operation("auth/verify", scopes=("auth:verify",))
class VerifyPubkey(Request[Granted | Denied], frozen=True):
    """Say whose Ed25519 `public_key` (32 raw bytes) this is.

    Knowing a public key proves nothing: the asker must have seen a signature by it.
    """

    public_key: bytes


@operation("auth/verify-token", scopes=("auth:verify",), confidential=True)
class VerifyToken(Request[Granted | Denied], frozen=True):
    """Say whose `token` this is: an API key, or a signed token of 104 bytes in base64url."""

    token: str

    def __repr__(self) -> str:
        return "VerifyToken(<redacted>)"


@operation("auth/reload", kind="mutation", scopes=("auth:reload",), idempotent=True)
class ReloadKeys(Request[KeyCount], frozen=True):
    """Read the credentials anew; a source with a fault leaves the ones in force untouched."""


@operation("auth/check", scopes=("auth:verify",))
class CheckAccess(Request[AccessDecision], frozen=True):
    """Say whether `identity` could call `operation`, by the same check that calls go through.

    `resource` is the id of what the call would be about; without it, any that the identity could
    name will do.
    """

    identity: Identity
    operation: str
    resource: str | None = None
