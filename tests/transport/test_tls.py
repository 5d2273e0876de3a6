"""TLS, and what QUIC has of it: what is its own; what it shares with other transports is in tests/contract."""

import os
import shutil
import subprocess
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from cryptography import x509

from alknet import connect, open_node
from alknet._core.tls import Certificate, Server, Session
from alknet.errors import Disconnected, Locked, Refused, SettingsError, Unreachable
from alknet.keys import Keyring, ssh_fingerprint
from alknet.protocol.secret import Lock
from alknet.runtime.vault import IDENTITY_PATH
from alknet.settings import CertificatePair, TlsSettings
from alknet.transport import road
from alknet.transport.admission import enter
from alknet.transport.gate import Gate
from alknet.transport.trust import Trust
from alknet.wire.limits import DEFAULT_LIMITS, Limits

from ..echo import Echo, Say
from ..people import ALICE_KEY, PHRASE, STRANGER_KEY, WORKER_KEY, node_key, node_settings
from .authority import Authority

FINGERPRINT = Keyring.from_mnemonic(PHRASE).ed25519(IDENTITY_PATH).fingerprint


@pytest.fixture(params=["tls", "quic", "wss"])
def scheme(request):
    return request.param


@asynccontextmanager
async def node_at(scheme, keyring, **fields):
    settings = node_settings(listen=(f"{scheme}://127.0.0.1:0",), **fields)
    async with open_node(settings, keyring=keyring, services=[Echo()]) as node:
        yield node


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


# A node's own certificate.


async def test_a_call_goes_through_with_the_nodes_fingerprint_and_nothing_else(scheme, keyring):
    async with (
        node_at(scheme, keyring) as node,
        connect(node.url, identity=ALICE_KEY, expect=node_key(keyring)) as client,
    ):
        assert await client.call(Say("hello")) == "hello"


async def test_a_node_of_another_seed_is_refused_and_both_keys_are_named(scheme, keyring):
    async with node_at(scheme, keyring) as node:
        with pytest.raises(Refused, match="it is another node, or has another seed") as caught:
            async with connect(node.url, identity=ALICE_KEY, expect=STRANGER_KEY.public_key):
                pass
    assert STRANGER_KEY.fingerprint in str(caught.value)
    assert FINGERPRINT in str(caught.value)


async def test_who_expects_nobody_and_is_vouched_nothing_is_told_the_key_that_was_shown(
    scheme, keyring
):
    async with node_at(scheme, keyring) as node:
        with pytest.raises(Refused, match="nothing says which node to expect") as caught:
            async with connect(node.url, identity=ALICE_KEY):
                pass
    assert FINGERPRINT in str(caught.value)


async def test_a_locked_node_is_known_as_one(scheme, keyring):
    async with node_at(scheme, None) as node:
        with pytest.raises(Locked, match="has no certificate to show: its vault is locked"):
            async with connect(node.url, identity=ALICE_KEY, expect=node_key(keyring)):
                pass


async def test_a_node_that_is_locked_and_unlocked_again_shows_its_certificate_again(
    scheme, keyring
):
    expect = node_key(keyring)
    async with node_at(scheme, keyring) as node:
        async with connect(node.url, identity=ALICE_KEY, expect=expect) as client:
            await client.call(Lock())
            # The link that is open needs no key any more.
            assert await client.call(Say("still here")) == "still here"
            with pytest.raises(Locked):
                async with connect(node.url, identity=ALICE_KEY, expect=expect):
                    pass
        node.vault.unlock(Keyring.from_mnemonic(PHRASE))
        async with connect(node.url, identity=ALICE_KEY, expect=expect) as client:
            assert await client.call(Say("back")) == "back"


def test_the_certificate_is_self_signed_ed25519_and_always_the_same(keyring):
    key = keyring.ed25519(IDENTITY_PATH)
    read = x509.load_der_x509_certificate(Certificate.of_key(key).der)

    assert read.public_key().public_bytes_raw() == key.public_key
    read.verify_directly_issued_by(read)
    assert read.subject.rfc4514_string() == f"CN={key.fingerprint}".replace("+", r"\+")
    assert read.serial_number > 0
    assert Certificate.of_key(key).der == Certificate.of_key(key).der


