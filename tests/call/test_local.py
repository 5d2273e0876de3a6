"""LocalClient: calls within the process, where nothing is encoded."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from alknet import Context, Request, Service, Subscription, handler, operation
from alknet.errors import (
    DeadlineExceeded,
    Forbidden,
    InvalidInput,
    InvalidOperationType,
    NotFound,
    Unauthenticated,
)
from alknet.identity import Identity

from ..echo import Count, Echo, Hold, Keep, Say, Secret, Shout, Ticks, WhoAmI
from ..linked import linked, running
from ..people import ALICE, NOBODY_MUCH


@pytest.fixture
def echo():
    return Echo()


@pytest.fixture
async def dispatcher(echo):
    async with running(echo, Mirror(), Chain()) as dispatcher:
        yield dispatcher


@pytest.fixture
def client(dispatcher):
    return dispatcher.client(ALICE)


@operation("mirror/show")
class Show(Request[Any], frozen=True):
    """Return `value`."""

    value: Any


class Mirror(Service, namespace="mirror"):
    @handler
    async def show(self, request: Show) -> Any:
        return request.value


async def test_what_goes_in_comes_out_and_is_the_same_object(client):
    value = object()

    assert await client.call(Show(value)) is value


async def test_the_untyped_twin_takes_and_gives_plain_values(client):
    assert await client.invoke("/head/echo/say", {"text": "hi"}) == "hi"
    assert await client.invoke("echo.whoami") == "alice"
    async with client.invoke_stream("/head/echo/count", {"to": 3}) as items:
        assert [item async for item in items] == [0, 1, 2]


@pytest.mark.parametrize(
    ("path", "input_", "error", "words"),
    [
        ("/head/echo/nope", {}, NotFound, "no operation 'echo/nope' here"),
        ("/worker-9/echo/say", {}, NotFound, "no peer called 'worker-9' is connected"),
        ("nonsense", {}, InvalidInput, "'nonsense' names no operation"),
        ("/head/echo/say", {"text": 1}, InvalidInput, "`text`: expected `str`, got `int`"),
        ("/head/echo/ticks", {}, InvalidOperationType, "stream it instead"),
    ],
)
async def test_a_bad_request_is_refused_in_the_words_a_remote_one_would_be(
    client, path, input_, error, words
):
    with pytest.raises(error) as caught:
        await client.invoke(path, input_)
    assert words in str(caught.value)


async def test_each_request_is_asked_as_what_it_is(client):
    with pytest.raises(InvalidOperationType, match="stream it instead"):
        await client.call(Ticks())
    with pytest.raises(InvalidOperationType, match="call it instead"):
        client.stream(Say("x"))
    with pytest.raises(InvalidOperationType, match="call it instead"):
        client.invoke_stream("/head/echo/say", {"text": "x"})


async def test_a_call_that_was_let_in_once_does_not_let_in_another_verb(client):
    await client.call(Say("x"))
    with pytest.raises(InvalidOperationType):
        client.stream(Say("x"))
    async with client.stream(Ticks()):
        pass
    with pytest.raises(InvalidOperationType):
        await client.call(Ticks())


@pytest.mark.parametrize(("identity", "error"), [(None, Unauthenticated), (NOBODY_MUCH, Forbidden)])
async def test_scopes_are_asked_for_within_the_process_too(dispatcher, identity, error):
    client = dispatcher.client(identity)
    for _ in range(2):
        with pytest.raises(error):
            await client.call(Shout("x"))
    assert await client.call(Say("open to all")) == "open to all"


async def test_internal_operations_are_for_callers_of_this_process(client, dispatcher):
    assert await client.call(Secret()) == "hunter2"
    async with linked(dispatcher) as link:
        with pytest.raises(NotFound):
            await link.client.call(Secret())


# Time.


@pytest.mark.parametrize("request_", [Hold(), Keep()], ids=["concurrent", "exclusive"])
async def test_a_timeout_is_a_deadline_exceeded_that_names_the_call(
    client, request_, autojump_clock
):
    began = trio.current_time()
    with pytest.raises(DeadlineExceeded) as caught:
        await client.call(request_, timeout=3)

    assert str(caught.value).endswith("gave no answer within 3 s")
    assert trio.current_time() - began == pytest.approx(3)


async def test_without_a_timeout_a_local_call_waits_as_long_as_its_caller(client, autojump_clock):
    with trio.move_on_after(10_000) as scope:
        await client.call(Hold())

    assert scope.cancelled_caught


async def test_a_cancelled_caller_is_cancelled_and_not_late(client, autojump_clock):
    with trio.move_on_after(1) as scope:
        await client.call(Hold(), timeout=5)

    assert scope.cancelled_caught


# Composition.


@operation("chain/whoami")
class WhoAsks(Request[str | None], frozen=True):
    """Return who the composed call takes for its caller."""


@operation("chain/shout", scopes=())
class ChainShout(Request[str], frozen=True):
    """Shout, for a caller who may not."""


@operation("chain/undeclared")
class Undeclared(Request[str], frozen=True):
    """Call what was not declared."""

    path: str = ""


@operation("chain/slow")
class Slow(Request[str], frozen=True):
    """Call something that takes its time."""


@operation("chain/deadline")
class Deadline(Request[float], frozen=True):
    """Return the deadline that reaches a composed call."""


@operation("chain/own-deadline")
class OwnDeadline(Request[float], frozen=True):
    """Return the deadline in one's own context."""


