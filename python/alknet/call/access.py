"""The one access check. Every call, every list and every question goes through `refusal`."""

from typing import Final

from alknet.call.operation import OperationSpec
from alknet.call.resource import ListedResources, Ownership
from alknet.errors import CallError, Forbidden, NotFound, Unauthenticated
from alknet.identity import AccessRule, Identity

_LISTED: Final = ListedResources()


def unknown(name: str) -> NotFound:
    """Return the answer to a name that does not exist, or that the caller may not know of."""
    return NotFound(f"there is no operation {name!r} here; services/list names those you may call")


def overheard(name: str) -> Forbidden:
    """Return the answer to a confidential call over a link that others can listen to."""
    return Forbidden(
        f"{name} carries secrets and this link could be listened to: use TLS (wss://), or call "
        f"from the machine itself"
    )


def confined(name: str, identity: Identity | None) -> Forbidden | None:
    """Return why *identity* may not call the operation *name*, if it is held to others."""
    if identity is None or identity.only is None or name in identity.only:
        return None
    allowed = ", ".join(sorted(identity.only)) or "nothing"
    return Forbidden(
        f"{identity.id!r} may not call {name}: its credential is held to {allowed}",
        details={"missing": f"the operation {name!r}"},
    )


def refusal(
    spec: OperationSpec,
    identity: Identity | None,
    *,
    from_outside: bool = True,
    is_private: bool = True,
    resource: str | None = None,
    some_resource: bool = False,
    ownership: Ownership = _LISTED,
) -> CallError | None:
    """Return why *identity* may not call the operation, or None if it may.

    The answers, in this order: an internal operation does not exist for a caller from outside
    (NotFound, the same words as for a name that really does not exist); a confidential one is
    Forbidden over a link that is not *is_private*, whoever calls; so is all but what the identity
    is held to, if it is held to something; an open rule lets anybody in;
    without an identity the answer is Unauthenticated; then every scope of `all_of`, one of
    `any_of`, and the action on *resource*, as *ownership* has it, must be held, else Forbidden with
    the first thing that is missing. Who is granted `*` owns every resource.

    With *some_resource* it is enough that there is any resource the caller could name: the question
    of a list, which shows an operation if and only if it could be called.
    """
    if from_outside and spec.visibility == "internal":
        return unknown(spec.name)
    if spec.confidential and not is_private:
        return overheard(spec.name)
    if identity is not None and identity.only is not None:
        error = confined(spec.name, identity)
        if error is not None:
            return error
    rule = spec.access
    if rule.is_open:
        return None
    if identity is None:
        return Unauthenticated(f"{spec.name} wants to know who calls: authenticate first")
    for scope in rule.all_of:
        if not identity.has(scope):
            return _missing(spec, identity, f"the scope {scope!r}")
    if rule.any_of and not any(identity.has(scope) for scope in rule.any_of):
        return _missing(spec, identity, f"one of the scopes {', '.join(map(repr, rule.any_of))}")
    if rule.resource_type is None:
        return None
    what = _lacking(rule, rule.resource_type, identity, resource, some_resource, ownership)
    return None if what is None else _missing(spec, identity, what)


def _lacking(
    rule: AccessRule,
    kind: str,
    identity: Identity,
    resource: str | None,
    some_resource: bool,
    ownership: Ownership,
) -> str | None:
    """Return the right over a resource that is missing, or None."""
    action = rule.resource_action or ""
    if identity.has("*"):
        return None
    if some_resource:
        if ownership.owns_any(identity, kind, action):
            return None
        return f"the right to {action!r} on any {kind!r}"
    if resource is not None and ownership.owns(identity, kind, resource, action):
        return None
    return f"the right to {action!r} on '{kind}:{resource}'"


def _missing(spec: OperationSpec, identity: Identity, what: str) -> Forbidden:
    return Forbidden(
        f"{identity.id!r} may not call {spec.name}: {what} is missing", details={"missing": what}
    )
