"""Service: a class whose handlers are the methods that answer requests.

    class Clock(Service, namespace="clock"):
        @handler
        async def now(self, request: Now) -> float:
            return time.time()

A handler is exclusive unless it says otherwise: while it runs, no other exclusive handler of the
same service does, so `self` needs no locks. `concurrent=True` is for handlers that keep no state
across their waits; they run side by side, and in the caller's own task where they can. A handler
that never waits may be a plain `def`. One that answers a Subscription is an async generator.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import (
    Any,
    ClassVar,
    Literal,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

import msgspec

from alknet.call.context import Context
from alknet.call.declared import AbortPolicy, Declared
from alknet.call.operation import operation_type
from alknet.protocol.request import AnyRequest, Kind, Request, signature
from alknet.runtime.host import Host
from alknet.runtime.manner import Manner, Used, declared
from alknet.runtime.operation import Operation

Restart = Literal["permanent", "transient", "temporary"]
F = TypeVar("F", bound=Callable[..., Any])
_MARK = "__alknet_handler__"


class Handler(Manner, frozen=True):
    """One handler method, as its signature tells it."""

    function: Callable[..., Any]
    request_type: type[AnyRequest]


class _Options(msgspec.Struct, frozen=True):
    concurrent: bool
    endless: bool
    uses: tuple[Used, ...]
    needs: tuple[str, ...]
    on_abort: AbortPolicy


@overload
def handler(function: F, /) -> F: ...


@overload
def handler(
    *,
    concurrent: bool = False,
    endless: bool = False,
    uses: tuple[Used, ...] = (),
    needs: tuple[str, ...] = (),
    on_abort: AbortPolicy = "abort-dependents",
) -> Callable[[F], F]: ...


def handler(
    function: F | None = None,
    /,
    *,
    concurrent: bool = False,
    endless: bool = False,
    uses: tuple[Used, ...] = (),
    needs: tuple[str, ...] = (),
    on_abort: AbortPolicy = "abort-dependents",
) -> F | Callable[[F], F]:
    """Mark a method as the one that answers the request type its first parameter is annotated with.

    A second parameter annotated with Context receives the call's context. An `endless` stream is
    one that nobody waits for the end of: a service that stops ends it at once, where others may
    finish. `uses` lists the request types, or names of operations, that the handler calls through
    `context.env`; it can call no others there, and its caller needs no scopes for these. `needs`
    names what the node is to lend it, as `context.capabilities`.

    A handler is cancelled, with everything that it has started, when its caller leaves or the
    caller's link is lost. With `on_abort="continue-running"` one that has begun goes on, by its
    deadline, and what comes of it stands in the log.
    """

    def mark(function: F) -> F:
        setattr(function, _MARK, _Options(concurrent, endless, uses, needs, on_abort))
        return function

    return mark if function is None else mark(function)


class Service:
    """The base of every service; see the module's docstring for how to write one.

    `namespace` is the first part of its operations' names and its table in stack.toml. `requires`
    names the services that must run before it; one that needs more as it is set up says so in its
    `__init__`. `restart` says what happens when `running` ends:
    "permanent" starts it again in any case, "transient" only after an error, "temporary" never.
    `settings_type` is the shape of its table in stack.toml, and `reloads` are the requests of its
    own by which it takes what the file says now. `at_home` are those about the very node that is
    asked, which it answers itself where another runs the service. `operations` are those that it
    answers beside what its handlers do, made by hand; it has them before it is run.
    """

    namespace: str = ""
    requires: tuple[str, ...] = ()
    restart: ClassVar[Restart] = "permanent"
    mailbox_size: ClassVar[int] = 1024
    settings_type: ClassVar[type[msgspec.Struct] | None] = None
    reloads: ClassVar[tuple[Request[Any], ...]] = ()
    at_home: ClassVar[tuple[type[AnyRequest], ...]] = ()
    handlers: tuple[Handler, ...] = ()
    operations: Iterable[Operation] = ()

    def __init_subclass__(cls, *, namespace: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if namespace is not None:
            cls.namespace = namespace
        cls.handlers = tuple(
            _read(cls, function)
            for _, function in inspect.getmembers(cls, inspect.isfunction)
            if hasattr(function, _MARK)
        )
        _check_handlers(cls)

    @classmethod
    def create(cls, host: Host) -> "Service":  # noqa: ARG003
        """Return the service for the node that *host* is; override it to take what is needed."""
        return cls()

    @classmethod
    def create_at_home(cls, host: Host, table: Any) -> "Service | None":  # noqa: ARG003
        """Return what answers the requests `at_home` where *table* says that another node runs it.

        None answers none; override it where there are some.
        """
        return None

    def check_reload(self) -> None:
        """Refuse what the file says now, where `reloads` could not put it in force; change nothing.

        Raises:
            CallError: the first of them would fail.
        """

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hold what the service needs while it runs; requests come only between the two halves.

        Override it to open files, start background tasks in a nursery, and so on. An exception
        that leaves it ends the service, and the supervisor decides what follows.
        """
        yield


