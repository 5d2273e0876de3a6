"""The first request of a WebSocket: tokens that it brings, and pages that it comes from."""

import hashlib
import json
import time

import msgspec
import pytest
import trio
from trio_websocket import open_websocket_url

from alknet import open_node
from alknet.protocol.config import RateLimits, ReloadRateLimits
from alknet.services.auth.keyset import Token
from alknet.services.auth.tokens import sign_token

from ..echo import Echo
from ..people import ALICE_KEY, node_settings
from .test_rfc6455 import WHOLE, asked

TOKEN = "a-token-of-the-tests"
CI = Token("ci", "sha256:" + hashlib.sha256(TOKEN.encode()).hexdigest(), frozenset({"echo:*"}))
PAGE = "https://app.example"


def port(node):
    return int(node.url.rpartition(":")[2])


@pytest.fixture
async def node(keyring):
    settings = node_settings(tokens=(CI,))
    own = msgspec.structs.replace(settings.node, origins=(PAGE,))
    settings = msgspec.structs.replace(settings, node=own)
    async with open_node(settings, keyring=keyring, services=[Echo()]) as node:
        yield node


def with_field(name, value):
    return WHOLE.replace(b"\r\n\r\n", f"\r\n{name}: {value}\r\n\r\n".encode())


async def test_who_brings_a_token_is_let_in_at_once_and_may_call(node):
    """By a client that is not ours."""
    bearer = [(b"Authorization", f"Bearer {TOKEN}".encode())]
    async with open_websocket_url(node.url + "/alknet/call", extra_headers=bearer) as socket:
        accepted = json.loads(await socket.get_message())
        assert accepted["type"] == "auth.accepted"
        assert accepted["payload"] == {"peer_id": "ci", "scopes": ["echo:*"], "signature": None}
        call = {"operationId": "/echo/say", "input": {"text": "hi"}}
        await socket.send_message(
            json.dumps({"type": "call.requested", "id": "1", "payload": call})
        )
        assert json.loads(await socket.get_message())["payload"] == {"output": "hi"}


async def test_a_signed_token_lets_its_owner_in_once(node):
    key_id = hashlib.sha256(ALICE_KEY.public_key).digest()
    token = f"Bearer {sign_token(ALICE_KEY, key_id, time.time())}"
    bearer = [(b"Authorization", token.encode())]
    async with open_websocket_url(node.url + "/alknet/call", extra_headers=bearer) as socket:
        accepted = json.loads(await socket.get_message())
        assert accepted["payload"]["peer_id"] == "alice"

    again = await asked(port(node), with_field("Authorization", token))
    assert again.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("token", ["wrong", TOKEN + "x", ""])
async def test_a_token_that_is_nobodys_is_answered_with_401_and_why(node, token):
    answer = await asked(port(node), with_field("Authorization", f"Bearer {token}"))
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"WWW-Authenticate: Bearer\r\n" in answer
    assert b"token" in answer.partition(b"\r\n\r\n")[2]
    assert TOKEN.encode() not in answer


async def test_tokens_that_are_nobodys_lock_an_address_out(node):
    await node.client.call(ReloadRateLimits(RateLimits(max_auth_attempts=2)))
    wrong = with_field("Authorization", "Bearer wrong")
    for _ in range(2):
        assert (await asked(port(node), wrong)).startswith(b"HTTP/1.1 401 ")

    with pytest.raises((trio.BrokenResourceError, AssertionError, OSError)):
        assert await asked(port(node), WHOLE)


async def test_another_kind_of_authorization_is_passed_over(node):
    answer = await asked(port(node), with_field("Authorization", "Basic YTpi"))
    assert answer.startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (PAGE, 101),
        ("https://evil.example", 403),
        ("http://app.example", 403),
        ("https://app.example:444", 403),
        ("https://app.example.evil.example", 403),
        ("null", 403),
    ],
)
async def test_a_page_calls_from_the_origins_that_are_listed_and_no_other(node, origin, status):
    answer = await asked(port(node), with_field("Origin", origin))
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    if status == 403:
        assert b"its operator can list them as `origins` under [node]" in answer


async def test_by_default_no_page_calls(keyring):
    async with open_node(node_settings(), keyring=keyring) as node:
        answer = await asked(port(node), with_field("Origin", f"http://127.0.0.1:{port(node)}"))
    assert answer.startswith(b"HTTP/1.1 403 ")
