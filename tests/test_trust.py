"""Who is believed: a node by its key, a phrase by its identity, a link by its road."""

import pytest
import trio

from alknet import NodeSettings, Settings, connect, open_node
from alknet.call.remote import RemoteClient
from alknet.call.session import Session
from alknet.errors import BadMnemonic, Forbidden, Locked, Refused, Unreachable
from alknet.keys import Keyring, ssh_fingerprint, ssh_public_line
from alknet.protocol.directory import Ping
from alknet.protocol.secret import Lock, Status, Unlock
from alknet.runtime.vault import IDENTITY_PATH
from alknet.services.auth.keyset import AuthSettings, Peer
from alknet.transport.admission import enter
from alknet.transport.memory import memory_pair
from alknet.wire.limits import DEFAULT_LIMITS

PHRASE = "abandon " * 11 + "about"
OTHERS = "legal winner thank year wave sausage worth useful legal winner thank yellow"
CALLER = Keyring.from_seed(bytes(32)).ed25519("m/0'")
KEY = Keyring.from_mnemonic(PHRASE).ed25519(IDENTITY_PATH).public_key
FINGERPRINT = ssh_fingerprint(KEY)


def settings(**node):
    peer = Peer("operator", (ssh_public_line(CALLER.public_key),), frozenset({"*"}))
    return Settings(
        node=NodeSettings(listen=("ws://127.0.0.1:0",), **node),
        services={"auth": AuthSettings(peers=(peer,)), "secrets": None},
    )


@pytest.mark.parametrize("expect", [KEY, FINGERPRINT], ids=["key", "fingerprint"])
async def test_a_node_with_the_expected_key_is_called(expect):
    async with (
        open_node(settings(), keyring=Keyring.from_mnemonic(PHRASE)) as node,
        connect(node.url, identity=CALLER, expect=expect) as client,
    ):
        assert (await client.call(Ping())).node == "head"


@pytest.mark.parametrize("expect", [KEY, FINGERPRINT], ids=["key", "fingerprint"])
async def test_a_node_with_another_key_is_not_called(expect):
    async with open_node(settings(), keyring=Keyring.from_mnemonic(OTHERS)) as node:
        with pytest.raises(Refused, match=FINGERPRINT.replace("+", r"\+")):
            async with connect(node.url, identity=CALLER, expect=expect):
                pass


async def test_a_locked_node_cannot_prove_itself():
    async with open_node(settings()) as node:
        with pytest.raises(Locked, match="vault is locked, or it is another node"):
            async with connect(node.url, identity=CALLER, expect=KEY):
                pass


async def test_a_phrase_that_gives_another_identity_does_not_start_the_node():
    keyring = Keyring.from_mnemonic(OTHERS)

    with pytest.raises(BadMnemonic, match="another node's"):
        async with open_node(settings(identity=FINGERPRINT), keyring=keyring):
            pass

    assert keyring.is_locked


async def test_a_phrase_that_gives_another_identity_does_not_unlock_the_node():
    async with open_node(settings(identity=FINGERPRINT)) as node:
        with pytest.raises(BadMnemonic, match="another node's"):
            await node.client.call(Unlock(OTHERS))
        with pytest.raises(BadMnemonic, match="another node's"):
            await node.client.call(Unlock(PHRASE, passphrase="TREZOR"))
        assert (await node.client.call(Status())).locked

        status = await node.client.call(Unlock(PHRASE))

        assert status.identity == FINGERPRINT


def open_link():
    """Return a link that others could listen to, and the end that hears what was sent."""
    link, far = memory_pair()
    link.is_confidential = False
    return link, far


async def test_a_token_is_not_sent_where_others_could_listen():
    link, far = open_link()

    with pytest.raises(Refused, match="not sent to memory:b in clear"):
        await enter(link, key="secret", expect=None, limits=DEFAULT_LIMITS)

    await link.aclose()
    assert await far.receive() == b""


async def test_a_phrase_is_not_sent_where_others_could_listen():
    link, far = open_link()
    async with trio.open_nursery() as nursery:
        session = Session(link, identity=None, dispatcher=None)
        await nursery.start(session.run)
        client = RemoteClient(session)

        with pytest.raises(Forbidden, match="secrets/unlock carries secrets"):
            await client.call(Unlock(PHRASE))

        with pytest.raises(TimeoutError):
            await client.call(Lock(), timeout=0.001)
        assert b"secrets/lock" in await far.receive()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answers with HTTP 404"),
        (b"220 mail.example ESMTP\r\n", "does not answer as a WebSocket does"),
    ],
    ids=["web server", "mail server"],
)
async def test_a_server_of_another_kind_is_no_node(answer, message):
    async def serve(stream):
        await stream.receive_some()
        await stream.send_all(answer)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        port = listeners[0].socket.getsockname()[1]

        with pytest.raises(Unreachable, match=message):
            async with connect(f"ws://localhost:{port}", identity=CALLER):
                pass

        nursery.cancel_scope.cancel()