async def test_a_token_travels_over_it(scheme, keyring):
    """Its hash is what the settings hold; the link is encrypted, so it may be sent."""
    async with node_at(scheme, keyring) as node:
        with pytest.raises(Refused, match="token"):
            async with connect(node.url, identity="wrong", expect=node_key(keyring)):
                pass


# The client's certificate.


@asynccontextmanager
async def shaken(url, key, keyring):
    """Dial *url* showing the certificate of *key*; yield the link, on which nothing was said."""
    trust = (
        Trust.of(key, node_key(keyring))
        if key
        else Trust(None, Trust.of("", node_key(keyring)).expect)
    )
    async with trio.open_nursery() as nursery:
        link = await road.dial(nursery, url, limits=DEFAULT_LIMITS, trust=trust)
        try:
            yield link
        finally:
            await link.aclose()
            nursery.cancel_scope.cancel()


async def test_a_stranger_is_refused_before_he_has_said_anything_and_is_told_why(scheme, keyring):
    async with node_at(scheme, keyring) as node, shaken(node.url, STRANGER_KEY, keyring) as link:
        received = b""
        with trio.fail_after(5):
            while data := await link.receive():
                received += data
    assert b'"auth.refused"' in received
    assert b"is not listed here" in received
    assert b"auth.challenge" not in received


async def test_who_shows_one_certificate_must_sign_with_the_same_key(scheme, keyring):
    async with node_at(scheme, keyring) as node, shaken(node.url, ALICE_KEY, keyring) as link:
        with pytest.raises(Refused, match="is not that of the certificate which was shown"):
            await enter(link, key=WORKER_KEY, expect=None, limits=DEFAULT_LIMITS)


async def test_who_shows_no_certificate_may_still_prove_a_key(scheme, keyring):
    async with node_at(scheme, keyring) as node, shaken(node.url, None, keyring) as link:
        _, accepted = await enter(link, key=ALICE_KEY, expect=None, limits=DEFAULT_LIMITS)
    assert accepted.peer_id == "alice"


async def test_a_node_that_wants_certificates_refuses_who_shows_none(scheme, keyring):
    tls = TlsSettings(client_certificates=True)
    async with node_at(scheme, keyring, tls=tls) as node:
        async with shaken(node.url, None, keyring) as link:
            with pytest.raises(Refused, match="wants the certificate of everybody who calls"):
                await enter(link, key=ALICE_KEY, expect=None, limits=DEFAULT_LIMITS)
        async with connect(node.url, identity=ALICE_KEY, expect=node_key(keyring)) as client:
            assert await client.call(Say("hi")) == "hi"


# Certificates of an authority.


def with_files(*pairs):
    return TlsSettings(tuple(CertificatePair(chain, key) for chain, key in pairs))


async def test_a_certificate_of_an_authority_is_believed_for_its_name(scheme, keyring, authority):
    pair = authority.issue("localhost", "127.0.0.1")
    async with node_at(scheme, None, tls=with_files(pair)) as node:
        # The vault may be locked: this certificate is not of the seed.
        url = node.url.replace("127.0.0.1", "localhost")
        async with connect(url, identity=ALICE_KEY, ca=authority.path) as client:
            assert await client.call(Say("hi")) == "hi"
        with pytest.raises(Refused, match=r"not trusted: .*[iI]ssuer"):
            async with connect(url, identity=ALICE_KEY):
                pass


async def test_the_inner_handshake_holds_a_node_with_such_a_certificate_to_its_key(
    scheme, keyring, authority
):
    pair = authority.issue("localhost")
    async with node_at(scheme, keyring, tls=with_files(pair)) as node:
        url = node.url.replace("127.0.0.1", "localhost")
        with pytest.raises(Refused, match="should hold the key"):
            async with connect(
                url, identity=ALICE_KEY, expect=STRANGER_KEY.public_key, ca=authority.path
            ):
                pass


