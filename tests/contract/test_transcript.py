"""The transcript of every type of envelope, both ways: these bytes in, those bytes out.

A line that begins with `>` is what a client sends, one with `<` what the node sends, to the byte.
The same conversations are had in msgpack, written by a library that is not ours from the same maps
in the same order. Where the node asks something of its own, the test says so beside the lines.
"""

import json
import re
from pathlib import Path

import msgpack
import pytest
import trio

from alknet import open_node
from alknet.services.auth.keyset import Peer

from ..call.test_relay import Haggle, Shop, Total
from ..echo import Echo
from ..people import node_settings
from .plain import plain_client, private_key

PRIVATE, LISTED = private_key()
FORMATS = {
    "json": lambda line: line.encode(),
    "msgpack": lambda line: msgpack.packb(json.loads(line)),
}

CONVERSATIONS = {
    "a call": """
> {"type":"call.requested","id":"1","payload":{"operationId":"/head/echo/say","input":{"text":"hi"}}}
< {"type":"call.responded","id":"1","payload":{"output":"hi"}}
""",
    "calls side by side": """
> {"type":"call.requested","id":"1","payload":{"operationId":"/head/echo/hold","input":{}}}
> {"type":"call.requested","id":"2","payload":{"operationId":"/head/echo/say","input":{"text":"é"}}}
< {"type":"call.responded","id":"2","payload":{"output":"é"}}
> {"type":"call.aborted","id":"1","payload":{}}
""",
    "a call that fails": """
> {"type":"call.requested","id":"1","payload":{"operationId":"/head/echo/fail","input":{}}}
< {"type":"call.error","id":"1","payload":{"code":"NOT_FOUND","message":"there is no such thing","retryable":false,"details":{"thing":7}}}
""",
    "an id that is in use": """
> {"type":"call.requested","id":"1","payload":{"operationId":"/head/echo/ticks","input":{}}}
< {"type":"call.responded","id":"1","payload":{"output":0}}
> {"type":"call.requested","id":"1","payload":{"operationId":"/head/echo/ticks","input":{}}}
< {"type":"call.error","id":"1","payload":{"code":"INVALID_INPUT","message":"the request id '1' is in use; give every call on a link its own","retryable":false}}
""",
    "a subscription on credit, to its end": """
> {"type":"call.requested","id":"1","payload":{"operationId":"/head/echo/count","window":2,"input":{"to":3}}}
< {"type":"call.responded","id":"1","payload":{"output":0}}
< {"type":"call.responded","id":"1","payload":{"output":1}}
> {"type":"call.credit","id":"1","payload":{"items":2}}
< {"type":"call.responded","id":"1","payload":{"output":2}}
< {"type":"call.completed","id":"1","payload":{}}
""",
    "a subscription that is given up": """
> {"type":"call.requested","id":"1","payload":{"operationId":"/head/echo/ticks","input":{}}}
< {"type":"call.responded","id":"1","payload":{"output":0}}
> {"type":"call.aborted","id":"1","payload":{}}
> {"type":"call.requested","id":"1","payload":{"operationId":"/head/echo/say","input":{"text":"the id is free again"}}}
< {"type":"call.responded","id":"1","payload":{"output":"the id is free again"}}
""",
    "an upload": """
> {"type":"call.requested","id":"1","payload":{"operationId":"/head/shop/total","input":{}}}
< {"type":"call.credit","id":"1","payload":{"items":64}}
> {"type":"call.item","id":"1","payload":{"item":40}}
> {"type":"call.item","id":"1","payload":{"item":2}}
> {"type":"call.finished","id":"1","payload":{}}
< {"type":"call.responded","id":"1","payload":{"output":42}}
""",
    "a duplex": """
> {"type":"call.requested","id":"1","payload":{"operationId":"/head/shop/haggle","window":10,"input":{}}}
< {"type":"call.credit","id":"1","payload":{"items":64}}
> {"type":"call.item","id":"1","payload":{"item":10}}
< {"type":"call.responded","id":"1","payload":{"output":11}}
> {"type":"call.finished","id":"1","payload":{}}
< {"type":"call.completed","id":"1","payload":{}}
""",
    "a ping": """
> {"type":"link.ping","id":"7","payload":{}}
< {"type":"link.pong","id":"7","payload":{}}
""",
    "a pong, and a type that is not known: nothing follows": """
> {"type":"link.pong","id":"7","payload":{}}
> {"type":"call.invented-later","id":"7","payload":{"anything":true}}
> {"type":"link.ping","id":"8","payload":{}}
< {"type":"link.pong","id":"8","payload":{}}
""",
    "the end of a link whose peer breaks the protocol": """
> {"type":"call.requested","id":"1","payload":{}}
< {"type":"call.error","id":"","payload":{"code":"INVALID_INPUT","message":"malformed envelope at byte WHERE: payload.operationId: missing","retryable":false}}
""",
}

