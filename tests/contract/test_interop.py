"""Clients that are not ours: the transcript of every kind of envelope, as JSON and nothing else."""

import base64
import hashlib
import time

import pytest
import trio

from alknet import open_node
from alknet.services.auth.keyset import Peer, Token

from ..call.test_relay import Shop
from ..echo import Echo
from ..people import node_settings
from .plain import plain_client, private_key

PRIVATE, LISTED = private_key()
STRANGER, _ = private_key()
TOKEN = "alk_" + "t" * 40


@pytest.fixture
async def node(keyring):
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    settings = node_settings(
        Peer("plain", (LISTED,), frozenset({"*"})), tokens=(Token("ci", f"sha256:{digest}"),)
    )
    async with open_node(settings, keyring=keyring, services=[Echo(), Shop()]) as node:
        yield node


@pytest.fixture(params=[True, False], ids=["text", "binary"])
async def client(request, node):
    async with plain_client(node.url, PRIVATE, as_text=request.param) as client:
        yield client


def responded(id_, output):
    return {"type": "call.responded", "id": id_, "payload": {"output": output}}


async def test_the_handshake_proves_both_sides_and_says_who_one_is(node):
    async with plain_client(node.url) as client:
        answer = await client.shake_hands(PRIVATE)

    assert answer["type"] == "auth.accepted"
    assert answer["payload"]["peer_id"] == "plain"
    assert answer["payload"]["scopes"] == ["*"]


async def test_a_stranger_is_refused_in_words(node):
    async with plain_client(node.url) as client:
        answer = await client.shake_hands(STRANGER)

    assert answer["type"] == "auth.refused"
    assert "is not listed here" in answer["payload"]["reason"]


async def test_a_call_and_its_answer(client):
    await client.send("call.requested", "1", operationId="/head/echo/say", input={"text": "hi"})

    assert await client.hear() == responded("1", "hi")


async def test_ids_are_the_clients_own(client):
    for id_ in ("1", "0190b3f4-0000-7000-8000-000000000000", "é", "a" * 500):
        await client.send("call.requested", id_, operationId="/echo/say", input={"text": "hi"})
        assert await client.hear() == responded(id_, "hi")


@pytest.mark.parametrize("operation", ["/head/echo/say", "/echo/say", "echo/say", "echo.say"])
async def test_the_older_ways_to_write_an_operation(client, operation):
    await client.send("call.requested", "1", operationId=operation, input={"text": "hi"})

    assert await client.hear() == responded("1", "hi")


async def test_an_id_in_the_payload_will_do(client):
    """As callers of the older dialect write it."""
    await client.say(
        '{"type": "call.requested", "id": "", "payload": '
        '{"requestId": "7", "operationId": "/echo/say", "input": {"text": "hi"}}}'
    )

    assert await client.hear() == responded("7", "hi")


async def test_a_token_with_a_call(client):
    """That call is its owner's; the next one is again whose link it is."""
    for number, (token, owner) in enumerate(((TOKEN, "ci"), (None, "plain"))):
        fields = {} if token is None else {"auth_token": token}
        await client.send("call.requested", str(number), operationId="/echo/whoami", **fields)
        assert await client.hear() == responded(str(number), owner)
    await client.send("call.requested", "9", operationId="/echo/whoami", auth_token="nonsense")

    payload = (await client.hear())["payload"]
    assert (payload["code"], payload["retryable"]) == ("UNAUTHENTICATED", False)


async def test_a_whole_request_of_the_older_dialect(client):
    """Its identity is passed over, a deadline of 0 is none, and the id is in both places."""
    await client.say(
        '{"type": "call.requested", "id": "7", "payload": {"requestId": "7", "operationId": '
        '"echo.whoami", "input": {}, "parentRequestId": "6", "deadline": 0, "idleTimeout": 5000, '
        '"identity": {"id": "root", "scopes": ["*"], "resources": {"a": ["b"]}}, '
        '"metadata": {"trusted": true}}}'
    )

    assert await client.hear() == responded("7", "plain")


async def test_a_subscription_and_its_abort_in_the_older_dialect(node, client):
    echo = node.dispatcher.registry.find("echo/ticks").endpoint.service
    await client.say(
        '{"type": "call.requested", "id": "", "payload": '
        '{"requestId": "8", "operationId": "echo.ticks", "input": {}}}'
    )
    assert await client.hear() == responded("8", 0)
    await echo.has_begun()
    await client.say('{"type": "call.aborted", "id": "", "payload": {"requestId": "8"}}')
    with trio.fail_after(5):
        await echo.has_ended()


@pytest.mark.parametrize(
    "name", ["echo/say", "echo.say", "/echo/say", "/head/echo/say", "head/echo/say"]
)
async def test_an_operation_is_described_however_its_name_is_written(client, name):
    await client.send("call.requested", "1", operationId="services.schema", input={"name": name})

    assert (await client.hear())["payload"]["output"]["name"] == "echo/say"


async def test_bytes_are_base64_both_ways(client):
    await client.send(
        "call.requested",
        "1",
        operationId="/head/secrets/encrypt",
        input={"data": base64.b64encode(b"hello").decode()},
    )
    sealed = (await client.hear())["payload"]["output"]
    await client.send(
        "call.requested", "2", operationId="/head/secrets/decrypt", input={"sealed": sealed}
    )

    answer = await client.hear()
    assert base64.b64decode(answer["payload"]["output"]["data"]) == b"hello"


