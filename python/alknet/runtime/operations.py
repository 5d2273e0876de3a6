"""Operations: a service that is nothing but hand-made operations."""

from collections.abc import Iterable

from alknet.runtime.operation import Operation
from alknet.runtime.service import Service


class Operations(Service):
    """Runs *operations* as a service called *name*: supervised, drained, and told of in its stats.

    Those that are not concurrent exclude each other. The names of the operations are their own;
    *name* is only what the service goes by.
    """

    def __init__(self, name: str, operations: Iterable[Operation] = ()) -> None:
        self.namespace = name
        self.operations = tuple(operations)