# What a client answers that has registered operations of its own.
REGISTERS = """
> {"type":"call.requested","id":"1","payload":{"operationId":"/head/services/register","input":{"operations":[{"name":"shop/total","namespace":"shop","kind":"upload","description":""},{"name":"shop/haggle","namespace":"shop","kind":"duplex","description":""},{"name":"plain/count","namespace":"plain","kind":"subscription","description":""}]}}}
< {"type":"call.responded","id":"1","payload":{"output":{"node":"plain","operations":3}}}
"""
STREAMS = """
< {"type":"call.requested","id":"~1","payload":{"operationId":"/head/plain/count","window":2,"input":{"to":9}}}
> {"type":"call.responded","id":"~1","payload":{"output":0}}
< {"type":"call.credit","id":"~1","payload":{"items":1}}
> {"type":"call.responded","id":"~1","payload":{"output":1}}
< {"type":"call.credit","id":"~1","payload":{"items":1}}
> {"type":"call.completed","id":"~1","payload":{}}
"""
LEAVES = """
< {"type":"call.requested","id":"~1","payload":{"operationId":"/head/plain/count","window":2,"input":{}}}
> {"type":"call.responded","id":"~1","payload":{"output":0}}
< {"type":"call.credit","id":"~1","payload":{"items":1}}
< {"type":"call.aborted","id":"~1","payload":{}}
"""
FAILS = """
< {"type":"call.requested","id":"~1","payload":{"operationId":"/head/plain/count","window":2,"input":{}}}
> {"type":"call.error","id":"~1","payload":{"code":"NOT_FOUND","message":"no","retryable":false}}
"""
UPLOADS = """
< {"type":"call.requested","id":"~1","payload":{"operationId":"/head/shop/total","input":{}}}
> {"type":"call.credit","id":"~1","payload":{"items":9}}
< {"type":"call.item","id":"~1","payload":{"item":40}}
< {"type":"call.item","id":"~1","payload":{"item":2}}
< {"type":"call.finished","id":"~1","payload":{}}
> {"type":"call.responded","id":"~1","payload":{"output":42}}
"""
TALKS = """
< {"type":"call.requested","id":"~1","payload":{"operationId":"/head/shop/haggle","window":64,"input":{}}}
> {"type":"call.credit","id":"~1","payload":{"items":9}}
< {"type":"call.item","id":"~1","payload":{"item":10}}
> {"type":"call.responded","id":"~1","payload":{"output":11}}
< {"type":"call.finished","id":"~1","payload":{}}
> {"type":"call.completed","id":"~1","payload":{}}
"""


@pytest.fixture(params=sorted(FORMATS))
def format(request):
    return request.param


@pytest.fixture
async def node(keyring):
    settings = node_settings(Peer("plain", (LISTED,), frozenset({"*"})))
    async with open_node(settings, keyring=keyring, services=[Echo(), Shop()]) as node:
        yield node


@pytest.fixture
async def client(node, format):
    opened = plain_client(node.url, PRIVATE, subprotocols=[f"alknet.{format}"])
    async with opened as client:
        yield client


def lines(conversation):
    return [(line[0], line[2:]) for line in conversation.strip().splitlines()]


async def have(client, format, conversation):
    """Say and hear the lines of *conversation*, one after the other."""
    written = FORMATS[format]
    with trio.fail_after(10):
        for mark, line in lines(conversation):
            if mark == ">":
                await client.socket.send_message(written(line))
                continue
            heard = await client.socket.get_message()
            # Where a fault is differs with the format; everything else does not.
            found = re.search(rb"at byte (\d+)", heard)
            assert heard == written(line.replace("WHERE", found[1].decode() if found else ""))


@pytest.mark.parametrize("what", CONVERSATIONS)
async def test_what_a_client_asks(client, format, what):
    await have(client, format, CONVERSATIONS[what])


async def test_a_subscription_that_the_node_asks_for(node, client, format):
    await have(client, format, REGISTERS)
    found = []

    async def read():
        async with node.client.invoke_stream("/plain/plain/count", {"to": 9}, window=2) as items:
            found.extend([item async for item in items])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await have(client, format, STREAMS)
    assert found == [0, 1]


async def test_a_subscription_that_the_node_gives_up(node, client, format):
    await have(client, format, REGISTERS)

    async def read():
        async with node.client.invoke_stream("/plain/plain/count", window=2) as items:
            assert await anext(items) == 0

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await have(client, format, LEAVES)


async def test_an_error_that_the_client_answers_with(node, client, format):
    await have(client, format, REGISTERS)
    found = []

    async def read():
        with pytest.raises(Exception, match="no") as caught:
            async with node.client.invoke_stream("/plain/plain/count", window=2) as items:
                await anext(items)
        found.append(caught.value.code)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await have(client, format, FAILS)
    assert found == ["NOT_FOUND"]


async def test_an_upload_of_the_nodes(node, client, format):
    await have(client, format, REGISTERS)
    found = []

    async def send():
        found.append(await node.client.upload(Total(), [40, 2], node="plain"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await have(client, format, UPLOADS)
    assert found == [42]


async def test_a_duplex_of_the_nodes(node, client, format):
    await have(client, format, REGISTERS)
    found = []

    async def talk():
        async with node.client.duplex(Haggle(), node="plain") as offers:
            await offers.send(10)
            found.append(await anext(offers))
            offers.finish_sending()
            found.extend([each async for each in offers])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk)
        await have(client, format, TALKS)
    assert found == [11]


def test_no_type_of_envelope_is_without_a_transcript():
    """Neither in what a client may send nor in what a node does, which pings nobody unasked."""
    source = Path(__file__).parents[2] / "rust/core/src/envelope/kind.rs"
    known = set(re.findall(r'b"((?:call|link)\.\w+)"', source.read_text()))
    spoken = {">": set(), "<": set()}
    own = (REGISTERS, STREAMS, LEAVES, FAILS, UPLOADS, TALKS)
    for conversation in (*CONVERSATIONS.values(), *own):
        for mark, line in lines(conversation):
            spoken[mark].add(json.loads(line)["type"])

    assert len(known) == 10
    assert known <= spoken[">"]
    assert known - {"link.ping"} <= spoken["<"]
