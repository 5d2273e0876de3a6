"""Hand-made operations: asked, checked, listed and measured like any other, near and far."""

from functools import partial

import pytest
import structlog
import trio

from alknet import (
    AccessRule,
    Duplex,
    ErrorSpec,
    Identity,
    Operation,
    Operations,
    OperationSpec,
    Request,
    Service,
    Subscription,
    Upload,
    handler,
    open_node,
    operation,
)
from alknet.call.context import Context
from alknet.errors import (
    CallError,
    Forbidden,
    Internal,
    InvalidInput,
    InvalidOperationType,
    NotFound,
    RemoteProtocolError,
)
from alknet.protocol.directory import ListOperations, Schema
from alknet.protocol.stats import Stats
from alknet.runtime.actor import Actor
from alknet.services.auth.keyset import AuthSettings
from alknet.settings import Settings
from alknet.testing import connected
from alknet.testing import node as run

from ..linked import linked, running, working
from ..people import ROOT

NAMED = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}
ADOPTED = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "by": {"type": ["string", "null"]}},
    "required": ["name", "by"],
}


def spec(name="pets/adopt", kind="mutation", **given):
    return OperationSpec(name=name, kind=kind, **given)


ADOPT = spec(
    description="Adopt the pet.",
    input_schema=NAMED,
    output_schema=ADOPTED,
    access=AccessRule(all_of=("pets:adopt",)),
    errors=(ErrorSpec("PET_TAKEN", "It has a home.", NAMED, retryable=True, http_status=409),),
)


async def adopt(input, context):
    if input["name"] == "Tom":
        raise CallError("Tom has a home", code="PET_TAKEN", details={"name": "Tom"})
    return {"name": input["name"], "by": context.identity.id}


async def names(input):
    for number in range(input.get("to", 3)):
        yield {"name": f"pet {number}"}


async def count(input, items):
    return {"total": sum([item["age"] async for item in items])}


async def trade(input, items, context):
    async for item in items:
        yield {"name": item["name"].upper()}


AGED = {"type": "object", "required": ["age"], "properties": {"age": {"type": "integer"}}}
PETS = (
    Operation(ADOPT, adopt),
    Operation(spec("pets/names", "subscription", output_schema=NAMED), names),
    Operation(spec("pets/count", "upload", item_schema=AGED), count),
    Operation(spec("pets/trade", "duplex", item_schema=NAMED), trade),
    Operation(spec("pets/queue", "query"), lambda input: input, concurrent=False),
    Operation(spec("pets/hidden", "query", visibility="internal"), lambda input: "hidden"),
)


@pytest.fixture
async def node():
    async with run([Operations("pets", PETS)]) as node:
        yield node


@pytest.fixture(params=["near", "json", "msgpack"])
async def client(request, node):
    if request.param == "near":
        yield node.client
    else:
        async with connected(node, format=request.param) as client:
            yield client


async def test_it_takes_and_answers_plain_values(client):
    adopted = await client.invoke("/head/pets/adopt", {"name": "Ann"})

    assert adopted["name"] == "Ann"
    assert adopted["by"] in ("head", "tester")
    assert await client.invoke("/pets/queue", {"a": [1, None, "x", 2.5]}) == {
        "a": [1, None, "x", 2.5]
    }


async def test_its_input_is_checked_before_it_runs(client):
    with pytest.raises(InvalidInput, match="`name`: expected string") as caught:
        await client.invoke("/head/pets/adopt", {"name": 7})
    assert caught.value.details == {"field": "name"}


async def test_its_errors_are_those_that_it_declares(client):
    with pytest.raises(CallError, match="Tom has a home") as caught:
        await client.invoke("/head/pets/adopt", {"name": "Tom"})

    error = caught.value
    assert (error.code, error.retryable, error.details) == ("PET_TAKEN", True, {"name": "Tom"})


async def test_a_crash_of_its_own_is_internal_and_logged(node, client):
    node.register(Operation(spec("pets/crash"), lambda input: 1 / 0))
    with structlog.testing.capture_logs() as lines, pytest.raises(Internal, match="pets/crash"):
        await client.invoke("/head/pets/crash")
    assert "ZeroDivisionError" in next(
        line["cause"] for line in lines if line["event"] == "handler failed"
    )


