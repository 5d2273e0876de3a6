"""A finding: one thing that was looked at, how it is, and how to mend it."""

from enum import StrEnum

import msgspec


class State(StrEnum):
    """How a thing is: as it should be, worth a look, or a reason not to start."""

    FINE = "fine"
    WARNING = "warning"
    BAD = "bad"


class Finding(msgspec.Struct, frozen=True):
    """What was found by a `check`; `mend` is empty where nothing is to be done."""

    check: str
    state: State
    what: str
    mend: str = ""
