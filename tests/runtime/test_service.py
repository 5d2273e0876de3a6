"""Services: what a handler's signature says is read when the class is made, and checked."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator

import pytest

from alknet import Context, Duplex, Request, Service, Subscription, Upload, handler, operation
from alknet.call.declared import Declared
from alknet.runtime.service import Handler


@operation("shop/price")
class Price(Request[int], frozen=True):
    """Return the price."""


@operation("shop/close")
class Close(Request[None], frozen=True):
    """Return nothing."""


@operation("shop/watch")
class Watch(Subscription[int], frozen=True):
    """Yield prices."""


@operation("shop/total")
class Total(Upload[int, str], frozen=True):
    """Add up."""


@operation("shop/haggle")
class Haggle(Duplex[int, str], frozen=True):
    """Haggle."""


@operation("other/thing")
class Other(Request[int], frozen=True):
    """Belongs to somebody else."""


class Nameless(Request[int], frozen=True):
    """No operation."""


def read(function, *, namespace="shop", **options):
    """Return what a service makes of its only handler."""
    marked = handler(**options)(function)
    service = type("Shop", (Service,), {function.__name__: marked}, namespace=namespace)
    (found,) = service.handlers
    return found


def test_a_signature_says_everything():
    async def price(self, request: Price, context: Context) -> int: ...

    found = read(price, concurrent=True, uses=(Watch, "other/thing"))
    assert found == Handler(
        function=price,
        request_type=Price,
        concurrent=True,
        endless=False,
        declared=Declared(uses=frozenset({"shop/watch", "other/thing"})),
        is_async=True,
        is_stream=False,
        takes_items=False,
        wants_context=True,
    )


def test_a_plain_def_is_a_handler_that_never_waits():
    def close(self, request: Close) -> None: ...

    found = read(close)
    assert not found.is_async
    assert not found.concurrent
    assert not found.wants_context


@pytest.mark.parametrize("annotation", [AsyncIterator[int], AsyncGenerator[int, None]])
def test_a_subscription_is_answered_by_an_async_generator(annotation):
    async def watch(self, request: Watch) -> annotation:
        yield 1

    assert read(watch).is_stream


def test_uploads_and_duplexes_take_items():
    async def total(self, request: Total, items: AsyncIterator[int]) -> str: ...

    async def haggle(
        self, request: Haggle, items: AsyncIterator[int], context: Context
    ) -> AsyncIterator[str]:
        yield ""

    assert read(total).takes_items
    assert not read(total).wants_context
    assert read(haggle).takes_items
    assert read(haggle).wants_context


# Signatures that cannot be right.


async def no_request(self) -> int: ...


async def unannotated(self, request) -> int: ...


async def of_no_request(self, request: int) -> int: ...


async def of_nameless(self, request: Nameless) -> int: ...


async def with_two_more(self, request: Price, context: Context, more: int) -> int: ...


async def with_something_else(self, request: Price, more: int) -> int: ...


async def returning_something_else(self, request: Price) -> str: ...


async def returning_nothing_said(self, request: Price): ...


async def returning_none_unsaid(self, request: Close): ...


async def streaming_a_request(self, request: Price) -> AsyncIterator[int]:
    yield 1


def generating_a_request(self, request: Price) -> Iterator[int]:
    yield 1


async def answering_a_stream(self, request: Watch) -> int: ...


def generating_a_stream(self, request: Watch) -> Iterator[int]:
    yield 1


async def streaming_something_else(self, request: Watch) -> AsyncIterator[str]:
    yield ""


async def without_items(self, request: Total) -> str: ...


async def with_other_items(self, request: Total, items: AsyncIterator[str]) -> str: ...


async def with_items_and_more(
    self, request: Total, items: AsyncIterator[int], more: int
) -> str: ...


async def of_another_namespace(self, request: Other) -> int: ...


async def of_a_name_not_found(self, request: "NotImportedHere") -> int: ...  # noqa: F821


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (no_request, "annotate its first parameter with the request type it answers"),
        (unannotated, "annotate its first parameter with the request type it answers"),
        (of_no_request, "annotate its first parameter with the request type it answers"),
        (of_nameless, "write @operation('namespace/verb') above it"),
        (with_two_more, "after the request it may take one parameter, a Context"),
        (with_something_else, "after the request it may take one parameter, a Context"),
        (returning_something_else, "is annotated to return <class 'str'>, and Price promises"),
        (returning_nothing_said, "is annotated to return None, and Price promises <class 'int'>"),
        (returning_none_unsaid, "is annotated to return None, and Close promises"),
        (streaming_a_request, "shop/price is a query, so its handler must not be a generator"),
        (generating_a_request, "shop/price is a query, so its handler must not be a generator"),
        (answering_a_stream, "is a subscription, so its handler must be an async generator"),
        (generating_a_stream, "is a subscription, so its handler must be an async generator"),
        (streaming_something_else, "is annotated to return <class 'str'>, and Watch promises"),
        (without_items, "annotate its second parameter with AsyncIterator[...]"),
        (with_other_items, "annotate its second parameter with AsyncIterator[...]"),
        (with_items_and_more, "after the items it may take one parameter, a Context"),
        (of_another_namespace, "answers other/thing, and its service is called 'shop'"),
        (of_a_name_not_found, "name 'NotImportedHere' is not defined"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_signature_that_cannot_be_right_names_the_handler_and_the_fault(function, words):
    with pytest.raises(TypeError) as caught:
        read(function)

    assert words in str(caught.value)
    if function is not of_nameless:
        assert str(caught.value).startswith(f"Shop.{function.__name__}")


def test_a_service_without_a_name_may_be_a_base_of_others():
    class Base(Service):
        @handler
        async def price(self, request: Price) -> int:
            return 1

    class Shop(Base, namespace="shop"):
        @handler
        async def close(self, request: Close) -> None: ...

    assert {found.request_type for found in Shop.handlers} == {Price, Close}


def test_two_handlers_of_one_request_are_refused():
    with pytest.raises(TypeError, match=r"Shop\.price and Shop\.too both answer shop/price"):

        class Shop(Service, namespace="shop"):
            @handler
            async def price(self, request: Price) -> int: ...

            @handler
            async def too(self, request: Price) -> int: ...


def test_a_handler_can_be_overridden_and_what_is_not_marked_is_none():
    class Shop(Service, namespace="shop"):
        @handler
        async def price(self, request: Price) -> int:
            return 1

        async def helper(self, request: Price) -> int:
            return 2

    class Dear(Shop):
        @handler
        async def price(self, request: Price) -> int:
            return 100

    assert [found.function for found in Dear.handlers] == [Dear.price]


async def test_a_service_holds_nothing_unless_it_says_so():
    async with Service().running():
        pass
