"""The one access check. Every call, every list and every question goes through `refusal`."""

from alknet.call.operation import OperationSpec
from alknet.errors import CallError, Forbidden, NotFound, Unauthenticated
from alknet.identity import Identity


def unknown(name: str) -> NotFound:
    """Return the answer to a name that does not exist, or that the caller may not know of."""
    return NotFound(f"there is no operation {name!r} here; services/list names those you may call")


def refusal(
    spec: OperationSpec,
    identity: Identity | None,
    *,
    from_outside: bool = True,
    resource: str | None = None,
) -> CallError | None:
    """Return why *identity* may not call the operation, or None if it may.

    The answers, in this order: an internal operation does not exist for a caller from outside
    (NotFound, the same words as for a name that really does not exist); an open rule lets anybody
    in; without an identity the answer is Unauthenticated; then every scope of `all_of`, one of
    `any_of`, and the action on the `type:id` that *resource* names must be held, else Forbidden
    with the first thing that is missing.
    """
    if from_outside and spec.visibility == "internal":
        return unknown(spec.name)
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
    if rule.resource_type is not None:
        name = f"{rule.resource_type}:{resource}"
        held = identity.resources.get(name, frozenset())
        if resource is None or rule.resource_action not in held:
            return _missing(spec, identity, f"the right to {rule.resource_action!r} on {name!r}")
    return None


def _missing(spec: OperationSpec, identity: Identity, what: str) -> Forbidden:
    return Forbidden(
        f"{identity.id!r} may not call {spec.name}: {what} is missing", details={"missing": what}
    )