async def test_an_error(client):
    await client.send("call.requested", "1", operationId="/head/echo/fail", input={})

    assert await client.hear() == {
        "type": "call.error",
        "id": "1",
        "payload": {
            "code": "NOT_FOUND",
            "message": "there is no such thing",
            "retryable": False,
            "details": {"thing": 7},
        },
    }


async def test_a_subscription_with_credit_to_its_end(client):
    await client.send("call.requested", "1", operationId="/echo/count", input={"to": 5}, window=2)
    assert [await client.hear() for _ in range(2)] == [responded("1", 0), responded("1", 1)]
    with trio.move_on_after(0.05) as nothing_more:
        await client.hear()
    assert nothing_more.cancelled_caught
    await client.send("call.credit", "1", items=10)

    assert [await client.hear() for _ in range(3)] == [responded("1", n) for n in (2, 3, 4)]
    assert await client.hear() == {"type": "call.completed", "id": "1", "payload": {}}


async def test_a_subscription_without_a_window_comes_as_it_comes(client):
    await client.send("call.requested", "1", operationId="/echo/count", input={"to": 200})

    assert [await client.hear() for _ in range(200)] == [responded("1", n) for n in range(200)]
    assert (await client.hear())["type"] == "call.completed"


async def test_an_abort(node, client):
    echo = node.dispatcher.registry.find("echo/hold").endpoint.service
    await client.send("call.requested", "1", operationId="/echo/hold", input={})
    await client.send("call.requested", "2", operationId="/echo/ticks", input={})
    assert await client.hear() == responded("2", 0)
    await echo.has_begun(2)
    await client.send("call.aborted", "1")
    await client.send("call.aborted", "2")
    with trio.fail_after(5):
        await echo.has_ended()
    await client.send("call.requested", "3", operationId="/echo/say", input={"text": "hi"})

    assert await client.hear() == responded("3", "hi"), "an aborted call has no answer"


async def test_an_upload(client):
    await client.send("call.requested", "1", operationId="/shop/total", input={})
    assert await client.hear() == {"type": "call.credit", "id": "1", "payload": {"items": 64}}
    for item in (1, 2, 3):
        await client.send("call.item", "1", item=item)
    await client.send("call.finished", "1")

    assert await client.hear() == responded("1", 6)


async def test_a_duplex(client):
    await client.send("call.requested", "1", operationId="/shop/haggle", input={}, window=10)
    assert (await client.hear())["type"] == "call.credit"
    for offer in (1, 10):
        await client.send("call.item", "1", item=offer)
        assert await client.hear() == responded("1", offer + 1)
    await client.send("call.finished", "1")

    assert await client.hear() == {"type": "call.completed", "id": "1", "payload": {}}


async def test_a_deadline_in_unix_milliseconds(client):
    soon = int(time.time() * 1000) + 50
    await client.send("call.requested", "1", operationId="/echo/hold", input={}, deadline=soon)

    answer = await client.hear()
    assert (answer["id"], answer["payload"]["code"]) == ("1", "TIMEOUT")
    assert int(time.time() * 1000) >= soon


async def test_a_ping(client):
    await client.send("link.ping", "7")

    assert await client.hear() == {"type": "link.pong", "id": "7", "payload": {}}


async def test_what_is_unknown_is_passed_over(client):
    await client.send("call.invented-later", "1", anything=True)
    await client.say(
        '{"type": "call.requested", "id": "2", "trace": 1, "payload": {"operationId": '
        '"/echo/say", "input": {"text": "hi"}, "trusted": true, "invented": [1]}}'
    )

    assert await client.hear() == responded("2", "hi")


async def test_discovery(client):
    await client.send("call.requested", "1", operationId="services/list", input={})
    names = {each["name"] for each in (await client.hear())["payload"]["output"]["operations"]}
    assert {"echo/say", "secrets/derive"} <= names
    await client.send(
        "call.requested", "2", operationId="services/schema", input={"name": "echo/say"}
    )

    schema = (await client.hear())["payload"]["output"]
    assert schema["input_schema"]["$defs"]["Say"]["required"] == ["text"]


async def test_a_plain_client_may_be_called_too(node, client):
    """It registers, the head routes to it, and it answers with three lines of JSON."""
    await client.send(
        "call.requested",
        "1",
        operationId="services/register",
        input={
            "operations": [
                {
                    "name": "plain/double",
                    "namespace": "plain",
                    "kind": "query",
                    "description": "Return twice the number.",
                }
            ]
        },
    )
    assert await client.hear() == responded("1", {"node": "plain", "operations": 1})
    answers = []

    async def ask():
        answers.append(await node.client.invoke("/plain/plain/double", {"number": 21}))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        request = await client.hear()
        assert request["type"] == "call.requested"
        assert request["payload"]["operationId"] == "/head/plain/double"
        await client.send(
            "call.responded", request["id"], output=request["payload"]["input"]["number"] * 2
        )

    assert answers == [42]


async def test_the_goodbye_to_who_breaks_the_protocol(client):
    await client.say('{"type": "call.requested", "id": "1", "payload": {}}')
    goodbye = await client.hear()

    assert goodbye["type"] == "call.error"
    assert goodbye["id"] == ""
    assert "operationId: missing" in goodbye["payload"]["message"]
