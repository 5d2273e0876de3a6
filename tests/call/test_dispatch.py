"""The hot path: where a path leads, who asks, and that every road ends in one outcome."""

import json
import time

import msgspec
import pytest
import structlog
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from alknet import Context, Request, Service, handler, operation
from alknet._core.envelope import CallFailed, CallResponded
from alknet.call.dispatch import Dispatcher
from alknet.call.invocation import Entry
from alknet.call.operation import OperationSpec
from alknet.call.payload import PayloadType
from alknet.call.registry import Registry
from alknet.errors import Forbidden, InvalidInput
from alknet.identity import Identity

from .. import orphans
from ..echo import Echo, Whisper
from ..linked import facing, linked, running
from ..people import ALICE, NOBODY_MUCH


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        ("/head/secrets/derive", (None, "secrets/derive")),
        ("head/secrets/derive", (None, "secrets/derive")),
        ("/mine/secrets/derive", (None, "secrets/derive")),
        ("/secrets/derive", (None, "secrets/derive")),
        ("secrets/derive", (None, "secrets/derive")),
        ("secrets.derive", (None, "secrets/derive")),
        ("/worker-1/echo/shout", ("worker-1", "echo/shout")),
        ("/worker-1/echo/loud/shout", ("worker-1", "echo/loud/shout")),
        ("/any/echo/shout", ("any", "echo/shout")),
        ("/head/worker-1/echo/shout", ("worker-1", "echo/shout")),
        ("/mine/any/echo/shout", ("any", "echo/shout")),
        ("/worker-1/worker-2/echo/shout", ("worker-1", "worker-2/echo/shout")),
        ("/head/head/echo/shout", ("head", "echo/shout")),
    ],
)
def test_a_path_leads_to_a_node_and_an_operation(path, leads_to):
    assert Dispatcher(Registry(), "mine").split(path) == leads_to


def test_a_name_of_three_words_needs_no_node_before_it():
    """What is here goes before what a peer of that name may have."""
    dispatcher = Dispatcher(Registry(), "mine")
    spec = OperationSpec(name="docker/container/list", kind="query")
    anything = PayloadType(object)
    dispatcher.registry.add([Entry(spec, None, input=anything, output=anything)])

    assert dispatcher.split("/docker/container/list") == (None, "docker/container/list")
    assert dispatcher.split("/docker/container/stop") == ("docker", "container/stop")


@pytest.mark.parametrize("path", ["", "/", "//", "derive", "/derive", "/head/", "/head//derive"])
def test_a_path_without_an_operation_shows_how_to_write_one(path):
    with pytest.raises(InvalidInput) as caught:
        Dispatcher(Registry(), "mine").split(path)
    assert str(caught.value) == (
        f"{path!r} names no operation: write /node/service/operation, as in /head/secrets/derive"
    )


@given(st.text(max_size=30))
def test_no_path_does_worse_than_being_refused(path):
    try:
        node, name = Dispatcher(Registry(), "mine").split(path)
    except InvalidInput:
        return
    assert name
    assert node not in ("head", "mine", "")


# Who asks.


async def test_what_a_caller_says_of_itself_in_a_payload_is_nobody():
    async with running(Echo()) as dispatcher, facing(dispatcher, identity=ALICE) as (_, peer):
        await peer.say(
            json.dumps(
                {
                    "type": "call.requested",
                    "id": "1",
                    "payload": {
                        "operationId": "/echo/whoami",
                        "input": {},
                        "identity": {"id": "root", "scopes": ["*"]},
                        "trusted": True,
                        "forwarded_for": {"id": "root", "scopes": ["*"]},
                    },
                    "identity": {"id": "root"},
                }
            ).encode()
        )

        assert (await peer.hear()).output == b'"alice"'


async def test_a_forwarder_speaks_for_another_with_the_rights_that_both_have():
    head = Identity("head", frozenset({"identity:forward", "echo:count"}))
    async with running(Echo()) as dispatcher, facing(dispatcher, identity=head) as (_, peer):
        for request_id, operation_, scopes, outcome in [
            ("1", "/echo/whoami", ["*"], CallResponded),
            ("2", "/echo/shout", ["*"], CallFailed),
            ("3", "/echo/count", ["echo:*"], CallResponded),
            ("4", "/echo/count", [], CallFailed),
        ]:
            forwarded = json.dumps({"id": "bob", "scopes": scopes}).encode()
            input_ = b'{"text": "x"}' if request_id == "2" else b'{"to": 1}'
            peer.encoder.requested(
                request_id,
                operation_,
                b"{}" if request_id == "1" else input_,
                forwarded_for=forwarded,
            )
            await peer.send()
            event = await peer.hear()
            while event.id != request_id:
                event = await peer.hear()
            assert type(event) is outcome, request_id
            if request_id == "1":
                assert event.output == b'"bob"'


