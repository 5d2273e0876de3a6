"""Who was let in and who was not stands in the audit log, by whatever road they were found out."""

import re
from contextlib import asynccontextmanager

import msgspec
import pytest
import trio
from structlog.testing import capture_logs

from alknet import connect, open_node
from alknet.errors import Refused, Unauthenticated
from alknet.keys import ssh_fingerprint
from alknet.protocol.auth import VerifyPubkey, VerifyToken
from alknet.protocol.config import RateLimits
from alknet.protocol.directory import Ping
from alknet.protocol.storage import ListAudit
from alknet.runtime.audit_trail import AuditTrail
from alknet.services.config import ConfigSettings
from alknet.services.storage.base import StorageSettings

from .people import ALICE_KEY, CI, CI_TOKEN, STRANGER_KEY, node_settings, peer
from .transport.test_rfc6455 import WHOLE, asked

STRANGER = ssh_fingerprint(STRANGER_KEY.public_key)


@asynccontextmanager
async def audited(keyring, *, max_auth_attempts=0, **auth):
    """Run a node that keeps an audit log; yield it, and what returns the log's entries."""
    made = node_settings(peer("alice", ALICE_KEY, "*"), tokens=(CI,))
    tables = {
        **made.services,
        "storage": StorageSettings(),
        "auth": msgspec.structs.replace(made.services["auth"], **auth),
        "config": ConfigSettings(
            rate_limits=RateLimits(max_auth_attempts=max_auth_attempts, lockout_seconds=60)
        ),
    }
    async with open_node(msgspec.structs.replace(made, services=tables), keyring=keyring) as node:

        async def entries(number):
            """Return the entries once there are so many, and no more."""
            found = []
            with trio.fail_after(5):
                while len(found) < number:
                    found = (await node.client.call(ListAudit())).entries
            assert len(found) == number
            return [(each.action, each.subject, dict(each.details)) for each in found]

        yield node, entries


def with_token(token):
    return WHOLE.replace(b"\r\n\r\n", f"\r\nAuthorization: Bearer {token}\r\n\r\n".encode())


def port(node):
    return int(node.url.rpartition(":")[2])


async def test_a_token_of_a_first_request_that_is_nobodys(keyring):
    async with audited(keyring) as (node, entries):
        assert (await asked(port(node), with_token("wrong"))).startswith(b"HTTP/1.1 401 ")
        ((action, subject, details),) = await entries(1)

    assert action == "auth.refused"
    assert re.fullmatch(r"127\.0\.0\.1:\d+", subject)
    assert "token" in details["why"]


async def test_an_address_that_is_locked_out(keyring):
    async with audited(keyring, max_auth_attempts=2) as (node, entries):
        await asked(port(node), with_token("wrong"))
        with pytest.raises(Refused):
            async with connect(node.url, identity=STRANGER_KEY):
                pass
        found = await entries(3)

    assert [action for action, _, _ in found] == [
        "auth.refused",
        "auth.refused",
        "auth.locked-out",
    ]
    assert found[-1][2] == {"seconds": 60.0}


async def test_what_was_answered_to_another_node(keyring):
    async with audited(keyring) as (node, entries):
        async with connect(node.url, identity=ALICE_KEY) as asker:
            await asker.call(VerifyPubkey(ALICE_KEY.public_key, "192.0.2.1"))
            await asker.call(VerifyPubkey(STRANGER_KEY.public_key, "192.0.2.2"))
            await asker.call(VerifyToken("wrong"))
        _, granted, denied, token = await entries(4)

    asked_by = {"asker": "alice", "source": "192.0.2.1"}
    credential = ssh_fingerprint(ALICE_KEY.public_key)
    assert granted == ("auth.granted", "alice", {**asked_by, "credential": credential})
    assert denied[:2] == ("auth.denied", STRANGER)
    assert denied[2]["source"] == "192.0.2.2"
    assert "is not listed here" in denied[2]["why"]
    assert token[:2] == ("auth.denied", "a token")


async def test_a_token_with_a_call_once_if_it_is_good_and_each_time_if_not(keyring):
    async with audited(keyring) as (node, entries):
        async with connect(node.url, identity=ALICE_KEY) as alice:
            for _ in range(3):
                await alice.with_token(CI_TOKEN).call(Ping())
            for _ in range(2):
                with pytest.raises(Unauthenticated):
                    await alice.with_token("wrong").call(Ping())
        found = await entries(4)

    assert [(action, subject) for action, subject, _ in found[:2]] == [
        ("auth.accepted", "alice"),
        ("auth.accepted", "ci"),
    ]
    assert found[1][2]["peer"] == "alice"
    assert [action for action, _, _ in found[2:]] == ["auth.refused"] * 2
    assert found[2][2]["why"].startswith("a token with a call: ")


async def test_that_nobody_could_tell_is_no_fault_of_the_token(keyring):
    """It is no failed proof: an address is not locked out because an auth node is away."""
    nowhere = {"remote": "tls://127.0.0.1:1"}
    async with audited(keyring, max_auth_attempts=1, **nowhere) as (node, _):
        for _ in range(3):
            answer = await asked(port(node), with_token("unknown"))
            assert answer.startswith(b"HTTP/1.1 503 ")
        async with connect(node.url, identity=ALICE_KEY) as alice:
            assert await alice.call(Ping())


async def test_a_flood_is_written_as_far_as_there_is_room_and_said_to_be(keyring):
    async with audited(keyring) as (node, _):
        trail = AuditTrail(node.dispatcher.registry, node.client)
        with capture_logs() as logs:
            for number in range(4097):
                trail.note("auth.refused", f"192.0.2.1:{number}", why="it is a flood")

    (line,) = [each for each in logs if each["event"] == "audit log not written"]
    assert (line["subject"], line["log_level"]) == ("192.0.2.1:4096", "error")
