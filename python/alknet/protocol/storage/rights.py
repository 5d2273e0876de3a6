"""The graph of rights: who belongs to what, who may do what, and who lends what to whom.

How rights follow from it is said in `alknet/store/resolution.py`.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from alknet.protocol.request import Request, Subscription, operation
from alknet.protocol.storage.credentials import Scope
from alknet.protocol.storage.events import IdentityStream, StorageEvent
from alknet.protocol.storage.types import Key, Limit

PrincipalKind = Literal["account", "organization", "service", "role"]
Action = Literal["read", "write", "execute"]
Resource = Annotated[str, msgspec.Meta(pattern=r"^[^:]+:.+$", max_length=255)]


class Principal(msgspec.Struct, frozen=True):
    """Whoever rights can be given to.

    `scopes` are its own, `denied` what it and whoever belongs to it may not, whoever grants it; a
    scope may end in a star. One that is not `enabled` gives nothing and has nothing. `tenant` says
    whose vault it uses.
    """

    id: str
    kind: PrincipalKind
    scopes: frozenset[str]
    denied: frozenset[str]
    enabled: bool
    tenant: str
    description: str
    version: int
    created_at: float
    updated_at: float


class PrincipalPage(msgspec.Struct, frozen=True):
    """Some principals in the order of their ids; `next` continues the list, None at its end."""

    principals: tuple[Principal, ...]
    next: str | None = None


class Rights(msgspec.Struct, frozen=True):
    """What a principal may do, all in all.

    It may what a pattern of `scopes` covers and none of `denied` does. `resources` maps `type:id`
    to the actions allowed on it.
    """

    scopes: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()
    resources: Mapping[str, frozenset[str]] = {}


@operation("storage/create-principal", kind="mutation", scopes=("identity:admin",))
class CreatePrincipal(Request[Principal], frozen=True):
    """Make a role or a service; accounts and organizations have theirs made with them."""

    id: Key
    kind: Literal["service", "role"] = "role"
    scopes: frozenset[Scope] = frozenset()
    denied: frozenset[Scope] = frozenset()
    description: str = ""
    tenant: str = ""


@operation(
    "storage/update-principal", kind="mutation", scopes=("identity:admin",), errors=("CONFLICT",)
)
class UpdatePrincipal(Request[Principal], frozen=True):
    """Change what is given of a principal; an account is enabled while its status is active."""

    id: Key
    scopes: frozenset[Scope] | None = None
    denied: frozenset[Scope] | None = None
    enabled: bool | None = None
    description: str | None = None
    expected_version: int | None = None


@operation("storage/get-principal", scopes=("identity:read",))
class GetPrincipal(Request[Principal], frozen=True):
    """Return the principal of that id."""

    id: Key


@operation("storage/list-principals", scopes=("identity:read",))
class ListPrincipals(Request[PrincipalPage], frozen=True):
    """List the principals whose ids follow `after`; with `kind`, those of that kind."""

    kind: PrincipalKind | None = None
    after: str = ""
    limit: Limit = 100


@operation("storage/put-belonging", kind="mutation", scopes=("identity:admin",), idempotent=True)
class PutBelonging(Request[None], frozen=True):
    """Have `member` belong to `grouping`, a role or organization, and so have what that has."""

    member: Key
    grouping: Key


@operation("storage/remove-belonging", kind="mutation", scopes=("identity:admin",))
class RemoveBelonging(Request[None], frozen=True):
    """Have `member` belong to `grouping` no longer."""

    member: Key
    grouping: Key


@operation("storage/put-delegation", kind="mutation", scopes=("identity:admin",), idempotent=True)
class PutDelegation(Request[None], frozen=True):
    """Have `delegate` do, of what `delegator` may, what `scopes` cover; in the place of the last.

    Unless it is `narrowable`, the delegate cannot delegate it in turn.
    """

    delegator: Key
    delegate: Key
    scopes: frozenset[Scope]
    narrowable: bool = False


@operation("storage/remove-delegation", kind="mutation", scopes=("identity:admin",))
class RemoveDelegation(Request[None], frozen=True):
    """Have `delegator` lend nothing to `delegate` any more."""

    delegator: Key
    delegate: Key


@operation("storage/put-grant", kind="mutation", scopes=("identity:admin",), idempotent=True)
class PutGrant(Request[None], frozen=True):
    """Let `principal` do `action` on `resource` (`type:id`), or with `deny` have it never do it."""

    principal: Key
    resource: Resource
    action: Action
    deny: bool = False


@operation("storage/remove-grant", kind="mutation", scopes=("identity:admin",))
class RemoveGrant(Request[None], frozen=True):
    """Take back what was granted or denied to `principal` itself on `resource`."""

    principal: Key
    resource: Resource
    action: Action


@operation("storage/get-rights", scopes=("identity:read",))
class GetRights(Request[Rights], frozen=True):
    """Return what a principal may do, all in all."""

    principal: Key


@operation("storage/watch-identities", scopes=("identity:read",), resume=("after", "sequence"))
class WatchIdentities(Subscription[StorageEvent], frozen=True):
    """Follow what changes among identities, or among rights, as `storage/watch` does for graphs."""

    stream: IdentityStream
    after: int | None = None
