"""SSH as the OpenSSH client has it: who is let in, what is answered, and what is not."""

import subprocess
import sys
from contextlib import AsyncExitStack

import pytest
import structlog
import trio

from alknet import open_node
from alknet.keys import Ed25519Key, ssh_fingerprint, ssh_public_line
from alknet.protocol.auth import ReloadKeys
from alknet.runtime.vault import HOST_KEY_PATH
from alknet.services.auth.keyset import Peer

from ..echo import Echo
from ..people import ALICE_KEY, STRANGER_KEY, WORKER_KEY, node_key, node_settings
from .openssh import Frames, OpenSsh, needs_openssh

pytestmark = needs_openssh

SSH = ("ssh://127.0.0.1:0",)


@pytest.fixture
async def node(keyring):
    async with open_node(node_settings(listen=SSH), keyring=keyring, services=[Echo()]) as node:
        yield node


@pytest.fixture
def ssh(node, tmp_path, keyring):
    ssh = OpenSsh(tmp_path, node.url, ALICE_KEY, node_key(keyring))
    ssh.node = node
    return ssh


# What a client in any language says and hears that can start `ssh`; it signs nothing itself.
TRANSCRIPT = """
< {"type":"auth.accepted","id":"","payload":{"peer_id":"alice","scopes":["*"],"signature":null}}
> {"type":"call.requested","id":"1","payload":{"operationId":"/head/echo/say","input":{"text":"hi"}}}
< {"type":"call.responded","id":"1","payload":{"output":"hi"}}
> {"type":"call.requested","id":"2","payload":{"operationId":"/head/echo/count","window":2,"input":{"to":1}}}
< {"type":"call.responded","id":"2","payload":{"output":0}}
< {"type":"call.completed","id":"2","payload":{}}
> {"type":"call.requested","id":"3","payload":{"operationId":"/head/echo/whoami","input":{}}}
< {"type":"call.responded","id":"3","payload":{"output":"alice"}}
"""


async def test_the_subsystem_speaks_the_protocol(ssh):
    async with ssh.running("-s", "127.0.0.1", "alknet") as process:
        client = Frames(process.stdin, process.stdout)
        for line in TRANSCRIPT.strip().splitlines():
            if line.startswith(">"):
                await client.say(line[2:].encode())
            else:
                assert await client.hear() == line[2:].encode()
        await process.stdin.aclose()
        with trio.fail_after(10):
            assert await process.wait() == 0


async def test_a_key_that_is_not_listed_is_refused_and_its_holder_told_why(ssh):
    ssh.write_key(ssh.key, STRANGER_KEY)

    done = await ssh.run("-s", "127.0.0.1", "alknet")

    assert done.returncode == 255
    fingerprint = ssh_fingerprint(STRANGER_KEY.public_key)
    assert f"alknet: the key {fingerprint} is not listed here" in done.stderr
    assert "Permission denied (publickey)" in done.stderr


async def test_who_does_not_hold_a_key_cannot_learn_that_it_is_listed(ssh):
    """To be asked to sign means nothing: it is what happens with every key."""
    ssh.write_key(ssh.key, STRANGER_KEY)

    done = await ssh.run("-s", "127.0.0.1", "alknet", LogLevel="DEBUG1")

    assert "Server accepts key" in done.stderr
    assert "Permission denied" in done.stderr


async def test_a_client_may_try_several_keys_and_is_turned_away_once(ssh):
    others = [ssh.folder / f"other-{number}" for number in range(3)]
    for path in others:
        ssh.write_key(path, Ed25519Key.generate())
    identities = [word for path in others for word in ("-o", f"IdentityFile={path}")]
    with structlog.testing.capture_logs() as logs:
        done = await ssh.run(*identities, "127.0.0.1", "id", IdentityFile=others[0])
        with trio.fail_after(10):
            while "connection ended" not in {each["event"] for each in logs}:
                await trio.lowlevel.checkpoint()
    assert done.returncode == 255
    refused = [each for each in logs if each.get("result") == "reject"]
    assert len(refused) == 1
    assert refused[0]["why"].count("is not listed here") == 3

    async with ssh.calling(*identities) as client:
        assert await client.call("/head/echo/whoami") == "alice"


async def test_a_client_may_not_try_keys_without_end(ssh):
    others = [ssh.folder / f"other-{number}" for number in range(9)]
    for path in others:
        ssh.write_key(path, Ed25519Key.generate())
    identities = [word for path in others for word in ("-o", f"IdentityFile={path}")]

    done = await ssh.run(*identities, "127.0.0.1", "id", IdentityFile=others[0])

    assert "you have tried 8 keys, the most that one connection may" in done.stderr


async def test_a_host_key_that_is_not_the_nodes_is_not_believed(ssh, keyring):
    (ssh.folder / "known_hosts").write_text(f"* {ssh_public_line(STRANGER_KEY.public_key)}\n")
    done = await ssh.run("-s", "127.0.0.1", "alknet")
    assert done.returncode == 255
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in done.stderr

    host_key = keyring.ed25519(HOST_KEY_PATH).public_key
    (ssh.folder / "known_hosts").write_text(f"* {ssh_public_line(host_key)}\n")
    async with ssh.calling() as client:
        assert await client.call("/head/echo/say", text="hi") == "hi"


