"""Hand-made operations, asked for with typed requests: they take and answer plain JSON values."""

from collections.abc import Callable
from typing import Any

from alknet.call.invocation import Entry
from alknet.call.items import Items
from alknet.call.operation import operation_type
from alknet.call.pending import unpromised
from alknet.call.sink import LocalSink
from alknet.errors import InvalidInput
from alknet.protocol.request import AnyRequest


def translated(entry: Entry, request: AnyRequest) -> tuple[Any, Callable[[Any], Any] | None]:
    """Return *request* as *entry* takes it, and what makes a typed answer of what it answers.

    A hand-made operation takes and answers plain JSON values; for others there is nothing to do.

    Raises:
        InvalidInput: the request is not what the operation takes.
    """
    if entry.request_type is not None:
        return request, None
    output = operation_type(type(request)).output

    def read(answer: Any) -> Any:
        try:
            return output.convert(answer)
        except InvalidInput as misfit:
            raise unpromised(entry.spec.name, misfit) from None

    return entry.input.convert(request), read


def sink_of(entry: Entry, items: Items[Any]) -> LocalSink:
    """Return the sink for the items of a typed caller of *entry*."""
    if entry.request_type is not None or entry.item is None:
        return LocalSink(items)
    return LocalSink(items, entry.item.convert)