async def test_a_certificate_for_another_name_is_not_believed(scheme, authority):
    pair = authority.issue("other.example")
    async with node_at(scheme, None, tls=with_files(pair)) as node:
        with pytest.raises(Refused, match=r"not trusted: .*name"):
            async with connect(node.url, identity=ALICE_KEY, ca=authority.path):
                pass


def shown_to(server, name):
    """Return the DER of the certificate that *server* shows to who asks for *name*."""
    client = Session.connect(name, None, "SHA256:none", None, [])
    session = server.accept()
    session.feed(client.take())
    with pytest.raises(Refused) as caught:
        client.feed(session.take())
    return str(caught.value)


def test_the_name_that_is_asked_for_chooses_the_certificate(authority):
    named = [
        Certificate.from_pem(*(path.read_bytes() for path in authority.issue(name, kind="ed25519")))
        for name in ("a.example", "*.b.example")
    ]
    own = Certificate.of_key(STRANGER_KEY)
    fingerprints = {
        "a.example": fingerprint(named[0]),
        "www.b.example": fingerprint(named[1]),
        "b.example": STRANGER_KEY.fingerprint,
        "c.example": STRANGER_KEY.fingerprint,
        "127.0.0.1": STRANGER_KEY.fingerprint,
    }
    server = Server(own, named, [])
    for name, expected in fingerprints.items():
        assert expected in shown_to(server, name), name
    # Without a certificate of its own, a node shows the first that it has.
    assert fingerprint(named[0]) in shown_to(Server(None, named, []), "c.example")


def fingerprint(certificate):
    key = x509.load_der_x509_certificate(certificate.der).public_key()
    return ssh_fingerprint(key.public_bytes_raw())


async def test_renewed_certificates_hold_for_the_next_link_and_disturb_none(
    scheme, authority, tmp_path
):
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    renewed = Authority(tmp_path)

    def install(pair):
        for source, target in zip(pair, (chain, key), strict=True):
            shutil.copy(source, tmp_path / "new")
            os.replace(tmp_path / "new", target)

    install(authority.issue("127.0.0.1"))
    async with node_at(scheme, None, tls=with_files((chain, key))) as node:
        async with connect(node.url, identity=ALICE_KEY, ca=authority.path) as old:
            assert await old.call(Say("before")) == "before"
            install(renewed.issue("127.0.0.1"))
            async with connect(node.url, identity=ALICE_KEY, ca=renewed.path) as new:
                assert await new.call(Say("new")) == "new"
            assert await old.call(Say("after")) == "after"
            # What cannot be used changes nothing.
            key.write_text("half a fi")
            async with connect(node.url, identity=ALICE_KEY, ca=renewed.path) as new:
                assert await new.call(Say("newer")) == "newer"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda chain, key, _: chain.unlink(), "cannot read .*chain.pem: no such file"),
        (lambda chain, key, _: key.unlink(), "cannot read .*key.pem: no such file"),
        (lambda chain, key, _: chain.write_text("x"), "there is no certificate in the file"),
        (lambda chain, key, _: key.write_text("x"), "the private key cannot be read"),
        (
            lambda chain, key, other: shutil.copy(other[1], key),
            "the private key is not that of the first certificate",
        ),
    ],
)
async def test_a_node_whose_certificate_files_cannot_be_used_does_not_start(
    fault, words, authority, tmp_path
):
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    for source, target in zip(authority.issue("a.example"), (chain, key), strict=True):
        shutil.copy(source, target)
    fault(chain, key, authority.issue("b.example"))
    with pytest.raises(SettingsError, match=words):
        async with node_at("tls", None, tls=with_files((chain, key))):
            pass


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_authorities_that_cannot_be_read_are_said_to_be(content, tmp_path):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match=r"ca\.pem: "):
        async with connect("tls://127.0.0.1:1", identity=ALICE_KEY, ca=path):
            pass


