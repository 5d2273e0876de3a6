"""Sealed attributes in the database: what stands in the place of attributes, and where it belongs.

The store never sees a key. A transaction that is to keep attributes which must be sealed, and are
not, keeps nothing and raises Unsealed; whoever asked has the vault seal them and asks again. So
only what is sealed is ever written, under whichever key is the graph's at that moment, whatever has
changed in between.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from alknet.protocol.storage.nodes import Sealing
from alknet.store.catalogue import OpenGraph

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Sealing).decode


class Plain(msgspec.Struct, frozen=True):
    """Attributes, checked, that are to be sealed for the node at `key`."""

    graph: str
    key: str
    text: str
    key_version: int

    def __repr__(self) -> str:
        return f"Plain({self.graph!r}, {self.key!r}, <{len(self.text)} characters>)"


class Sealed(msgspec.Struct, frozen=True):
    """The attributes of the node at `key`, sealed."""

    key: str
    sealing: Sealing


# By the position of the node among those of one transaction, from 0.
Seals = Mapping[int, Sealed]


class Unsealed(Exception):
    """Attributes must be sealed before they can be kept: those of `plain`, by their position."""

    def __init__(self, plain: Mapping[int, Plain]) -> None:
        super().__init__(f"{len(plain)} nodes are to be sealed first")
        self.plain = plain


def place(graph: str, key: str) -> bytes:
    """Return the associated data that binds a sealing to its node; see `Sealing`."""
    return _encode(("alknet/node", graph, key))


def is_current(graph: OpenGraph, sealed: Sealed | None) -> bool:
    """Whether *sealed* is there and under the key that is the graph's now."""
    return sealed is not None and sealed.sealing.key_version == graph.key_version


def to_text(sealing: Sealing) -> str:
    """Return *sealing* as it stands in the column of attributes."""
    return _encode(sealing).decode()


def from_text(text: str) -> Sealing:
    """Return what `to_text` has written."""
    return _decode(text)
