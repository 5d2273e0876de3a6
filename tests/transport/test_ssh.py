"""SSH as the OpenSSH client has it: who is let in, what is answered, and what is not."""

import subprocess
import sys

import pytest

from alknet import open_node
from alknet.keys import ssh_fingerprint

from ..echo import Echo
from ..people import ALICE_KEY, STRANGER_KEY, node_key, node_settings
from .openssh import OpenSsh, frame, frames, needs_openssh

pytestmark = needs_openssh

SSH = ("ssh://127.0.0.1:0",)


@pytest.fixture
async def node(keyring):
    async with open_node(node_settings(listen=SSH), keyring=keyring, services=[Echo()]) as node:
        yield node


@pytest.fixture
def ssh(node, tmp_path, keyring):
    return OpenSsh(tmp_path, node.url, ALICE_KEY, node_key(keyring))


async def test_the_subsystem_speaks_the_protocol(ssh):
    """What a client in any language says and hears that can start `ssh`; it signs nothing itself."""
    said = b"".join(
        [
            frame("call.requested", "1", operationId="/head/echo/say", input={"text": "hi"}),
            frame("call.requested", "2", operationId="/head/echo/count", input={"to": 2}, window=9),
            frame("call.requested", "3", operationId="/head/echo/whoami", input={}),
        ]
    )

    done = await ssh.run("-s", "127.0.0.1", "alknet", stdin=said)

    assert done.returncode == 0, done.stderr
    accepted, *heard = frames(done.stdout)
    assert accepted == {
        "type": "auth.accepted",
        "id": "",
        "payload": {"peer_id": "alice", "scopes": ["*"], "signature": None},
    }
    assert {"type": "call.responded", "id": "1", "payload": {"output": "hi"}} in heard
    assert {"type": "call.responded", "id": "3", "payload": {"output": "alice"}} in heard
    assert [each["payload"] for each in heard if each["id"] == "2"] == [
        {"output": 0},
        {"output": 1},
        {},
    ]


async def test_a_call_is_answered_while_the_channel_stays_open(ssh):
    async with ssh.calling() as client:
        assert (await client.hear())["type"] == "auth.accepted"
        for text in ("one", "two"):
            assert await client.call("/head/echo/say", text=text) == text


async def test_a_key_that_is_not_listed_is_refused_and_its_holder_told_why(ssh):
    ssh.write_key(ssh.key, STRANGER_KEY)

    done = await ssh.run("-s", "127.0.0.1", "alknet")

    assert done.returncode == 255
    fingerprint = ssh_fingerprint(STRANGER_KEY.public_key)
    assert f"alknet: the key {fingerprint} is not listed here" in done.stderr
    assert "Permission denied (publickey)" in done.stderr


def test_nobody_waits_for_the_library_who_does_not_use_ssh():
    code = "import sys, alknet.cli, alknet.node; print('asyncssh' in sys.modules, 'asyncio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split()[0] == "False"
