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


class Ownerships:
    """What the identity itself lists, and for some kinds what a provider knows beside.

    A provider is for resources that come and go while the node runs, such as containers: whoever
    makes one owns it, and no settings could list it.
    """

    def __init__(self) -> None:
        self._listed = ListedResources()
        self._providers: dict[str, Ownership] = {}

    def provide(self, kind: str, provider: Ownership) -> None:
        """Ask *provider* about resources of *kind* from now on.

        Raises:
            ValueError: another is asked about them already.
        """
        if self._providers.setdefault(kind, provider) is not provider:
            raise ValueError(f"who owns what {kind!r} is said by another service already")

    def withdraw(self, kind: str) -> None:
        """Ask no provider about resources of *kind* any more."""
        self._providers.pop(kind, None)

    def owns(self, identity: Identity, kind: str, resource: str, action: str) -> bool:
        if self._listed.owns(identity, kind, resource, action):
            return True
        provider = self._providers.get(kind)
        return provider is not None and provider.owns(identity, kind, resource, action)

    def owns_any(self, identity: Identity, kind: str, action: str) -> bool:
        if self._listed.owns_any(identity, kind, action):
            return True
        provider = self._providers.get(kind)
        return provider is not None and provider.owns_any(identity, kind, action)


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
