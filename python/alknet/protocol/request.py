"""The four shapes of a call, and the one line that gives a call its name.

A request type is written once, as a frozen struct whose base says what comes back:

    @operation("clock/now", scopes=("clock:read",))
    class Now(Request[float], frozen=True):
        '''Return seconds since the Unix epoch.'''

From it come the typed client call, the registry entry with its JSON Schema and the access rule.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Generic, Literal, TypeVar, get_args, get_origin

import msgspec

from alknet.errors import declare as declare_code
from alknet.identity import AccessRule
from alknet.protocol.error import ErrorSpec, error_spec

Kind = Literal["query", "mutation", "subscription", "upload", "duplex"]
Visibility = Literal["external", "internal"]

Reply = TypeVar("Reply")
Item = TypeVar("Item")
In = TypeVar("In")
Out = TypeVar("Out")


class Declaration(msgspec.Struct, frozen=True):
    """What `@operation` says of a request type, beside what its fields and base say."""

    name: str
    kind: Kind
    access: AccessRule = AccessRule()
    visibility: Visibility = "external"
    idempotent: bool = False
    confidential: bool = False
    version: str = "1.0.0"
    resource_id: str | None = None
    resume: tuple[str, str] | None = None
    errors: tuple[ErrorSpec, ...] = ()

    @property
    def namespace(self) -> str:
        """The service that answers: what stands before the slash."""
        return self.name.partition("/")[0]


class AnyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The root of the four shapes; use one of them."""

    __operation__: ClassVar[Declaration]


class Request(AnyRequest, Generic[Reply], frozen=True):
    """One request, one reply."""


class Subscription(AnyRequest, Generic[Item], frozen=True):
    """One request, a stream of items until either side leaves."""


class Upload(AnyRequest, Generic[Item, Reply], frozen=True):
    """One request, a stream of items from the caller, one reply."""


class Duplex(AnyRequest, Generic[In, Out], frozen=True):
    """One request, then a stream of items each way."""


_DEFAULT_KIND: dict[type, Kind] = {
    Request: "query",
    Subscription: "subscription",
    Upload: "upload",
    Duplex: "duplex",
}
_ALLOWED_KINDS: dict[type, tuple[Kind, ...]] = {
    Request: ("query", "mutation"),
    Subscription: ("subscription",),
    Upload: ("upload",),
    Duplex: ("duplex",),
}

R = TypeVar("R", bound=AnyRequest)


def operation(
    name: str,
    *,
    kind: Kind | None = None,
    scopes: tuple[str, ...] = (),
    any_scopes: tuple[str, ...] = (),
    resource: tuple[str, str] | None = None,
    resource_id: str | None = None,
    visibility: Visibility = "external",
    idempotent: bool | None = None,
    confidential: bool = False,
    version: str = "1.0.0",
    resume: tuple[str, str] | None = None,
    errors: tuple[str | ErrorSpec, ...] = (),
) -> Callable[[type[R]], type[R]]:
    """Name a request type `namespace/verb` and say who may ask.

    `kind` is "query" for a Request unless it says "mutation". A query is idempotent, anything else
    only if it says so. `resource` is (type, action) and `resource_id` the JSON Pointer (RFC 6901)
    in the input at which the id of the resource stands. `confidential` keeps the operation off
    links on which others could listen. `resume` lets a subscription go on after a lost link: the
    field of the request that says after which item to begin, and the field of an item that it is
    compared with. `errors` lists the errors of its own, as codes or in full: an answer with a code
    that is neither among them nor one of `alknet.errors` is INTERNAL to the caller.

    Raises:
        TypeError: the type is none of the four shapes, the kind does not go with the shape, or a
            resource is named without saying where its id stands.
        ValueError: what `errors` lists is no code.
    """

    def declare(request_type: type[R]) -> type[R]:
        shape, _ = signature(request_type)
        chosen = kind or _DEFAULT_KIND[shape]
        if chosen not in _ALLOWED_KINDS[shape]:
            raise TypeError(
                f"{request_type.__name__} is a {shape.__name__}, which is a "
                f"{' or '.join(_ALLOWED_KINDS[shape])}, not a {chosen}"
            )
        check_name(name)
        if (resource is None) != (resource_id is None):
            raise TypeError(
                f"operation {name!r}: give both `resource` and `resource_id`, or neither"
            )
        if resource_id is not None:
            _check_pointer(request_type, resource_id)
        if resource is not None:
            check_resource_type(name, resource[0])
        resource_type, action = resource or (None, None)
        own_errors = tuple(map(error_spec, errors))
        for each in own_errors:
            declare_code(each.code)
        request_type.__operation__ = Declaration(
            name=name,
            kind=chosen,
            access=AccessRule(scopes, any_scopes, resource_type, action),
            visibility=visibility,
            idempotent=chosen == "query" if idempotent is None else idempotent,
            confidential=confidential,
            version=version,
            resource_id=resource_id,
            resume=resume,
            errors=own_errors,
        )
        return request_type

    return declare


def check_name(name: str) -> None:
    """Refuse a name that no path could lead to.

    Raises:
        TypeError: it is not two or more words with slashes between them.
    """
    if name.count("/") < 1 or not all(name.split("/")):
        raise TypeError(f"operation {name!r} must read namespace/verb, as in 'secrets/derive'")


def check_resource_type(name: str, kind: str) -> None:
    """Refuse a type of resource whose `type:id` could be read in two ways.

    Raises:
        TypeError: it is empty or has a colon.
    """
    if not kind or ":" in kind:
        raise TypeError(
            f"operation {name!r}: the type of a resource, {kind!r}, is a word without ':'"
        )


def _check_pointer(request_type: type[AnyRequest], pointer: str) -> None:
    """Refuse a pointer that could never lead anywhere: nobody could call the operation."""
    first = pointer[1:].partition("/")[0].replace("~1", "/").replace("~0", "~")
    fields = [field.encode_name for field in msgspec.structs.fields(request_type)]
    if not pointer.startswith("/") or first not in fields:
        raise TypeError(
            f"{request_type.__name__}: `resource_id` {pointer!r} should be '/' and one of its "
            f"fields: {', '.join(fields) or 'it has none'}"
        )


def signature(request_type: type[AnyRequest]) -> tuple[type, tuple[Any, ...]]:
    """Return the shape of a request type and the types its base was given.

    `class Now(Request[float])` gives `(Request, (float,))`.

    Raises:
        TypeError: the type does not derive from one of the four shapes with its types filled in.
    """
    for base in getattr(request_type, "__orig_bases__", ()):
        shape = get_origin(base)
        if shape in _DEFAULT_KIND:
            return shape, get_args(base)
    raise TypeError(
        f"{request_type.__name__} must derive from Request[Reply], Subscription[Item], "
        f"Upload[Item, Reply] or Duplex[In, Out]"
    )
