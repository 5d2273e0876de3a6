"""Manner: how a handler wants to be called, whoever wrote it."""

import msgspec

from alknet.call.declared import AbortPolicy, Declared
from alknet.protocol.request import AnyRequest, Kind

Used = type[AnyRequest] | str


class Manner(msgspec.Struct, frozen=True):
    """How one handler is run, and with what.

    `concurrent` ones run side by side; the others of a service one after the other. An `endless`
    stream is one that nobody waits for the end of.
    """

    concurrent: bool
    endless: bool
    declared: Declared
    is_async: bool
    is_stream: bool
    takes_items: bool
    wants_context: bool

    @property
    def continues(self) -> bool:
        """Whether it goes on when its call is given up."""
        return self.declared.on_abort == "continue-running"


def declared(
    uses: tuple[Used, ...], needs: tuple[str, ...], on_abort: AbortPolicy, kind: Kind
) -> Declared:
    """Return what a handler of an operation of that *kind* says of itself with these options.

    Raises:
        TypeError: it would go on for nobody.
    """
    if on_abort == "continue-running" and kind not in ("query", "mutation"):
        raise TypeError(
            f"the handler of a {kind} cannot have on_abort='continue-running': what it sends or "
            f"takes ends with its caller"
        )
    return Declared(names_of(uses), frozenset(needs), on_abort)


def names_of(uses: tuple[Used, ...]) -> frozenset[str]:
    """Return the names of the operations in *uses*, which are given by name or by request type."""
    return frozenset(used if isinstance(used, str) else used.__operation__.name for used in uses)