async def test_it_streams(client):
    async with client.invoke_stream("/head/pets/names", {"to": 3}) as items:
        assert [item["name"] async for item in items] == ["pet 0", "pet 1", "pet 2"]
    with pytest.raises(InvalidOperationType):
        await client.invoke("/head/pets/names")


async def test_what_asks_for_it_by_type_is_answered_in_that_type(client):
    for _ in range(3):
        adopted = await client.call(Adopt("Ann"))
    async with client.stream(Names(2)) as items:
        named = [item async for item in items]

    assert isinstance(adopted, Adopted), "the first time and the next"
    assert named == [Pet("pet 0"), Pet("pet 1")]
    assert (await client.upload(Count(), [Age(3), Age(4)])).total == 7
    async with client.duplex(Trade()) as trading:
        await trading.send(Pet("ann"))
        assert await anext(trading) == Pet("ANN")


class Pet(Request[None], frozen=True):
    name: str


class Adopted(Request[None], frozen=True):
    name: str
    by: str


class Age(Request[None], frozen=True):
    age: int


class Total(Request[None], frozen=True):
    total: int


@operation("pets/adopt", kind="mutation")
class Adopt(Request[Adopted], frozen=True):
    """As somebody with a type for it asks."""

    name: str


@operation("pets/names")
class Names(Subscription[Pet], frozen=True):
    """The same, for the stream."""

    to: int


@operation("pets/count")
class Count(Upload[Age, Total], frozen=True):
    """The same, for the upload."""


@operation("pets/trade")
class Trade(Duplex[Pet, Pet], frozen=True):
    """The same, for the duplex."""


@operation("pets/queue")
class Queue(Request[int], frozen=True):
    """Promises something else than what is answered."""


async def test_a_type_that_promises_something_else_is_told_so(client):
    with pytest.raises(RemoteProtocolError, match="is not what its request type promises"):
        await client.call(Queue())


async def test_it_is_listed_and_described_with_its_schemas(client):
    listed = {each.name for each in (await client.call(ListOperations())).operations}
    described = await client.call(Schema("pets/adopt"))

    assert {"pets/adopt", "pets/names", "pets/count", "pets/trade"} <= listed
    assert described.input_schema == NAMED
    assert described.output_schema == ADOPTED
    assert described.access.all_of == ("pets:adopt",)
    assert described.errors == ADOPT.errors
    assert (described.kind, described.visibility) == ("mutation", "external")
    assert (await client.call(Schema("pets/count"))).item_schema == AGED


async def test_who_may_call_is_said_by_its_rule(node):
    async with connected(node, name="ann", scopes=["pets:feed"]) as client:
        with pytest.raises(Forbidden, match="the scope 'pets:adopt' is missing"):
            await client.invoke("/head/pets/adopt", {"name": 7})  # what would fit is not told
        with pytest.raises(NotFound):
            await client.invoke("/head/pets/hidden")
    assert await node.client.invoke("/head/pets/hidden") == "hidden"


async def test_a_resource_is_found_in_its_input():
    close = spec(
        "pets/close",
        access=AccessRule(resource_type="shop", resource_action="close"),
        resource_id="/shop/id",
    )
    owner = Identity("ann", resources={"shop:7": frozenset({"close"})})
    async with running(Operations("pets", [Operation(close, lambda input: "closed")])) as home:
        async with linked(home, identity=owner) as link:
            for client in (link.client, home.client(owner)):
                assert await client.invoke("/pets/close", {"shop": {"id": 7}}) == "closed"
                with pytest.raises(Forbidden, match="'shop:8'"):
                    await client.invoke("/pets/close", {"shop": {"id": 8}})
                with pytest.raises(InvalidInput, match="names no resource"):
                    await client.invoke("/pets/close", {"shop": 7})


async def test_a_workers_are_called_through_its_head(node):
    async with (
        connected(node, name="worker", services=[Operations("pets", PETS)]),
        connected(node) as client,
    ):
        adopted = await client.invoke("/worker/pets/adopt", {"name": "Ann"})
        with pytest.raises(InvalidInput, match="`name`: expected string"):
            await client.invoke("/worker/pets/adopt", {"name": 7})
    assert adopted == {"name": "Ann", "by": "tester"}


