"""Capabilities: what a node lends its handlers to act with, such as a credential or a client."""

from collections.abc import Iterator, Mapping, Set
from typing import Any, NoReturn

from alknet.errors import Forbidden, Unavailable


class Capabilities:
    """The capabilities that one handler has declared it needs, by name.

    They come from whoever opened the node, never from a caller, and stay in the process: they are
    neither printed nor pickled nor written to a link. A composed operation has those that its own
    handler declares, not those of its caller.
    """

    __slots__ = ("_held", "_needs", "_whose")

    def __init__(self, held: Mapping[str, Any], needs: Set[str], whose: str) -> None:
        """Lend, of those *held*, what *needs* names; *whose* says in messages who declares it."""
        self._held = held
        self._needs = needs
        self._whose = whose

    def get(self, name: str) -> Any:
        """Return the capability called *name*.

        Raises:
            Forbidden: the handler has not declared that it needs it.
            Unavailable: the node was given none of that name; to ask again will not help.
        """
        if name not in self._needs:
            raise Forbidden(
                f"{self._whose} has not declared that it needs {name!r}: add it to needs="
            )
        if name not in self._held:
            raise Unavailable(
                f"{self._whose} needs {name!r}, and this node was given no such thing: pass it to "
                f"open_node(capabilities=...)",
                retryable=False,
            )
        return self._held[name]

    def __contains__(self, name: object) -> bool:
        return name in self._needs and name in self._held

    def __iter__(self) -> Iterator[str]:
        return (name for name in sorted(self._needs) if name in self._held)

    def __repr__(self) -> str:
        return f"<Capabilities {', '.join(self) or 'none'}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("capabilities stay in their process: they cannot be pickled or copied")
