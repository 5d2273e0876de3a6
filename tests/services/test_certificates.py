"""SSH certificates, as ssh-keygen makes them: good for what they say, and for nothing else."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alknet import connect, open_node
from alknet.errors import BadKey, Forbidden, Refused
from alknet.identity import Identity
from alknet.keys import CertifiedKey, Ed25519Key, ssh_fingerprint
from alknet.protocol.auth import Denied, Granted, VerifyCertificate
from alknet.protocol.directory import ListOperations, ListPeers, Ping
from alknet.services.auth.authorized_keys import AuthorizedKey, blob_fingerprint
from alknet.services.auth.certificates import Certificate
from alknet.services.auth.keyset import AuthSettings, KeySet, Peer

from ..people import ALICE_KEY, STRANGER_KEY, node_settings, peer
from .keys import certify

VECTORS = json.loads(
    (Path(__file__).parent.parent / "vectors" / "ssh_certificates.json").read_text()
)
AUTHORITIES = VECTORS["authorities"]
BEGIN, END = VECTORS["valid"]
USER = AuthorizedKey.parse(VECTORS["user"]).public_key


def blob(name):
    return base64.b64decode(VECTORS["certificates"][name].split()[1])


def keys(*lines, name="alice", **settings):
    lines = lines or (f"cert-authority {AUTHORITIES['ca']}",)
    return KeySet(AuthSettings(peers=(Peer(name, lines, frozenset({"a"})),), **settings))


def judge(which, *lines, source=None, now=BEGIN + 1, **settings):
    return keys(*lines, **settings).certificate(Certificate.parse(blob(which)), source, now)


@pytest.mark.parametrize(
    ("name", "authority"),
    [
        ("plain", "ca"),
        ("forever", "ca"),
        ("by_rsa", "rsa"),
        ("by_ecdsa", "ec"),
    ],
)
def test_a_certificate_of_a_listed_authority_is_its_peers(name, authority):
    granted = judge(name, f"cert-authority {AUTHORITIES[authority]}")

    assert granted.identity == Identity("alice", frozenset({"a"}))
    assert granted.credential.kind == "certificate"
    assert granted.credential.id == ssh_fingerprint(USER)
    assert granted.expires == (None if name == "forever" else END)


def test_what_a_certificate_does_not_say_of_forwarding_it_does_not_grant():
    """Its only extension is one that nobody knows, which is passed over."""
    granted = judge("extension", f"cert-authority {AUTHORITIES['ca']}")

    assert granted.identity == Identity("alice", frozenset({"a"}), forwards=frozenset())
    assert keys(f"cert-authority {AUTHORITIES['ca']}").still_grants(granted, BEGIN + 1)
    bounded = f'cert-authority,permitopen="db:5432" {AUTHORITIES["ca"]}'
    assert judge("plain", bounded).identity.forwards == {"db:5432"}
    assert not keys(bounded).still_grants(judge("plain"), BEGIN + 1)


def test_what_a_certificate_says_is_read():
    certificate = Certificate.parse(blob("plain"))

    assert certificate.public_key == USER
    assert (certificate.serial, certificate.key_id) == (7, "plain")
    assert certificate.principals == {"alice", "ops"}
    assert (certificate.valid_after, certificate.valid_before) == (BEGIN, END)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("host", "the certificate is a host's, and a user's is wanted"),
        ("forced_shell", "the command '/bin/true' is no operation"),
        ("unknown_option", "the critical option 'permit-moon@example.com', which is not known"),
        ("verify_required", "the critical option 'verify-required', which is not known here"),
        ("ecdsa_subject", "this is no ssh-ed25519-cert-v01@openssh.com certificate"),
    ],
)
def test_what_cannot_be_honoured_is_refused(name, words):
    with pytest.raises(BadKey) as caught:
        Certificate.parse(blob(name))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "lines", "asked", "words"),
    [
        ("plain", (f"cert-authority {AUTHORITIES['rsa']}",), {}, "is not listed here"),
        ("plain", (AUTHORITIES["ca"],), {}, "is not listed here"),
        ("plain", (), {"name": "bob"}, "names no principal that its authority may speak for here"),
        ("plain", (f'cert-authority,principals="dev" {AUTHORITIES["ca"]}',), {}, "no principal"),
        ("no_principals", (), {}, "the certificate names no principals"),
        ("plain", (), {"now": BEGIN - 5}, "is not valid yet, for another 5 s"),
        ("plain", (), {"now": END}, "has not been valid for 0 s"),
        ("from", (), {"source": "192.0.2.2"}, "is not good from this address"),
        ("from", (), {"source": None}, "is not good from this address"),
        (
            "plain",
            (f'cert-authority,from="10.0.0.1" {AUTHORITIES["ca"]}',),
            {"source": "10.0.0.2"},
            "is not good from this address",
        ),
        (
            "plain",
            (f'cert-authority,expiry-time="20250101Z" {AUTHORITIES["ca"]}',),
            {},
            "has expired here",
        ),
        (
            "forced",
            (f'cert-authority,command="echo/say" {AUTHORITIES["ca"]}',),
            {},
            "are held to different operations",
        ),
    ],
)
def test_a_certificate_that_is_not_good_says_why(name, lines, asked, words):
    verdict = judge(name, *lines, **asked)

    assert isinstance(verdict, Denied)
    assert words in verdict.reason


def test_an_authority_may_speak_for_principals_that_its_line_names():
    line = f'cert-authority,principals="dev,ops" {AUTHORITIES["ca"]}'
    assert judge("plain", line, name="team").identity.id == "team"


def test_the_line_decides_whose_a_certificate_is_when_an_authority_speaks_for_several():
    settings = AuthSettings(
        peers=tuple(
            Peer(name, (f'cert-authority,principals="{of}" {AUTHORITIES["ca"]}',))
            for name, of in (("developers", "dev"), ("operators", "ops"))
        )
    )
    granted = KeySet(settings).certificate(Certificate.parse(blob("plain")), None, BEGIN)

    assert granted.identity.id == "operators"


@pytest.mark.parametrize("source", ["10.2.3.4", "192.0.2.1"])
def test_a_certificate_is_good_from_where_it_says(source):
    assert isinstance(judge("from", source=source), Granted)


def test_a_forced_command_is_the_one_operation_that_may_be_called():
    assert judge("forced").identity.only == {"secrets/derive"}
    line = f'cert-authority,command="echo/say" {AUTHORITIES["ca"]}'
    assert judge("plain", line).identity.only == {"echo/say"}


@pytest.mark.parametrize("what", ["subject", "authority"])
def test_a_key_that_was_revoked_is_good_in_no_certificate(what):
    certificate = Certificate.parse(blob("plain"))
    key = {
        "subject": ssh_fingerprint(certificate.public_key),
        "authority": blob_fingerprint(certificate.authority),
    }[what]

    assert judge("plain", revoked=(key,)) == Denied(f"the key {key} was revoked")


@given(st.data())
def test_no_altered_certificate_is_good(data):
    original = blob("plain")
    place = data.draw(st.integers(0, len(original) - 1))
    altered = bytearray(original)
    altered[place] ^= data.draw(st.integers(1, 255))
    try:
        certificate = Certificate.parse(bytes(altered))
    except BadKey:
        return
    assert isinstance(keys().certificate(certificate, None, BEGIN + 1), Denied)


@given(st.binary(max_size=300))
def test_what_is_no_certificate_is_refused(raw):
    with pytest.raises(BadKey):
        Certificate.parse(raw)


# Over a link.


async def test_who_has_a_certificate_gets_in_and_the_key_alone_does_not(keyring):
    certified, line = certify(STRANGER_KEY, "ann")
    settings = node_settings(peer("alice", ALICE_KEY, "*"), Peer("ann", (line,), frozenset({"*"})))
    async with open_node(settings, keyring=keyring) as node:
        async with connect(node.url, identity=certified) as client:
            assert await client.call(Ping())
            assert [each.peer_id for each in (await client.call(ListPeers())).peers] == ["ann"]
        with pytest.raises(Refused, match="is not listed here"):
            async with connect(node.url, identity=STRANGER_KEY):
                pass


async def test_a_certificate_without_its_key_is_good_for_nothing(keyring):
    certified, line = certify(STRANGER_KEY, "ann")
    stolen = CertifiedKey(
        ALICE_KEY,
        "ssh-ed25519-cert-v01@openssh.com " + base64.b64encode(certified.certificate).decode(),
    )
    async with open_node(node_settings(Peer("ann", (line,))), keyring=keyring) as node:
        with pytest.raises(Refused, match="of another key than the one that has signed"):
            async with connect(node.url, identity=stolen):
                pass
        verdict = await node.client.call(VerifyCertificate(b"junk", ALICE_KEY.public_key))
        assert isinstance(verdict, Denied)


async def test_who_is_held_to_an_operation_sees_and_calls_no_other(keyring):
    certified, line = certify(STRANGER_KEY, "ann", forced="/head/services/list")
    settings = node_settings(Peer("ann", (line,), frozenset({"*"})))
    async with open_node(settings, keyring=keyring) as node:
        async with connect(node.url, identity=certified) as client:
            names = [each.name for each in (await client.call(ListOperations())).operations]
            assert names == ["services/list"]
            for path in ("/head/services/ping", "/head/secrets/status", "/worker-1/echo/say"):
                with pytest.raises(Forbidden, match="its credential is held to services/list"):
                    await client.invoke(path)


@pytest.mark.parametrize(
    "text", ["", "ssh-ed25519 AAAA", "ssh-ed25519-cert-v01@openssh.com", "x y"]
)
def test_what_is_no_certificate_cannot_be_shown(text):
    with pytest.raises(BadKey, match="this is no line with an ssh-ed25519-cert"):
        CertifiedKey(Ed25519Key.generate(), text)