# Registering, and taking back.


async def test_registering_is_all_or_nothing(node):
    others = [Operation(spec(name), adopt) for name in ("zoo/open", "pets/adopt")]
    with pytest.raises(ValueError, match="'pets/adopt' is registered already"):
        node.register(*others)

    with pytest.raises(NotFound):
        await node.client.invoke("/head/zoo/open", {})


async def test_what_was_taken_back_is_gone_for_who_had_called_it_too(node):
    first = spec("zoo/open", access=AccessRule(all_of=("zoo:open",)))
    then = spec("zoo/open", access=AccessRule(all_of=("zoo:boss",)))
    node.register(Operation(first, lambda input: "first"))
    async with connected(node, scopes=["zoo:open"]) as client:
        assert await client.invoke("/head/zoo/open") == "first"
        node.unregister("zoo/open", "zoo/never")
        with pytest.raises(NotFound):
            await client.invoke("/head/zoo/open")
        node.register(Operation(then, lambda input: "then"))
        with pytest.raises(Forbidden, match="zoo:boss"):
            await client.invoke("/head/zoo/open")
    assert await node.client.invoke("/head/zoo/open") == "then"


async def test_what_is_in_flight_when_it_is_taken_back_is_finished(node):
    begun, go = trio.Event(), trio.Event()

    async def wait(input):
        begun.set()
        await go.wait()
        return "done"

    node.register(Operation(spec("zoo/wait"), wait))
    answers = []

    async def ask():
        answers.append(await node.client.invoke("/head/zoo/wait"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await begun.wait()
        node.unregister("zoo/wait")
        go.set()
    assert answers == ["done"]


async def test_who_runs_them_is_told_of_once_there_are_any(node):
    assert "operations" not in node.services
    node.register(Operation(spec("zoo/open"), adopt))
    assert node.services[0] == "operations"


# What cannot be made.


async def of_none():
    return None


async def of_four(input, context, more, still_more):
    return None


async def endless(input):
    yield


def generator(input):
    yield


async def single(input):
    return None


@pytest.mark.parametrize(
    ("kind", "function", "words"),
    [
        ("query", of_none, "it has 0 parameters"),
        ("query", of_four, "it has 4 parameters"),
        ("upload", single, "a upload, takes the input, the items and, if it likes, the context"),
        ("query", endless, "a/b is a query, so its handler must not be a generator"),
        ("query", generator, "a/b is a query, so its handler must not be a generator"),
        ("subscription", single, "so its handler must be an async generator"),
        ("subscription", generator, "so its handler must be an async generator"),
        ("duplex", count, "so its handler must be an async generator"),
    ],
)
def test_a_handler_that_cannot_answer_is_refused_before_anybody_asks(kind, function, words):
    with pytest.raises(TypeError) as caught:
        Operation(spec("a/b", kind), function)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"name": "alone"}, TypeError, "must read namespace/verb"),
        ({"input_schema": {"type": "text"}}, ValueError, "the input_schema of pets/adopt is no"),
        ({"output_schema": {"type": "text"}}, ValueError, "the output_schema of pets/adopt is no"),
        ({"item_schema": {}}, ValueError, "whose caller sends no items"),
        ({"resource_id": "/a"}, ValueError, "or neither"),
        ({"access": AccessRule(resource_type="a")}, ValueError, "or neither"),
        (
            {"access": AccessRule(resource_type="a"), "resource_id": "a"},
            ValueError,
            "is no JSON Pointer",
        ),
        (
            {"access": AccessRule(resource_type="a:b"), "resource_id": "/a"},
            TypeError,
            "is a word without ':'",
        ),
        ({"errors": (ErrorSpec("lower"),)}, ValueError, "is no code of an error"),
        ({"errors": (ErrorSpec("X", schema={"type": "text"}),)}, ValueError, "the schema of X of"),
    ],
)
def test_a_spec_that_contradicts_itself_is_refused(given, error, words):
    with pytest.raises(error) as caught:
        Operation(spec(**given), single)
    assert words in str(caught.value)


class Callable:
    async def __call__(self, input):
        return "object"