CERTIFICATES = [
    # what ssh-keygen is told, beside the key; the line that lists the authority; why it is refused
    (["-n", "ops"], 'cert-authority,principals="ops"', None),
    (["-n", "alice"], "cert-authority", None),
    (
        ["-n", "others"],
        "cert-authority",
        "names no principal that its authority may speak for here",
    ),
    (["-n", "alice", "-V", "20200101:20200102"], "cert-authority", "has not been valid for"),
    (
        ["-n", "alice", "-O", "source-address=10.0.0.0/8"],
        "cert-authority",
        "not good from this address",
    ),
]


@pytest.mark.parametrize(("told", "options", "refusal"), CERTIFICATES)
async def test_a_certificate_is_good_for_what_it_says(told, options, refusal, keyring, tmp_path):
    authority = tmp_path / "authority"
    OpenSsh.write_key(authority, WORKER_KEY)
    (tmp_path / "id.pub").write_text(ssh_public_line(STRANGER_KEY.public_key))
    command = ["ssh-keygen", "-q", "-s", authority, "-I", "somebody", *told, tmp_path / "id.pub"]
    await trio.run_process(command)
    listed = Peer(
        "alice", (f"{options} {ssh_public_line(WORKER_KEY.public_key)}",), frozenset({"*"})
    )
    settings = node_settings(listed, listen=SSH)
    async with open_node(settings, keyring=keyring, services=[Echo()]) as node:
        ssh = OpenSsh(tmp_path, node.url, STRANGER_KEY, node_key(keyring))

        if refusal is not None:
            done = await ssh.run("-s", "127.0.0.1", "alknet")
            assert done.returncode == 255
            assert refusal in done.stderr
            return
        async with ssh.calling() as client:
            assert await client.call("/head/echo/whoami") == "alice"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (["127.0.0.1"], "this node runs no shell: it answers calls, as `ssh -s HOST alknet`"),
        (["127.0.0.1", "id"], "this node runs no commands"),
        (["-tt", "127.0.0.1", "id"], "PTY allocation request failed"),
        (["-s", "127.0.0.1", "sftp"], "this node runs no subsystem 'sftp'"),
        (["-v", "-R", "0:127.0.0.1:1", "127.0.0.1"], "Remote: this node listens for nobody (-R"),
        (["-AX", "127.0.0.1", "id"], "this node runs no commands"),
    ],
)
async def test_what_a_node_never_gives_is_refused_in_words(ssh, asked, sentence):
    options = {"LogLevel": "DEBUG1"} if "-v" in asked else {}
    done = await ssh.run(*asked, **options)

    assert done.returncode != 0
    assert sentence in done.stderr


async def test_a_client_that_has_no_safe_cipher_is_refused(ssh):
    done = await ssh.run(
        "-c", "chacha20-poly1305@openssh.com,aes128-ctr", "-s", "127.0.0.1", "alknet"
    )

    assert done.returncode == 255
    assert "no matching cipher found. Their offer: aes128-gcm@openssh.com,aes256-gcm" in done.stderr


async def test_both_ends_count_packets_strictly(ssh):
    done = await ssh.run("127.0.0.1", "id", LogLevel="DEBUG3")

    assert "will use strict KEX ordering" in done.stderr


async def test_ten_channels_share_one_connection(ssh):
    control = {"ControlMaster": "auto", "ControlPath": ssh.folder / "control"}
    async with ssh.calling(**control) as first:
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(ssh.calling(**control)) for _ in range(9)]
            for number, client in enumerate([first, *clients]):
                assert await client.call("/head/echo/say", text=str(number)) == str(number)
            assert len({session.remote for session in ssh.node.sessions}) == 1
            assert len(ssh.node.sessions) == 10
        assert await first.call("/head/echo/say", text="still here") == "still here"


async def test_a_client_that_is_killed_leaves_nothing_behind(ssh):
    async with ssh.running("-s", "127.0.0.1", "alknet") as process:
        client = Frames(process.stdin, process.stdout)
        await client.hear()
        assert await client.call("/head/echo/say", text="hi") == "hi"
        [session] = ssh.node.sessions
        process.kill()
        with trio.fail_after(10):
            await session.closed()


async def test_a_key_that_is_taken_back_ends_the_connection_too(keyring, tmp_path):
    """Also one without a link, which nobody but the forwarding policy has asked about."""
    keys = tmp_path / "authorized_keys"
    keys.write_text(ssh_public_line(ALICE_KEY.public_key) + "\n")
    listed = Peer("alice", (), frozenset({"*"}), authorized_keys=str(keys))
    settings = node_settings(listed, listen=SSH)
    async with open_node(settings, keyring=keyring) as node:
        ssh = OpenSsh(tmp_path, node.url, ALICE_KEY, node_key(keyring))
        async with ssh.running("-N", "127.0.0.1") as process:
            with trio.fail_after(10):
                while not node._host.granted:
                    await trio.lowlevel.checkpoint()
            keys.write_text("")
            await node.client.call(ReloadKeys())
            with trio.fail_after(10):
                assert await process.wait() == 255


def test_nobody_waits_for_the_library_who_does_not_use_ssh():
    code = "import sys, alknet.cli, alknet.node; print('asyncssh' in sys.modules, 'asyncio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split()[0] == "False"
