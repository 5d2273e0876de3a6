"""What a caller is told of an error: what is declared, and of the rest that it is our fault."""

from collections.abc import AsyncIterator

import pytest
import structlog

from alknet import Request, Service, Subscription, handler, operation
from alknet.errors import CallError, Internal, NotFound
from alknet.protocol.error import ErrorSpec

from ..linked import facing, linked, running, working
from ..people import ROOT

BUSY = ErrorSpec("KETTLE_BUSY", "Somebody else brews.", retryable=True)


@operation("kettle/brew", errors=(BUSY, "KETTLE_EMPTY"))
class Brew(Request[None], frozen=True):
    """Fail with the code, in the caller's task if it can be."""

    code: str
    retryable: bool | None = None


@operation("kettle/queue", errors=(BUSY, "KETTLE_EMPTY"))
class Queue(Brew, Request[None], frozen=True):
    """The same, one at a time."""


@operation("kettle/pour", errors=(BUSY, "KETTLE_EMPTY"))
class Pour(Subscription[None], frozen=True):
    """The same, as a stream."""

    code: str
    retryable: bool | None = None


def fail(request):
    raise CallError("no tea", code=request.code, retryable=request.retryable, details={"cups": 2})


class Kettle(Service, namespace="kettle"):
    @handler(concurrent=True)
    def brew(self, request: Brew) -> None:
        fail(request)

    @handler
    async def queue(self, request: Queue) -> None:
        fail(request)

    @handler
    async def pour(self, request: Pour) -> AsyncIterator[None]:
        fail(request)
        yield


@pytest.fixture
async def dispatcher():
    async with running(Kettle()) as dispatcher:
        yield dispatcher


async def ask(client, request, node="head"):
    """Return the error that *request* ends with."""
    with pytest.raises(CallError) as caught:
        if isinstance(request, Pour):
            async with client.stream(request, node=node) as items:
                await anext(items)
        else:
            await client.call(request, node=node)
    return caught.value


@pytest.fixture(params=["near", "far", "through the head"])
async def asked(request, dispatcher):
    async with linked(dispatcher, identity=ROOT) as link, working(dispatcher, Kettle()):
        client = dispatcher.client(ROOT) if request.param == "near" else link.client
        node = "worker-1" if request.param == "through the head" else "head"
        yield lambda asking: ask(client, asking, node)


@pytest.mark.parametrize("request_type", [Brew, Queue, Pour])
@pytest.mark.parametrize(
    ("code", "said", "retryable"),
    [
        ("KETTLE_BUSY", None, True),
        ("KETTLE_BUSY", False, False),
        ("KETTLE_EMPTY", None, False),
        ("KETTLE_EMPTY", True, True),
        ("NOT_FOUND", None, False),
        ("UNAVAILABLE", True, True),
    ],
)
async def test_a_code_that_is_declared_comes_as_it_is(asked, request_type, code, said, retryable):
    error = await asked(request_type(code, said))

    assert (error.code, error.message, error.retryable) == (code, "no tea", retryable)
    assert error.details == {"cups": 2}


@pytest.mark.parametrize("request_type", [Brew, Queue, Pour])
async def test_a_code_that_is_not_is_internal_and_its_own_is_in_the_details(asked, request_type):
    with structlog.testing.capture_logs() as lines:
        error = await asked(request_type("MADE_UP", True))

    assert isinstance(error, Internal)
    assert (error.code, error.message, error.retryable) == ("INTERNAL", "no tea", False)
    assert error.details == {"code": "MADE_UP", "details": {"cups": 2}}
    [line] = [line for line in lines if line["event"] == "undeclared code"]
    assert (line["operation"], line["code"]) == (request_type.__operation__.name, "MADE_UP")


async def test_a_head_passes_on_a_code_that_it_has_never_heard_of(dispatcher):
    """What it means is between the caller and the worker."""
    async with (
        facing(dispatcher, identity=ROOT) as (_, caller),
        facing(identity=ROOT) as (worker_session, worker),
    ):
        dispatcher.peers.add(worker_session)
        dispatcher.peers.offer(worker_session, {"lathe/turn": "query"})
        caller.encoder.requested("1", f"/{worker_session.peer}/lathe/turn", b"{}")
        await caller.send()
        request = await worker.hear()
        worker.encoder.failed(request.id, "CHUCK_OPEN", "close it", True, b'{"jaw":3}')
        await worker.send()
        answer = await caller.hear()

    assert (answer.code, answer.retryable, answer.details) == ("CHUCK_OPEN", True, b'{"jaw":3}')


@pytest.mark.parametrize("code", ["", "lower", "WITH SPACE", "1ST", "A-B"])
def test_a_code_that_is_none_cannot_be_declared(code):
    with pytest.raises(ValueError, match="is no code of an error"):

        @operation("kettle/other", errors=(code,))
        class Other(Request[None], frozen=True):
            """Never made."""


def test_a_code_with_a_class_says_of_itself_what_its_class_does():
    @operation("kettle/lock", errors=("NOT_FOUND", "RATE_LIMITED"))
    class Lock(Request[None], frozen=True):
        """Lock."""

    missing, limited = Lock.__operation__.errors
    assert missing.description == NotFound.__doc__.partition("\n")[0]
    assert (missing.retryable, limited.retryable) == (False, True)