@pytest.mark.parametrize(
    ("function", "answer"),
    [
        (Callable(), "object"),
        (partial(lambda by, input: by, "partial"), "partial"),
        (lambda input, extra="default": extra, "default"),
        (lambda input, *rest: len(rest), 0),
    ],
)
async def test_whatever_can_be_called_can_answer(function, answer):
    async with running(Operations("a", [Operation(spec("a/b"), function)])) as home:
        assert await home.client(None).invoke("/a/b") == answer


# What it answers.


async def many(input):
    yield {"name": "fine"}
    yield 7


LIARS = (
    Operation(spec("pets/plain", output_schema={"type": "string"}), lambda input: 7),
    Operation(spec("pets/waits", output_schema=NAMED), single),
    Operation(spec("pets/many", "subscription", output_schema=NAMED), many),
)


@pytest.mark.parametrize(
    ("name", "why"),
    [("plain", "expected string"), ("waits", "expected object"), ("many", "expected object")],
)
async def test_an_answer_that_is_not_as_promised_is_an_error_in_tests(name, why):
    async with run([Operations("pets", LIARS)]) as node, connected(node) as client:
        for asked in (node.client, client):
            with pytest.raises(Internal, match=f"pets/{name} has answered .* not promise: {why}"):
                if name == "many":
                    async with asked.invoke_stream("/head/pets/many") as items:
                        assert await anext(items) == {"name": "fine"}
                        await anext(items)
                else:
                    await asked.invoke(f"/head/pets/{name}")


async def test_elsewhere_it_is_counted_and_logged_and_goes_on_its_way():
    async with running(Operations("pets", LIARS)) as home, linked(home, identity=ROOT) as link:
        with structlog.testing.capture_logs() as lines:
            for client in (home.client(ROOT), link.client):
                assert await client.invoke("/pets/plain") == 7
                async with client.invoke_stream("/pets/many") as items:
                    assert [item async for item in items] == [{"name": "fine"}, 7]
        told = [line for line in lines if line["event"] == "answer does not fit"]

    assert len(told) == 4
    assert told[0]["operation"] == "pets/plain"
    assert told[0]["why"] == "expected string"
    assert home.registry.find("pets/plain").measure.misfits == 2
    assert home.registry.find("pets/many").measure.misfits == 2


@operation("typed/lie")
class Lie(Request[list[int]], frozen=True):
    """Answer something else."""


class Typed(Service, namespace="typed"):
    @handler(concurrent=True)
    def lie(self, _: Lie) -> list[int]:
        return [1, "two"]


async def test_a_typed_answer_is_held_to_its_type_in_tests():
    async with run([Typed()]) as node:
        with pytest.raises(Internal, match=r"typed/lie has answered .*`int`, got `str`"):
            await node.client.call(Lie())
        stats = await node.client.call(Stats())
    [lie] = [each for each in stats.operations if each.name == "typed/lie"]
    assert (lie.misfits, lie.errors) == (1, {"INTERNAL": 1})


async def test_elsewhere_some_typed_answers_are_looked_at_and_most_cost_nothing():
    """The first, and one every ten seconds in a node: a call between those is run as it stands."""
    async with running(Typed()) as home, linked(home, identity=ROOT) as link:
        entry = home.registry.find("typed/lie")
        with structlog.testing.capture_logs() as lines:
            assert await home.client(ROOT).call(Lie()) == [1, "two"]
            for _ in range(20):
                await home.client(ROOT).call(Lie())
            assert entry.measure.misfits == 1
            service = entry.endpoint.service
            assert entry.endpoint.method == service.lie, "nothing stands around the handler"
            actor = Actor(service)
            [again] = actor.entries()
            for _ in range(2):
                again.endpoint.method(Lie())
            actor.sample()
            for _ in range(2):
                again.endpoint.method(Lie())
            assert again.measure.misfits == 2
            with pytest.raises(RemoteProtocolError, match="is not what its request type promises"):
                await link.client.call(Lie())
    assert {line["why"] for line in lines} == {"`[1]`: expected `int`, got `str`"}


