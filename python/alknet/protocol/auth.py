"""What one may ask of the keeper of identities."""

from typing import Annotated, Literal

import msgspec

from alknet.identity import Identity
from alknet.protocol.request import Request, operation


class Credential(msgspec.Struct, frozen=True):
    """What somebody has proven who they are with, as far as it may be known and kept.

    `id` is the fingerprint of a key, the hash of a token, or the prefix (`alk_...`) of an API key
    that the database has; with a certificate `authority` is the
    fingerprint of the key that signed it, and `principals` are those that it names.
    """

    kind: Literal["key", "certificate", "token", "session"]
    id: str
    authority: str | None = None
    principals: frozenset[str] = frozenset()


class Granted(msgspec.Struct, frozen=True, tag_field="result", tag="granted"):
    """The credential is good and belongs to `identity`.

    It is good until `expires`, in Unix seconds, if that is not None.
    """

    identity: Identity
    credential: Credential | None = None
    expires: float | None = None


class Denied(msgspec.Struct, frozen=True, tag_field="result", tag="denied"):
    """The credential is not good; `reason` may be shown to whoever holds it."""

    reason: str


class AccessDecision(msgspec.Struct, frozen=True):
    """Whether an identity may call an operation, and `why` not."""

    allowed: bool
    why: str | None = None


class KeyCount(msgspec.Struct, frozen=True):
    """How many credentials are in force; `ended` links had come by one that no longer is."""

    peers: int
    tokens: int
    ended: int = 0


class SessionToken(msgspec.Struct, frozen=True):
    """A token that is good until `expires`, in Unix seconds."""

    token: str
    expires: float

    def __repr__(self) -> str:
        return "SessionToken(<redacted>)"


@operation("auth/verify", scopes=("auth:verify",))
class VerifyPubkey(Request[Granted | Denied], frozen=True):
    """Say whose Ed25519 `public_key` (32 raw bytes) this is.

    Knowing a public key proves nothing: the asker must have seen a signature by it. `source` is the
    IP address that it was seen from; a key that is good from some addresses only is none without.
    """

    public_key: bytes
    source: str | None = None


@operation("auth/verify-certificate", scopes=("auth:verify",))
class VerifyCertificate(Request[Granted | Denied], frozen=True):
    """Say whose SSH `certificate` (as it is encoded, without base64) this is.

    The asker must have seen a signature by `public_key`, 32 raw bytes, which is refused if it is
    not the certificate's own. `source` is as in `auth/verify`.
    """

    certificate: bytes
    public_key: bytes
    source: str | None = None


@operation("auth/verify-token", scopes=("auth:verify",), confidential=True)
class VerifyToken(Request[Granted | Denied], frozen=True):
    """Say whose `token` this is: an API key, a signed token, or one for a session.

    A signed token has 104 bytes in base64url; `source` is as in `auth/verify`, for its key.
    """

    token: str
    source: str | None = None

    def __repr__(self) -> str:
        return "VerifyToken(<redacted>)"


@operation("auth/still-grants", scopes=("auth:verify",))
class StillGrants(Request[tuple[bool, ...]], frozen=True):
    """Say of each of `granted`, answers that this node has given, whether it would be given now.

    Nothing has to be shown again, so that links which a token opened can be asked about too.
    """

    granted: tuple[Granted, ...]


@operation("auth/reload", kind="mutation", scopes=("auth:reload",), idempotent=True)
class ReloadKeys(Request[KeyCount], frozen=True):
    """Read the credentials anew; a source with a fault leaves the ones in force untouched.

    Links of those whose credential is no longer good, or good for something else, are ended.
    """


@operation("auth/check", scopes=("auth:verify",))
class CheckAccess(Request[AccessDecision], frozen=True):
    """Say whether `identity` could call `operation`, by the same check that calls go through.

    `resource` is the id of what the call would be about; without it, any that the identity could
    name will do.
    """

    identity: Identity
    operation: str
    resource: str | None = None


@operation("auth/open-session", kind="mutation", scopes=("auth:session",), confidential=True)
class OpenSession(Request[SessionToken], frozen=True):
    """Return a token with which the caller is let in again for the next `seconds`.

    It may do what the caller may, or only what `scopes` says too, and is good no longer than the
    credential that the caller came with. A token cannot be used to get another.
    """

    seconds: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 900.0
    scopes: frozenset[str] | None = None


@operation("auth/close-sessions", kind="mutation", scopes=("auth:session",), idempotent=True)
class CloseSessions(Request[int], frozen=True):
    """Take back every token that the caller was given for a session; return how many there were.

    Links that came by one are ended.
    """
