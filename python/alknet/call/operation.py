"""OperationSpec: everything a caller, a registry or an adapter needs to know of an operation."""

from collections.abc import Mapping
from functools import cache
from inspect import cleandoc
from typing import Any

import msgspec

from alknet.call.payload import PayloadType
from alknet.errors import InvalidOperationType
from alknet.identity import AccessRule
from alknet.protocol.error import ErrorSpec
from alknet.protocol.request import AnyRequest, Kind, Visibility, signature

STREAMING: frozenset[Kind] = frozenset({"subscription", "duplex"})
_WHAT_IT_IS: dict[Kind, str] = {
    "query": "a query: call it",
    "mutation": "a mutation: call it",
    "subscription": "a subscription: stream it",
    "upload": "an upload: upload to it",
    "duplex": "a duplex: open a duplex to it",
}


class OperationSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One operation, as it is registered and described; the schemas are JSON Schema 2020-12.

    `output_schema` is of the answer, or of each item of a stream; `item_schema` of each item that
    the caller of an upload or a duplex sends.
    """

    name: str
    kind: Kind
    description: str = ""
    version: str = "1.0.0"
    input_schema: Mapping[str, Any] = {}
    output_schema: Mapping[str, Any] = {}
    item_schema: Mapping[str, Any] | None = None
    access: AccessRule = AccessRule()
    visibility: Visibility = "external"
    idempotent: bool = False
    confidential: bool = False
    resource_id: str | None = None
    errors: tuple[ErrorSpec, ...] = ()

    @property
    def namespace(self) -> str:
        """What stands before the slash of the name."""
        return self.name.partition("/")[0]

    @property
    def is_stream(self) -> bool:
        """Whether the answer is a stream of items."""
        return self.kind in STREAMING

    def expect(self, *kinds: Kind) -> None:
        """Refuse to be asked as something that the operation is not.

        Raises:
            InvalidOperationType: its kind is none of *kinds*; the message says how to ask.
        """
        if self.kind not in kinds:
            raise InvalidOperationType(f"{self.name} is {_WHAT_IT_IS[self.kind]} instead")


class OperationType:
    """A request type, read: its spec, and the types of what goes in and what comes out."""

    __slots__ = ("input", "item", "output", "request_type", "resume", "spec")

    def __init__(self, request_type: type[AnyRequest]) -> None:
        declared = request_type.__operation__
        _, types = signature(request_type)
        output = types[-1]
        self.request_type = request_type
        self.resume = declared.resume
        self.input = PayloadType(request_type)
        self.output = PayloadType(output)
        # Upload and Duplex name two types: what the caller sends, and what comes back.
        self.item = PayloadType(types[0]) if len(types) > 1 else None
        self.spec = OperationSpec(
            name=declared.name,
            kind=declared.kind,
            description=cleandoc(request_type.__doc__ or ""),
            version=declared.version,
            input_schema=msgspec.json.schema(request_type),
            output_schema=msgspec.json.schema(output),
            item_schema=msgspec.json.schema(types[0]) if len(types) > 1 else None,
            access=declared.access,
            visibility=declared.visibility,
            idempotent=declared.idempotent,
            confidential=declared.confidential,
            resource_id=declared.resource_id,
            errors=declared.errors,
        )


@cache
def operation_type(request_type: type[AnyRequest]) -> OperationType:
    """Return what *request_type* says of its operation; read once for each type.

    Raises:
        TypeError: the type has no `@operation` above it.
    """
    if "__operation__" not in request_type.__dict__:
        raise TypeError(
            f"{request_type.__name__} names no operation: "
            f"write @operation('namespace/verb') above it"
        )
    return OperationType(request_type)
