"""Resources: what a request is about, and who may do what with it."""

from typing import Any, Protocol

import msgspec

from alknet.errors import InvalidInput
from alknet.identity import Identity


class Ownership(Protocol):
    """Answers who may do what with which resource; asked by the one access check."""

    def owns(self, identity: Identity, kind: str, resource: str, action: str, /) -> bool:
        """Tell whether *identity* may do *action* with the *resource* of that *kind*."""
        ...

    def owns_any(self, identity: Identity, kind: str, action: str, /) -> bool:
        """Tell whether there is any resource of *kind* that *identity* may do *action* with."""
        ...


class ListedResources:
    """Ownership as the identity itself lists it: `type:id` and the actions allowed on it."""

    def owns(self, identity: Identity, kind: str, resource: str, action: str) -> bool:
        return action in identity.resources.get(f"{kind}:{resource}", ())

    def owns_any(self, identity: Identity, kind: str, action: str) -> bool:
        return any(
            name.startswith(f"{kind}:") and action in actions
            for name, actions in identity.resources.items()
        )


def resource_of(pointer: str | None, request: Any) -> str | None:
    """Return the id that stands in *request* at *pointer*, a JSON Pointer (RFC 6901).

    Without a pointer there is none. Fields are looked up by their names on the wire.

    Raises:
        InvalidInput: nothing stands there, or something that is no text or number.
    """
    if pointer is None:
        return None
    value = msgspec.to_builtins(request)
    try:
        for step in pointer.removeprefix("/").split("/"):
            key = step.replace("~1", "/").replace("~0", "~")
            value = value[int(key)] if isinstance(value, list | tuple) else value[key]
    except (KeyError, IndexError, ValueError, TypeError):
        value = None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidInput(
            f"the input names no resource: {pointer!r} should hold its id",
            details={"field": pointer.removeprefix("/").replace("/", ".")},
        )
    return str(value)
