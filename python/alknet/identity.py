"""Who calls, and what an operation asks of them.

An Identity is always worked out by the node that is called, from the connection or from a token
that it has verified; nothing a peer writes about itself becomes one.
"""

import msgspec


class Identity(msgspec.Struct, frozen=True):
    """A caller, as far as the node that is called has verified it.

    `id` stays the same when keys are rotated. A scope is a word such as `secrets:derive`; a granted
    scope may end in `*` (`secrets:*`, or `*` alone) and then covers every scope that starts with
    what stands before the star. `resources` maps `type:id` to the actions allowed on it. `tenant`
    says whose seed the vault uses for this caller; empty means the node's own. `denied` are scopes
    that it has not, whatever is granted; they may end in a star too. Who is held to `only` some
    operations can call no others, whatever its scopes. `forwards` are the targets (`host:port`) to
    which alone it may have connections forwarded, of those that the policy allows; None means that
    nothing but the policy bounds it.
    """

    id: str
    scopes: frozenset[str] = frozenset()
    resources: dict[str, frozenset[str]] = {}
    tenant: str = ""
    denied: frozenset[str] = frozenset()
    only: frozenset[str] | None = None
    forwards: frozenset[str] | None = None

    def has(self, scope: str) -> bool:
        """Tell whether *scope* is covered by a granted one, and no part of it is denied.

        It may itself end in a star.
        """
        if self.denied and any(_cover(each, scope) for each in self.denied):
            return False
        return self._is_granted(scope)

    def _is_granted(self, scope: str) -> bool:
        if scope in self.scopes:
            return True
        return any(
            granted.endswith("*") and scope.startswith(granted[:-1]) for granted in self.scopes
        )

    def narrowed_to(self, other: "Identity") -> "Identity":
        """Return *other*, able to do only what both may: neither can lend the other a right.

        What either is denied is denied, and what either is held to holds. The resources are those
        that both list, each with the actions that both allow; who is granted `*` owns every
        resource, and so takes none of the other's away. Who belongs to one tenant can lend itself
        to no other: what comes out then may do nothing.
        """
        only = _both(self.only, other.only)
        forwards = _both(self.forwards, other.forwards)
        if self.tenant not in ("", other.tenant):
            return Identity(other.id, tenant=other.tenant, only=only, forwards=forwards)
        scopes = {scope for scope in self.scopes if other._is_granted(scope)}
        scopes |= {scope for scope in other.scopes if self._is_granted(scope)}
        if self.has("*"):
            resources = other.resources
        elif other.has("*"):
            resources = self.resources
        else:
            resources = {
                name: self.resources[name] & actions
                for name, actions in other.resources.items()
                if name in self.resources
            }
        denied = self.denied | other.denied
        return Identity(
            other.id, frozenset(scopes), resources, other.tenant, denied, only, forwards
        )


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    """Return what both are held to; None holds to nothing."""
    if one is None or other is None:
        return one if other is None else other
    return one & other


def _cover(one: str, other: str) -> bool:
    """Tell whether *one* and *other*, each of which may end in a star, have a scope in common."""
    return (
        one == other
        or (one.endswith("*") and other.startswith(one[:-1]))
        or (other.endswith("*") and one.startswith(other[:-1]))
    )


class AccessRule(msgspec.Struct, frozen=True):
    """What an operation asks of its caller; the default asks nothing, not even a name.

    `all_of` must all be held; of `any_of` one must be, and an empty `any_of` restricts nothing.
    With `resource_type` the caller must also be allowed `resource_action` on the very resource that
    the request names.
    """

    all_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    resource_type: str | None = None
    resource_action: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether anybody may call, known or not."""
        return not (self.all_of or self.any_of or self.resource_type)

    def is_met_by(self, identity: Identity) -> bool:
        """Whether *identity* has the scopes; the resource is another question."""
        return all(map(identity.has, self.all_of)) and (
            not self.any_of or any(map(identity.has, self.any_of))
        )