async def test_what_was_allowed_for_oneself_is_not_allowed_for_another():
    """The memory of what a link may call is about the link's own identity alone."""
    head = Identity("head", frozenset({"identity:forward", "echo:*"}))
    async with running(Echo()) as dispatcher, facing(dispatcher, identity=head) as (_, peer):
        for request_id, forwarded in [
            ("1", None),
            ("2", b'{"id": "bob", "scopes": []}'),
            ("3", None),
        ]:
            peer.encoder.requested(
                request_id, "/echo/shout", b'{"text": "x"}', forwarded_for=forwarded
            )
        await peer.send()
        outcomes = [type(await peer.hear()) for _ in range(3)]

    assert outcomes == [CallResponded, CallFailed, CallResponded]


@pytest.mark.parametrize("forwarded", [b"7", b'{"id": 7}', b'{"scopes": []}', b"[]"])
async def test_a_forwarded_identity_that_is_none_is_refused(forwarded):
    head = Identity("head", frozenset({"identity:forward"}))
    async with running(Echo()) as dispatcher, facing(dispatcher, identity=head) as (_, peer):
        peer.encoder.requested("1", "/echo/whoami", b"{}", forwarded_for=forwarded)
        await peer.send()

        assert (await peer.hear()).code == "INVALID_INPUT"


async def test_a_token_with_a_call_is_refused_rather_than_passed_over():
    async with running(Echo()) as dispatcher, facing(dispatcher) as (_, peer):
        for _ in range(2):
            peer.encoder.requested("1", "/echo/whoami", b"{}", auth_token="hunter2")
            await peer.send()
            event = await peer.hear()
            assert event.code == "UNAUTHENTICATED"
            assert "hunter2" not in event.message
            peer.encoder.requested("2", "/echo/whoami", b"{}")
            await peer.send()
            assert (await peer.hear()).output == b'"alice"'


# Confidential operations.


async def test_what_carries_secrets_does_not_travel_where_others_can_listen():
    async with running(Echo()) as dispatcher:
        async with linked(dispatcher, is_confidential=False) as link:
            for _ in range(2):
                with pytest.raises(Forbidden, match=r"use TLS \(wss://\)"):
                    await link.client.invoke("/echo/whisper", {"text": "x"})
            with pytest.raises(Forbidden, match="was not sent to"):
                await link.client.call(Whisper("x"))
            assert not link.near.encoder.pending
            assert await link.client.invoke("/echo/shout", {"text": "x"}) == "X"
        async with linked(dispatcher, is_confidential=True) as link:
            assert await link.client.call(Whisper("x")) == "x"


async def test_a_refused_call_is_refused_before_its_input_is_read():
    """Who may not call learns nothing of what would fit."""
    async with running(Echo()) as dispatcher:
        async with linked(dispatcher, identity=NOBODY_MUCH) as link:
            with pytest.raises(Forbidden):
                await link.client.invoke("/echo/shout", {"nonsense": 1})


# Time.


async def test_a_call_that_arrives_after_its_deadline_is_told_so_and_never_begins():
    echo = Echo()
    async with running(echo) as dispatcher, facing(dispatcher) as (_, peer):
        late = int((time.time() - 1) * 1000)
        for deadline_ms in (late, 1):
            peer.encoder.requested("1", "/echo/hold", b"{}", deadline_ms=deadline_ms)
            await peer.send()
            event = await peer.hear()
            assert event.code == "TIMEOUT"
            assert event.message == "the deadline of echo/hold was over when it arrived"
        await wait_all_tasks_blocked()

        assert echo.begun == 0


@pytest.mark.parametrize("deadline_ms", [2**63 - 1, 2**53])
async def test_a_deadline_beyond_all_clocks_is_no_deadline(deadline_ms):
    async with running(Echo()) as dispatcher, facing(dispatcher) as (_, peer):
        peer.encoder.requested("1", "/echo/say", b'{"text": "x"}', deadline_ms=deadline_ms)
        await peer.send()

        assert (await peer.hear()).output == b'"x"'


