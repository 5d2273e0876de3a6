"""Manner: how a handler wants to be called, whoever wrote it."""

import msgspec

from alknet.protocol.request import AnyRequest

Used = type[AnyRequest] | str


class Manner(msgspec.Struct, frozen=True):
    """How one handler is run, and with what.

    `concurrent` ones run side by side; the others of a service one after the other. `uses` are the
    names of the operations that it composes.
    """

    concurrent: bool
    uses: frozenset[str]
    is_async: bool
    is_stream: bool
    takes_items: bool
    wants_context: bool


def names_of(uses: tuple[Used, ...]) -> frozenset[str]:
    """Return the names of the operations in *uses*, which are given by name or by request type."""
    return frozenset(used if isinstance(used, str) else used.__operation__.name for used in uses)