# One connection's fault is nobody else's.


@pytest.mark.parametrize("scheme", ["tls", "wss"])
async def test_what_is_no_tls_ends_its_own_connection_alone(scheme, keyring):
    async with node_at(scheme, keyring) as node:
        port = int(node.url.rpartition(":")[2])
        for said in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", bytes(5000)):
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(said)
                await stream.send_eof()
                with trio.fail_after(5):
                    try:
                        while await stream.receive_some():
                            pass
                    except trio.BrokenResourceError:
                        pass
        async with connect(node.url, identity=ALICE_KEY, expect=node_key(keyring)) as client:
            assert await client.call(Say("still here")) == "still here"


@pytest.mark.parametrize("scheme", ["tls", "wss"])
async def test_who_says_nothing_is_not_waited_for(scheme, keyring, autojump_clock):
    autojump_clock.autojump_threshold = 0.05
    async with node_at(scheme, keyring, limits=Limits(handshake_seconds=3)) as node:
        port = int(node.url.rpartition(":")[2])
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            began = trio.current_time()
            # A farewell in clear (RFC 8446, section 5.1: an alert is of type 21), and the end.
            farewell = await stream.receive_some()
            assert farewell[0] == 21
            assert await stream.receive_some() == b""
            assert trio.current_time() - began >= 3


@pytest.mark.parametrize("scheme", ["tls", "wss"])
async def test_a_server_that_speaks_no_tls_is_unreachable(scheme, nursery):
    async def serve(stream):
        async with stream:
            await stream.receive_some()
            await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
    url = f"{scheme}://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
    with pytest.raises(Unreachable, match="does not speak TLS as alknet does"):
        await road.dial(nursery, url, limits=DEFAULT_LIMITS)


async def test_an_end_without_a_farewell_is_a_cut(nursery, keyring):
    """Somebody in the middle can end the connection, but not so that it looks like an end."""
    arrived, arriving = trio.open_memory_channel(1)

    async def serve(link):
        await arrived.send(link)
        await trio.sleep_forever()

    gate = Gate(key=lambda: STRANGER_KEY)
    url = await nursery.start(
        partial(road.listen, "tls://127.0.0.1:0", serve, limits=DEFAULT_LIMITS, gate=gate)
    )
    trust = Trust(None, STRANGER_KEY.fingerprint)
    near = await road.dial(nursery, url, limits=DEFAULT_LIMITS, trust=trust)
    far = await arriving.receive()
    near._stream._socket.shutdown(1)
    with pytest.raises(Disconnected, match="it ended without a farewell"):
        await far.receive()
    await near.aclose()


# Others who speak TLS.


OPENSSL = shutil.which("openssl")


@pytest.mark.skipif(OPENSSL is None, reason="there is no openssl")
async def test_openssl_reads_the_certificate_and_the_first_message(keyring):
    async with node_at("tls", keyring) as node:
        address = node.url.removeprefix("tls://")
        command = [OPENSSL, "s_client", "-connect", address, "-tls1_3", "-ign_eof"]
        async with trio.open_nursery() as nursery:
            process = await nursery.start(
                partial(
                    trio.run_process,
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    check=False,
                )
            )
            said = b""
            with trio.fail_after(20):
                while b"auth.challenge" not in said:
                    said += await process.stdout.receive_some()
            process.kill()
    assert FINGERPRINT.encode() in said
    assert b"TLSv1.3" in said


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_1"])
@pytest.mark.skipif(OPENSSL is None, reason="there is no openssl")
async def test_older_versions_of_tls_are_refused(version, keyring):
    async with node_at("tls", keyring) as node:
        address = node.url.removeprefix("tls://")
        done = await trio.run_process(
            [OPENSSL, "s_client", "-connect", address, version],
            stdin=b"",
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    assert done.returncode != 0
    assert b"Cipher is (NONE)" in done.stdout
