"""Operation: a spec and a handler, made by hand, for plain JSON values.

    async def adopt(input, context):
        return {"name": input["name"], "by": context.identity.id}

    node.register(
        Operation(
            OperationSpec(
                name="pets/adopt",
                kind="mutation",
                input_schema={"type": "object", "required": ["name"]},
                access=AccessRule(all_of=("pets:adopt",)),
            ),
            adopt,
        )
    )

It is for what is known only when the program runs: the operations of another system, as an adapter
has read them from its description. What is known beforehand is better written as a request type.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from alknet.call.declared import AbortPolicy, Declared
from alknet.call.operation import OperationSpec
from alknet.call.schema import SchemaType
from alknet.errors import declare as declare_code
from alknet.protocol.error import error_spec
from alknet.protocol.request import check_name, check_resource_type
from alknet.runtime.manner import Manner, Used, declared

_TAKING_ITEMS: Final = frozenset({"upload", "duplex"})
_MANY: Final = 3


class Operation:
    """An operation that is answered like any other: checked, listed, measured, near and far.

    *handler* takes the input, then, for an upload or a duplex, an async iterator of the caller's
    items, and then, if it has one parameter more, the Context. A subscription's or duplex's is an
    async generator; of the others it is an async or a plain function. What goes in and out are the
    dicts, lists, strings, numbers, booleans and None of JSON. The input, and each item of the
    caller, has been checked against its schema; what is answered is checked too, but only counted
    and logged if it does not fit.

    `uses`, `needs`, `on_abort` and `concurrent` are as for `alknet.handler`, except that
    `concurrent` is the rule here.

    Raises:
        TypeError: *handler* cannot answer that kind of operation, or its name is none.
        ValueError: a schema is none, or the spec contradicts itself.
    """

    def __init__(
        self,
        spec: OperationSpec,
        handler: Callable[..., Any],
        *,
        uses: tuple[Used, ...] = (),
        needs: tuple[str, ...] = (),
        on_abort: AbortPolicy = "abort-dependents",
        concurrent: bool = True,
    ) -> None:
        self.spec = _checked(spec)
        self.handler = handler
        said = declared(uses, needs, on_abort, spec.kind)
        self.manner = _manner(self.spec, handler, said, concurrent=concurrent)
        name = spec.name
        self.input = SchemaType(spec.input_schema, f"input_schema of {name}")
        self.output = SchemaType(spec.output_schema, f"output_schema of {name}")
        self.item = (
            SchemaType(self.spec.item_schema, f"item_schema of {name}")
            if self.spec.item_schema is not None
            else None
        )

    def __repr__(self) -> str:
        return f"<Operation {self.spec.name}>"


def _checked(spec: OperationSpec) -> OperationSpec:
    check_name(spec.name)
    takes_items = spec.kind in _TAKING_ITEMS
    if spec.item_schema is not None and not takes_items:
        raise ValueError(f"{spec.name} is a {spec.kind}, whose caller sends no items: it has none")
    rule = spec.access
    if (rule.resource_type is None) != (spec.resource_id is None):
        raise ValueError(
            f"{spec.name}: give both a resource_type in `access` and `resource_id`, or neither"
        )
    if spec.resource_id is not None and not spec.resource_id.startswith("/"):
        raise ValueError(
            f"{spec.name}: `resource_id` {spec.resource_id!r} is no JSON Pointer: write '/' and "
            f"the name of the field"
        )
    if rule.resource_type is not None:
        check_resource_type(spec.name, rule.resource_type)
    for error in spec.errors:
        SchemaType(error.schema, f"schema of {error.code} of {spec.name}")
        declare_code(error_spec(error).code)
    if takes_items and spec.item_schema is None:
        return msgspec.structs.replace(spec, item_schema={})
    return spec


def _manner(
    spec: OperationSpec, handler: Callable[..., Any], said: Declared, *, concurrent: bool
) -> Manner:
    """Return how *handler* is called, as its signature says."""
    takes_items = spec.item_schema is not None
    given = 2 if takes_items else 1
    required, most = _positional(handler)
    wants_context = required == given + 1
    if not (wants_context or required <= given <= most):
        raise TypeError(
            f"the handler of {spec.name}, a {spec.kind}, takes the input"
            f"{', the items' if takes_items else ''} and, if it likes, the context; "
            f"it has {required} parameters"
        )
    function = _function(handler)
    is_stream = inspect.isasyncgenfunction(function)
    if spec.is_stream != is_stream or inspect.isgeneratorfunction(function):
        verb = "must be an async generator" if spec.is_stream else "must not be a generator"
        raise TypeError(f"{spec.name} is a {spec.kind}, so its handler {verb}")
    return Manner(
        concurrent=concurrent,
        endless=False,
        declared=said,
        is_async=inspect.iscoroutinefunction(function),
        is_stream=is_stream,
        takes_items=takes_items,
        wants_context=wants_context,
    )


def _positional(handler: Callable[..., Any]) -> tuple[int, int]:
    """Return how many positional parameters *handler* needs, and how many it takes at most."""
    parameters = inspect.signature(handler).parameters.values()
    positional = [
        each
        for each in parameters
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    required = sum(each.default is each.empty for each in positional)
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return required, required + _MANY
    return required, len(positional)


def _function(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Return what says how *handler* runs: of an object that can be called, its `__call__`."""
    if inspect.isroutine(handler) or isinstance(handler, partial):
        return handler
    called: Callable[..., Any] = handler.__call__  # type: ignore[operator]
    return called