async def test_a_node_looks_again_every_now_and_then(autojump_clock):
    settings = Settings(services={"auth": AuthSettings()})
    async with open_node(settings, services=[Typed()]) as node:
        counted = []
        for _ in range(3):
            for _ in range(5):
                await node.client.call(Lie())
            counted.append(node.dispatcher.registry.find("typed/lie").measure.misfits)
            await trio.sleep(10.5)
    assert counted == [1, 2, 3]


async def test_a_confidential_answer_is_written_nowhere_without_need():
    @operation("typed/secret", confidential=True)
    class Secret(Request[int], frozen=True):
        """Answer with a secret."""

    class Keeper(Service, namespace="typed"):
        @handler(concurrent=True)
        def secret(self, _: Secret) -> int:
            return "hunter2"

    async with running(Keeper()) as home:
        with structlog.testing.capture_logs() as lines:
            assert await home.client(ROOT).call(Secret()) == "hunter2"
        assert (lines, home.registry.find("typed/secret").measure.misfits) == ([], 0)


async def test_what_json_has_not_becomes_what_it_has_near_as_far():
    odd = {"pair": (1, {2}), 3: b"\xff", "deep": [({"a": ()},)]}
    async with running(Operations("a", [Operation(spec("a/b"), lambda input: odd)])) as home:
        for format in ("json", "msgpack"):
            async with linked(home, format=format) as link:
                for client in (link.client, home.client(None)):
                    assert await client.invoke("/a/b") == {
                        "pair": [1, [2]],
                        "3": "/w==",
                        "deep": [[{"a": []}]],
                    }


async def test_what_a_caller_gets_is_its_own():
    kept = {"tags": ["a"]}
    async with running(Operations("a", [Operation(spec("a/b"), lambda input: kept)])) as home:
        answer = await home.client(None).invoke("/a/b")
        answer["tags"].append("b")
    assert kept == {"tags": ["a"]}


# Composing.


@operation("shop/sell")
class Sell(Request[Adopted], frozen=True):
    """Have a pet adopted."""


class Shop(Service, namespace="shop"):
    @handler(concurrent=True, uses=(Adopt,))
    async def sell(self, _: Sell, context: Context) -> Adopted:
        return await context.env.call(Adopt("Ann"))


async def sell(input, context):
    return await context.env.invoke("/head/pets/adopt", {"name": "Ann"})


async def test_it_is_composed_and_composes_with_what_it_declares():
    pets = Operations("pets", [*PETS, Operation(spec("pets/sell"), sell, uses=("pets/adopt",))])
    async with running(pets, Shop()) as home:
        ann = home.client(Identity("ann"))
        assert await ann.call(Sell()) == Adopted("Ann", "ann")
        assert await ann.invoke("/pets/sell") == {"name": "Ann", "by": "ann"}
        with pytest.raises(Forbidden):
            await ann.invoke("/pets/adopt", {"name": "Ann"})


async def test_what_is_composed_without_being_declared_is_refused():
    undeclared = Operations("pets", [*PETS, Operation(spec("pets/sell"), sell)])
    async with running(undeclared) as home:
        with pytest.raises(Forbidden, match="pets/sell has not declared that it uses pets/adopt"):
            await home.client(ROOT).invoke("/pets/sell")


async def test_what_a_handler_composes_is_found_at_a_peer_when_it_is_not_here():
    """Of several, each in its turn, and the peer makes its own check."""
    asked = []

    def pets(where):
        async def adopt(input, context):
            asked.append(where)
            return {"name": input["name"], "by": context.identity.id}

        return Operations("pets", [Operation(ADOPT, adopt)])

    async with (
        running(Shop()) as home,
        working(home, pets("one"), name="worker-1", grant=("pets:*",)),
        working(home, pets("two"), name="worker-2", grant=("pets:*",)),
    ):
        ann = home.client(Identity("ann", frozenset({"pets:adopt"})))
        for _ in range(4):
            assert await ann.call(Sell()) == Adopted("Ann", "ann")
        assert sorted(asked) == ["one", "one", "two", "two"]
        with pytest.raises(Forbidden, match="pets:adopt"):
            await home.client(Identity("bob")).call(Sell())
        with pytest.raises(NotFound):
            await ann.call(Adopt("Ann"))  # nobody asks elsewhere for who composes nothing
