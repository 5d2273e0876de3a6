"""Nodes of ours over SSH: which node is believed, who is let in, and what is said when not."""

from contextlib import asynccontextmanager

import pytest
import trio

from alknet import connect, open_node
from alknet.errors import Disconnected, Locked, Refused, SettingsError, Unreachable
from alknet.keys import ssh_fingerprint
from alknet.protocol.secret import Lock
from alknet.services.auth.keyset import Peer
from alknet.transport.probe import who_answers
from alknet.transport.ssh import refusal, server, visitor
from alknet.transport.ssh.channels import NODE, Opened
from alknet.transport.trust import Trust
from alknet.wire.limits import Limits

from ..contract.roads import link_over
from ..echo import Echo, Say
from ..forwarding.targets import target
from ..people import ALICE_KEY, STRANGER_KEY, node_key, node_settings
from ..services.keys import certify

SSH = ("ssh://127.0.0.1:0",)


@pytest.fixture
async def node(keyring):
    async with open_node(node_settings(listen=SSH), keyring=keyring, services=[Echo()]) as node:
        yield node


async def fails(error, words, url, identity=ALICE_KEY, **options):
    with trio.fail_after(10), pytest.raises(error, match=words):
        async with connect(url, identity=identity, **options):
            pass


async def test_whom_nobody_vouches_for_is_not_believed(node, keyring):
    expected = node_key(keyring)
    await fails(Refused, "nobody vouches for who answers", node.url)
    await fails(
        Refused,
        r"should hold the key SHA256:.* and shows SHA256:.*: it is another node",
        node.url,
        expect=STRANGER_KEY.public_key,
    )
    await fails(Refused, "over SSH nobody comes with a token", node.url, "a-token", expect=expected)


async def test_a_node_whose_vault_is_locked_says_so(node, keyring):
    expected = node_key(keyring)
    await node.client.call(Lock())

    await fails(Locked, "the vault of this node is locked", node.url, expect=expected)


async def test_what_is_no_ssh_or_not_ours_is_unreachable():
    async def serve(stream):
        await stream.send_all(b"220 mail.example ESMTP\r\n")

    async with target(serve) as port:
        url, expected = f"ssh://127.0.0.1:{port}", ALICE_KEY.public_key
        await fails(Unreachable, "does not speak SSH as alknet does", url, expect=expected)


async def test_a_listener_outlives_who_does_not_speak_ssh(node, keyring):
    port = int(node.url.rpartition(":")[2])
    for said in (b"", b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n" + b"\xff" * 1000, bytes(70_000)):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            try:
                await stream.send_all(said)
                await stream.send_eof()
                with trio.fail_after(5):
                    async for _ in stream:
                        pass
            except trio.BrokenResourceError:
                pass
    async with connect(node.url, identity=ALICE_KEY, expect=node_key(keyring)) as client:
        assert await client.call(Say("hi")) == "hi"


async def test_who_says_nothing_is_sent_away_in_time(keyring):
    settings = node_settings(listen=SSH, limits=Limits(handshake_seconds=0.1))
    async with open_node(settings, keyring=keyring) as node:
        port = int(node.url.rpartition(":")[2])
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            with trio.fail_after(5):
                try:
                    async for _ in stream:
                        pass
                except trio.BrokenResourceError:
                    pass


async def test_a_certified_key_is_let_in_and_signs_inside_as_itself(keyring):
    certified, line = certify(STRANGER_KEY, "alice")
    listed = Peer("alice", (line,), frozenset({"*"}))
    settings = node_settings(listed, listen=SSH)
    async with open_node(settings, keyring=keyring, services=[Echo()]) as node:
        async with connect(node.url, identity=certified, expect=node_key(keyring)) as client:
            assert await client.call(Say("hi")) == "hi"


async def test_one_connection_may_open_so_many_channels_and_no_more(monkeypatch):
    monkeypatch.setattr(visitor, "MOST_CHANNELS", 3)
    async with link_over("ssh") as ends:
        connection, engine = ends.near._channel._connection, ends.near._channel._engine

        async def another():
            return await engine.run(
                connection.create_session(lambda: Opened(engine), subsystem=NODE, encoding=None)
            )

        opened = [await another(), await another()]
        with pytest.raises(Exception, match="has 3 channels open, the most that it may"):
            await another()
        await opened[0][1].aclose()
        await another()


async def test_nothing_is_kept_of_an_environment():
    async with link_over("ssh") as ends:
        connection, engine = ends.near._channel._connection, ends.near._channel._engine
        session = connection.create_session(
            lambda: Opened(engine), subsystem=NODE, encoding=None, env={"A": "x" * 10_000}
        )
        await engine.run(session)

        channels = ends.far._channel._connection._channels.values()
        assert len(channels) == 2
        assert not any(channel._env for channel in channels)


async def test_a_link_that_was_closed_says_so(keyring):
    async with link_over("ssh") as ends:
        await ends.far.aclose()
        with trio.fail_after(5), pytest.raises(Disconnected):
            while True:
                await ends.near.send([bytes(1000)])


def test_the_goodbye_before_there_are_keys_is_a_packet_of_rfc_4253():
    data = refusal.goodbye("it is night")

    assert data.startswith(refusal.VERSION)
    packet = data.removeprefix(refusal.VERSION)
    length, padding = int.from_bytes(packet[:4], "big"), packet[4]
    assert len(packet) == 4 + length
    assert len(packet) % 8 == 0
    assert 4 <= padding < 16
    payload = packet[5 : len(packet) - padding]
    assert payload == b"\1" + b"\0\0\0\7" + b"\0\0\0\x0bit is night" + bytes(4)


async def test_a_port_that_cannot_be_had_is_said_so():
    [taken] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with taken:
        url = f"ssh://127.0.0.1:{taken.socket.getsockname()[1]}"
        with pytest.raises(SettingsError, match=f"cannot listen at {url}: address already in use"):
            await server.listen(url, trio.sleep_forever, limits=Limits())


async def test_a_loop_that_fails_takes_its_connections_along_and_another_takes_its_place(
    keyring, monkeypatch
):
    monkeypatch.setattr(server, "_RESTART_SECONDS", 0)
    failing = trio.Event()

    @asynccontextmanager
    async def open_engine(real=server.open_engine):
        async def fail():
            await failing.wait()
            raise ZeroDivisionError

        async with real() as engine, trio.open_nursery() as nursery:
            if not failing.is_set():
                nursery.start_soon(fail)
            yield engine
            nursery.cancel_scope.cancel()

    monkeypatch.setattr(server, "open_engine", open_engine)
    async with open_node(node_settings(listen=SSH), keyring=keyring, services=[Echo()]) as node:
        async with connect(
            node.url, identity=ALICE_KEY, expect=node_key(keyring), reconnect=True
        ) as client:
            assert await client.call(Say("before")) == "before"
            lost = client.session
            failing.set()
            with trio.fail_after(20):
                await lost.closed()
                assert await client.call(Say("after"), timeout=15) == "after"


async def test_which_node_answers_can_be_known_without_being_let_in(node, keyring):
    expected = ssh_fingerprint(node_key(keyring))
    assert await who_answers(node.url, Trust.of("", expected), timeout=5) is None
    with pytest.raises(Refused, match="it is another node"):
        await who_answers(
            node.url, Trust.of("", ssh_fingerprint(STRANGER_KEY.public_key)), timeout=5
        )
