"""By what somebody shows who they are: API keys, SSH keys and certificate authorities."""

from typing import Annotated, Literal

import msgspec

from alknet.protocol.request import Request, operation
from alknet.protocol.storage.types import Key, Limit

CredentialKind = Literal["ssh-key", "cert-authority"]
Scope = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class ApiKey(msgspec.Struct, frozen=True):
    """An API key, without the key: `prefix` is its first 12 characters, `alk_` and 8 more.

    It can do what its owner can and `scopes` cover. After `expires_at`, and from `revoked_at` on,
    it is nobody's. `rotated_to` is the prefix of the key that replaces it.
    """

    prefix: str
    owner: str
    name: str
    scopes: frozenset[str]
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    rotated_to: str | None = None
    last_used_at: float | None = None


class ApiKeyPage(msgspec.Struct, frozen=True):
    """Some API keys in the order of their prefixes; `next` continues, None at the end."""

    keys: tuple[ApiKey, ...]
    next: str | None = None


class IssuedKey(msgspec.Struct, frozen=True):
    """A new API key; `token` is shown this once, and kept nowhere."""

    key: ApiKey
    token: str

    def __repr__(self) -> str:
        return f"IssuedKey({self.key!r}, token=<redacted>)"


class Credential(msgspec.Struct, frozen=True):
    """An SSH key, or that of an authority whose certificates are believed for `owner`.

    `public_key` is an OpenSSH line without a comment, `fingerprint` reads `SHA256:` and unpadded
    base64.
    """

    fingerprint: str
    kind: CredentialKind
    owner: str
    public_key: str
    name: str
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None


class CredentialPage(msgspec.Struct, frozen=True):
    """Some credentials in the order of their fingerprints; `next` continues, None at the end."""

    credentials: tuple[Credential, ...]
    next: str | None = None


@operation("storage/issue-api-key", kind="mutation", scopes=("identity:admin",), confidential=True)
class IssueApiKey(Request[IssuedKey], frozen=True):
    """Make an API key for the principal `owner`, good for `lifetime` seconds; None is for ever.

    It gives no scope that its owner has not, whatever `scopes` say; `*` is all that the owner has.
    """

    owner: Key
    name: str
    scopes: frozenset[Scope]
    lifetime: Annotated[float, msgspec.Meta(gt=0)] | None = None


@operation(
    "storage/rotate-api-key",
    kind="mutation",
    scopes=("identity:admin",),
    confidential=True,
    errors=("CONFLICT",),
)
class RotateApiKey(Request[IssuedKey], frozen=True):
    """Make a key in the place of another, which goes on being good for `grace` seconds at most."""

    prefix: Key
    grace: Annotated[float, msgspec.Meta(ge=0)] = 3600.0
    lifetime: Annotated[float, msgspec.Meta(gt=0)] | None = None


@operation("storage/revoke-api-key", kind="mutation", scopes=("identity:admin",), idempotent=True)
class RevokeApiKey(Request[ApiKey], frozen=True):
    """Have a key be nobody's from now on."""

    prefix: Key


@operation("storage/list-api-keys", scopes=("identity:read",))
class ListApiKeys(Request[ApiKeyPage], frozen=True):
    """List the API keys whose prefixes follow `after`; with `owner`, theirs."""

    owner: Key | None = None
    after: str = ""
    limit: Limit = 100


@operation(
    "storage/add-credential", kind="mutation", scopes=("identity:admin",), errors=("CONFLICT",)
)
class AddCredential(Request[Credential], frozen=True):
    """Have the holder of `public_key`, an OpenSSH line, be known as the principal `owner`.

    It is good for `lifetime` seconds; None is for ever.
    """

    owner: Key
    public_key: str
    kind: CredentialKind = "ssh-key"
    name: str = ""
    lifetime: Annotated[float, msgspec.Meta(gt=0)] | None = None


@operation(
    "storage/revoke-credential", kind="mutation", scopes=("identity:admin",), idempotent=True
)
class RevokeCredential(Request[Credential], frozen=True):
    """Have a credential be nobody's from now on; the same key can not be added again."""

    fingerprint: Key


@operation("storage/list-credentials", scopes=("identity:read",))
class ListCredentials(Request[CredentialPage], frozen=True):
    """List the credentials whose fingerprints follow `after`; with `owner`, theirs."""

    owner: Key | None = None
    after: str = ""
    limit: Limit = 100