# What a handler is told.


async def test_the_context_holds_what_came_with_the_call():
    seen = []

    @operation("spy/look")
    class Look(Request[None], frozen=True):
        """Look around."""

    class Spy(Service, namespace="spy"):
        @handler(concurrent=True)
        def look(self, _: Look, context: Context) -> None:
            seen.append(context)

    async with running(Spy()) as dispatcher, facing(dispatcher) as (session, peer):
        peer.encoder.requested(
            "7", "/spy/look", b"{}", parent_id="3", metadata=b'{"a": [1]}', deadline_ms=2**50
        )
        peer.encoder.requested("8", "/spy/look", b"{}", metadata=b"[1]")
        await peer.send()
        await peer.hear()
        await peer.hear()
        first, second = seen

        assert first.request_id == "7"
        assert first.parent_id == "3"
        assert first.metadata == {"a": [1]}
        assert first.identity is ALICE
        assert first.session is session
        assert first.deadline > trio.current_time() + 1e6
        assert second.metadata is None


# A request type whose own code fails.


@operation("bad/type")
class Bad(Request[None], frozen=True):
    """Fail while it is read."""

    text: str

    def __post_init__(self):
        if self.text == "value":
            raise ValueError("must not be that")
        raise KeyError(self.text)


class BadService(Service, namespace="bad"):
    @handler
    async def type(self, _: Bad) -> None: ...


async def test_a_request_type_that_fails_to_be_read_costs_one_call_and_not_the_link():
    async with running(BadService(), Echo()) as dispatcher, facing(dispatcher) as (_, peer):
        with structlog.testing.capture_logs() as logs:
            peer.encoder.requested("1", "/bad/type", b'{"text": "value"}')
            peer.encoder.requested("2", "/bad/type", b'{"text": "hunter2"}')
            peer.encoder.requested("3", "/echo/say", b'{"text": "x"}')
            await peer.send()
            one, two, three = [await peer.hear() for _ in range(3)]

    assert (one.code, one.message) == (
        "INVALID_INPUT",
        "the input does not fit: must not be that",
    )
    assert two.code == "INTERNAL"
    assert "hunter2" not in two.message
    assert three.output == b'"x"'
    assert any("KeyError" in line.get("cause", "") for line in logs)


# Streams as a plain client asks for them.


async def test_a_caller_that_names_no_window_gets_every_item():
    async with running(Echo()) as dispatcher, facing(dispatcher) as (_, peer):
        peer.encoder.requested("1", "/echo/count", b'{"to": 500}')
        await peer.send()

        assert [(await peer.hear()).output for _ in range(500)] == [
            str(number).encode() for number in range(500)
        ]
        assert type(await peer.hear()).__name__ == "CallCompleted"


async def test_a_caller_gets_no_more_items_than_it_has_granted(autojump_clock):
    async with running(Echo()) as dispatcher, facing(dispatcher) as (session, peer):
        peer.encoder.requested("1", "/echo/count", b'{"to": 1000}', window=2)
        heard = 0
        for granted, more in [(2, 3), (3, 1), (1, 7), (7, 1)]:
            await peer.send()
            for _ in range(granted):
                assert (await peer.hear()).output == str(heard).encode()
                heard += 1
            with trio.move_on_after(0.01) as too_many:
                await peer.hear()
            assert too_many.cancelled_caught
            peer.encoder.credit("1", more)
        assert session.inbound


@given(st.binary(max_size=60), st.sampled_from(["json", "msgpack"]))
def test_no_input_does_worse_than_being_refused(raw, format):
    """Whatever a peer writes as input ends in an answer, or in the end of its link."""

    async def main():
        async with running(Echo()) as dispatcher, facing(dispatcher, format=format) as (_, peer):
            envelope = {
                "type": "call.requested",
                "id": "1",
                "payload": {"operationId": "/echo/say", "input": msgspec.Raw(raw)},
            }
            encode = msgspec.json.encode if format == "json" else msgspec.msgpack.encode
            await peer.say(encode(envelope))
            with trio.fail_after(5):
                event = await peer.hear()
            assert isinstance(event, CallFailed | CallResponded)

    with structlog.testing.capture_logs():
        orphans.run(main)