@operation("chain/numbers")
class Numbers(Subscription[int], frozen=True):
    """Pass a stream on."""


class Chain(Service, namespace="chain"):
    @handler(concurrent=True, uses=(WhoAmI,))
    async def whoami(self, _: WhoAsks, context: Context) -> str | None:
        return await context.env.call(WhoAmI())

    @handler(concurrent=True, uses=("echo/shout",))
    async def shout(self, _: ChainShout, context: Context) -> str:
        return await context.env.invoke("/head/echo/shout", {"text": "x"})

    @handler(concurrent=True, uses=(WhoAmI,))
    async def undeclared(self, request: Undeclared, context: Context) -> str:
        if request.path:
            return await context.env.invoke(request.path)
        return await context.env.call(Shout("x"))

    @handler(concurrent=True, uses=(Hold,))
    async def slow(self, _: Slow, context: Context) -> str:
        return await context.env.call(Hold())

    @handler(concurrent=True)
    def own_deadline(self, _: OwnDeadline, context: Context) -> float:
        return context.deadline

    @handler(concurrent=True, uses=(OwnDeadline,))
    async def deadline(self, _: Deadline, context: Context) -> float:
        return await context.env.call(OwnDeadline())

    @handler(uses=(Count,))
    async def numbers(self, _: Numbers, context: Context) -> AsyncIterator[int]:
        async with context.env.stream(Count(3)) as items:
            async for item in items:
                yield item


async def test_a_composed_call_is_made_for_the_caller(client):
    assert await client.call(WhoAsks()) == "alice"


async def test_a_composed_call_needs_no_scope_of_the_caller(dispatcher):
    client = dispatcher.client(NOBODY_MUCH)
    with pytest.raises(Forbidden):
        await client.call(Shout("x"))

    assert await client.call(ChainShout()) == "X"


@pytest.mark.parametrize("path", ["", "/head/echo/shout", "/echo/shout"])
async def test_what_a_handler_has_not_declared_it_cannot_call(client, path):
    with pytest.raises(Forbidden) as caught:
        await client.call(Undeclared(path))

    assert str(caught.value) == (
        "chain/undeclared has not declared that it uses echo/shout: add it to uses="
    )


async def test_what_a_handler_has_not_declared_it_cannot_call_on_a_peer_either(client):
    with pytest.raises(Forbidden, match="has not declared that it uses echo/shout"):
        await client.call(Undeclared("/worker-1/echo/shout"))


async def test_composed_calls_die_with_their_parent(client, echo, dispatcher):
    async with linked(dispatcher) as link, trio.open_nursery() as nursery:
        for each in (client, link.client):
            nursery.start_soon(each.call, Slow())
        await echo.has_begun(2)
        nursery.cancel_scope.cancel()
    await wait_all_tasks_blocked()

    assert echo.active == 0


async def test_composed_streams_come_through(client):
    async with client.stream(Numbers()) as items:
        assert [item async for item in items] == [0, 1, 2]


async def test_a_composed_call_inherits_the_deadline(dispatcher):
    async with linked(dispatcher) as link:
        soon = trio.current_time() + 7
        deadline = await link.client.call(Deadline(), timeout=7)

    assert deadline == pytest.approx(soon, abs=0.1)


async def test_the_context_of_a_composed_call_names_its_parent():
    seen = []

    @operation("spy/look")
    class Look(Request[None], frozen=True):
        """Look around."""

    @operation("spy/begin")
    class Begin(Request[None], frozen=True):
        """Begin."""

    class Spy(Service, namespace="spy"):
        @handler(concurrent=True)
        def look(self, _: Look, context: Context) -> None:
            seen.append(context)

        @handler(concurrent=True, uses=(Look,))
        async def begin(self, _: Begin, context: Context) -> None:
            seen.append(context)
            await context.env.call(Look())

    async with running(Spy()) as dispatcher:
        for identity in (Identity("ann"), None):
            await dispatcher.client(identity).call(Begin())
            parent, child = seen[-2:]
            assert child.parent_id == parent.request_id
            assert child.request_id != parent.request_id
            assert child.identity is identity
            assert child.session is None
            assert child.metadata is None