def _read(service: type, function: Callable[..., Any]) -> Handler:
    """Return what the signature of *function* says.

    Raises:
        TypeError: it is no handler; the message says which line to mend.
    """
    where = f"{service.__name__}.{function.__name__}"
    options: _Options = getattr(function, _MARK)
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise TypeError(f"{where}: its annotations cannot be read: {error}") from None
    parameters = list(inspect.signature(function).parameters)[1:]
    request_type = hints.get(parameters[0]) if parameters else None
    if not (isinstance(request_type, type) and issubclass(request_type, AnyRequest)):
        raise TypeError(f"{where}: annotate its first parameter with the request type it answers")
    spec = operation_type(request_type).spec
    takes_items = spec.item_schema is not None
    if takes_items:
        _check_items(where, request_type, hints.get(parameters[1]) if parameters[1:] else None)
    rest = parameters[2 if takes_items else 1 :]
    wants_context = bool(rest)
    if wants_context and (len(rest) > 1 or hints.get(rest[0]) is not Context):
        after = "the items" if takes_items else "the request"
        raise TypeError(f"{where}: after {after} it may take one parameter, a Context")
    is_stream = inspect.isasyncgenfunction(function)
    if spec.is_stream != is_stream or inspect.isgeneratorfunction(function):
        verb = "must be an async generator" if spec.is_stream else "must not be a generator"
        raise TypeError(f"{where}: {spec.name} is a {spec.kind}, so its handler {verb}")
    _check_return(where, request_type, hints.get("return"), is_stream=is_stream)
    return Handler(
        function=function,
        request_type=request_type,
        concurrent=options.concurrent,
        endless=options.endless,
        declared=_declared(where, options, spec.kind),
        is_async=inspect.iscoroutinefunction(function),
        is_stream=is_stream,
        takes_items=takes_items,
        wants_context=wants_context,
    )


def _declared(where: str, options: _Options, kind: Kind) -> Declared:
    try:
        return declared(options.uses, options.needs, options.on_abort, kind)
    except TypeError as error:
        raise TypeError(f"{where}: {error}") from None


def _check_handlers(service: type[Service]) -> None:
    """Refuse handlers of which one could never be asked, or only in another service's name."""
    answered: dict[type[AnyRequest], Handler] = {}
    for found in service.handlers:
        declared = found.request_type.__operation__
        where = f"{service.__name__}.{found.function.__name__}"
        if service.namespace and declared.namespace != service.namespace:
            raise TypeError(
                f"{where} answers {declared.name}, and its service is called {service.namespace!r}"
            )
        other = answered.setdefault(found.request_type, found)
        if other is not found:
            raise TypeError(
                f"{service.__name__}.{other.function.__name__} and {where} both answer "
                f"{declared.name}"
            )


def _check_items(where: str, request_type: type[AnyRequest], annotated: Any) -> None:
    """Refuse a handler that does not take the items its request type says the caller sends."""
    _, types = signature(request_type)
    if get_origin(annotated) is not AsyncIterator or get_args(annotated)[:1] != types[:1]:
        raise TypeError(
            f"{where}: annotate its second parameter with AsyncIterator[...] of what the caller of "
            f"{request_type.__name__} sends, {types[0]!r}"
        )


def _check_return(
    where: str, request_type: type[AnyRequest], annotated: Any, *, is_stream: bool
) -> None:
    """Refuse a handler that says it returns something else than its request type promises."""
    _, types = signature(request_type)
    promised = types[-1]
    # None stands for its type here; to annotate nothing at all is another matter.
    nothing = type(None)
    if is_stream and get_origin(annotated):
        [annotated, *_] = get_args(annotated)
        annotated = nothing if annotated is None else annotated
    if annotated != (nothing if promised is None else promised):
        raise TypeError(
            f"{where} is annotated to return {annotated!r}, and {request_type.__name__} promises "
            f"{promised!r}"
        )
