"""Declared: what a handler has said of itself beforehand, and may not exceed."""

from typing import Literal

import msgspec

# What becomes of work that is under way when the call it is for is given up: it is cancelled with
# everything that it has started, or it goes on to its own end.
AbortPolicy = Literal["abort-dependents", "continue-running"]


class Declared(msgspec.Struct, frozen=True):
    """What a handler may do beyond answering: the default is nothing.

    `uses` are the names of the operations that it composes, `needs` those of the capabilities that
    it acts with.
    """

    uses: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    on_abort: AbortPolicy = "abort-dependents"


NOTHING = Declared()
