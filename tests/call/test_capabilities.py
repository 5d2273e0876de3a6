"""Capabilities: lent by the node to the handlers that declare them, and to nobody else."""

import copy
import pickle

import pytest

from alknet import (
    Context,
    Operation,
    Operations,
    OperationSpec,
    Request,
    Service,
    connect,
    handler,
    operation,
)
from alknet.call.capabilities import Capabilities
from alknet.call.payload import encode
from alknet.errors import Forbidden, Unavailable
from alknet.testing import connected, introduce, road_to
from alknet.testing import node as run

SECRET = "hunter2"


@operation("agent/ask")
class Ask(Request[str], frozen=True):
    """Say what the capability called `name` is."""

    name: str


@operation("agent/through")
class Through(Request[str], frozen=True):
    """The same, through another operation that declares nothing."""

    name: str


@operation("agent/bare")
class Bare(Request[str], frozen=True):
    """The same, by a handler that declares nothing."""

    name: str


class Agent(Service, namespace="agent"):
    @handler(concurrent=True, needs=("llm", "mail"))
    def ask(self, request: Ask, context: Context) -> str:
        return context.capabilities.get(request.name)

    @handler(concurrent=True, needs=("llm",), uses=(Bare,))
    async def through(self, request: Through, context: Context) -> str:
        return await context.env.call(Bare(request.name))

    @handler(concurrent=True)
    def bare(self, request: Bare, context: Context) -> str:
        return context.capabilities.get(request.name)


def by_hand(input, context):
    return sorted(context.capabilities)


MADE = Operation(
    OperationSpec(name="made/names", kind="query"), by_hand, needs=("llm", "mail", "nothing")
)


@pytest.fixture
async def node():
    held = {"llm": SECRET, "mail": "the mail", "other": "not declared"}
    async with run([Agent(), Operations("made", [MADE])], capabilities=held) as node:
        yield node


async def test_a_handler_has_what_it_declares_and_nothing_else(node):
    assert await node.client.call(Ask("llm")) == SECRET
    assert await node.client.invoke("/head/made/names") == ["llm", "mail"]
    with pytest.raises(Forbidden, match="agent/ask has not declared that it needs 'other'"):
        await node.client.call(Ask("other"))


async def test_a_callee_has_its_own_and_not_its_callers(node):
    with pytest.raises(Forbidden, match="agent/bare has not declared that it needs 'llm'"):
        await node.client.call(Through("llm"))


async def test_what_the_node_was_not_given_is_said_with_what_to_do():
    async with run([Agent()]) as node:
        with pytest.raises(Unavailable, match=r"pass it to open_node\(capabilities=") as caught:
            await node.client.call(Ask("llm"))
    assert not caught.value.retryable


async def test_a_worker_has_its_own_and_not_its_heads(node):
    """They have no way onto the wire: what a head composes at a worker acts with the worker's."""
    async with connected(node) as client:
        async with connected(node, name="w", services=[Agent()]):
            with pytest.raises(Unavailable, match="agent/ask needs 'llm'"):
                await client.call(Ask("llm"), node="w")
        async with connect(
            f"memory://{node.name}",
            identity=await introduce(node, "w"),
            services=[Agent()],
            capabilities={"llm": "the worker's"},
            dial=road_to(node),
        ):
            assert await client.call(Ask("llm"), node="w") == "the worker's"


def test_they_are_never_shown_nor_written_nor_copied():
    lent = Capabilities({"llm": SECRET, "other": 1}, frozenset({"llm"}), "agent/ask")

    assert repr(lent) == f"{lent}" == "<Capabilities llm>"
    assert ("llm" in lent, "other" in lent) == (True, False)
    for write in (pickle.dumps, copy.copy, copy.deepcopy, lambda it: encode(it, "json")):
        with pytest.raises(TypeError) as caught:
            write(lent)
        assert SECRET not in str(caught.value)
