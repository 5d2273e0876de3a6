"""Forwards of the OpenSSH client: where the policy lets them, and nowhere else."""

from contextlib import asynccontextmanager

import pytest
import structlog
import trio

from alknet import open_node
from alknet.keys import ssh_public_line
from alknet.protocol.forwarding import ForwardingPolicy, ForwardingRule
from alknet.services.auth.keyset import Peer
from alknet.services.config import ConfigSettings

from ..forwarding.targets import LOOPBACKS, a_closed_port, echo, everything, hold, target
from ..people import ALICE_KEY, node_key, node_settings
from .openssh import OpenSsh, needs_openssh

pytestmark = needs_openssh


def settings(*rules, options="", default="deny"):
    listed = Peer(
        "alice", (f"{options} {ssh_public_line(ALICE_KEY.public_key)}".strip(),), frozenset({"*"})
    )
    given = node_settings(listed, listen=("ssh://127.0.0.1:0",))
    policy = ForwardingPolicy(default, tuple(ForwardingRule(each, "allow") for each in rules))
    given.services["config"] = ConfigSettings(forwarding=policy)
    return given


@asynccontextmanager
async def visiting(keyring, folder, *rules, **options):
    async with open_node(settings(*rules, **options), keyring=keyring) as node:
        ssh = OpenSsh(folder, node.url, ALICE_KEY, node_key(keyring))
        ssh.node = node
        yield ssh


@pytest.mark.parametrize("host", LOOPBACKS)
async def test_what_is_sent_comes_back_and_so_does_its_end(keyring, tmp_path, host):
    async with target(echo, host=host) as port:
        async with visiting(
            keyring, tmp_path, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        ) as ssh:
            data = bytes(range(256)) * 4096
            there = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

            done = await ssh.run("-W", there, "127.0.0.1", stdin=data)

    assert done.stdout == data
    assert done.returncode == 0


async def test_who_speaks_first_is_heard(keyring, tmp_path):
    async def greet(stream):
        await stream.send_all(b"220 ready")

    async with target(greet) as port, visiting(keyring, tmp_path, f"127.0.0.1:{port}") as ssh:
        for _ in range(5):
            done = await ssh.run("-W", f"127.0.0.1:{port}", "127.0.0.1")
            assert done.stdout == b"220 ready"


async def test_what_the_policy_denies_is_refused_in_words_and_logged(keyring, tmp_path):
    async with target(hold) as port, visiting(keyring, tmp_path) as ssh:
        with structlog.testing.capture_logs() as logs:
            done = await ssh.run("-W", f"127.0.0.1:{port}", "127.0.0.1")

    why = f"no rule matches 127.0.0.1:{port}, and the default is deny"
    assert done.returncode == 255
    assert f"open failed: administratively prohibited: {why}" in done.stderr
    [line] = [each for each in logs if each["event"] == "forward attempt"]
    assert (line["result"], line["peer"], line["transport"], line["why"]) == (
        "reject",
        "alice",
        "ssh",
        why,
    )


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("restrict", "its credential lets it be connected to nowhere alone, and not to 127.0.0.1:"),
        ("no-port-forwarding", "its credential lets it be connected to nowhere alone"),
        ('permitopen="127.0.0.1:1"', "its credential lets it be connected to 127.0.0.1:1 alone"),
        ('command="echo/say"', "its credential is held to echo/say"),
        ('permitopen="127.0.0.1:*"', None),
    ],
)
async def test_what_stands_before_the_key_bounds_its_forwards(keyring, tmp_path, options, why):
    async with target(echo) as port, visiting(keyring, tmp_path, "*:*", options=options) as ssh:
        done = await ssh.run("-W", f"127.0.0.1:{port}", "127.0.0.1", stdin=b"hi")

    assert done.stdout == (b"hi" if why is None else b"")
    assert why is None or f"administratively prohibited: {why}" in done.stderr


async def test_keys_are_exchanged_anew_in_the_middle_of_a_transfer(keyring, tmp_path):
    data = bytes(range(256)) * 4096 * 16
    async with target(echo) as port, visiting(keyring, tmp_path, f"127.0.0.1:{port}") as ssh:
        done = await ssh.run(
            *("-W", f"127.0.0.1:{port}", "127.0.0.1"),
            stdin=data,
            RekeyLimit="1M",
            LogLevel="DEBUG1",
        )

    assert done.stdout == data
    assert (
        done.stderr.count("rekeying in progress") > 8
        or done.stderr.count("SSH2_MSG_NEWKEYS sent") > 8
    )


async def test_where_nobody_listens_the_client_is_told_so(keyring, tmp_path):
    port = await a_closed_port()
    async with visiting(keyring, tmp_path, "127.0.0.1:*") as ssh:
        done = await ssh.run("-W", f"127.0.0.1:{port}", "127.0.0.1")

    assert "open failed: connect failed:" in done.stderr
    assert "connection refused" in done.stderr.lower()


async def connected(port):
    """Return a connection to what ssh listens at, when it does."""
    with trio.fail_after(10):
        while True:
            try:
                return await trio.open_tcp_stream("127.0.0.1", port)
            except OSError:
                await trio.lowlevel.checkpoint()


async def test_a_local_port_leads_to_the_target(keyring, tmp_path):
    local = await a_closed_port()
    async with target(echo) as port, visiting(keyring, tmp_path, f"127.0.0.1:{port}") as ssh:
        async with ssh.running("-N", "-L", f"127.0.0.1:{local}:127.0.0.1:{port}", "127.0.0.1"):
            for text in (b"one", b"two"):
                async with await connected(local) as stream:
                    await stream.send_all(text)
                    await stream.send_eof()
                    with trio.fail_after(10):
                        assert await everything(stream.receive_some) == text


SOCKS_GRANTED, SOCKS_DENIED = 0, 2


async def socks(stream, name, port):
    """Ask for *name* at *port* as RFC 1928 has it; return the answer's second byte."""
    await stream.send_all(b"\5\1\0")
    assert await stream.receive_some(2) == b"\5\0"
    await stream.send_all(b"\5\1\0\3" + bytes([len(name)]) + name + port.to_bytes(2, "big"))
    answer = await stream.receive_some(10)
    return answer[1] if answer else None


async def test_a_socks_client_gets_where_the_policy_lets_it_by_name_too(keyring, tmp_path):
    local = await a_closed_port()
    async with target(echo) as port, visiting(keyring, tmp_path, f"localhost:{port}") as ssh:
        async with ssh.running("-N", "-D", f"127.0.0.1:{local}", "127.0.0.1"):
            async with await connected(local) as stream:
                assert await socks(stream, b"localhost", port) == SOCKS_GRANTED
                await stream.send_all(b"through")
                await stream.send_eof()
                with trio.fail_after(10):
                    assert await everything(stream.receive_some) == b"through"
            async with await connected(local) as stream:
                # OpenSSH answers at once; what it heard from the node shows in what follows.
                await socks(stream, b"127.0.0.1", port)
                await stream.send_all(b"x")
                with trio.fail_after(10):
                    assert not await everything(stream.receive_some)


async def test_one_forward_that_is_refused_leaves_the_others_alone(keyring, tmp_path):
    local, other = await a_closed_port(), await a_closed_port()
    async with target(echo) as port, visiting(keyring, tmp_path, f"127.0.0.1:{port}") as ssh:
        async with ssh.running(
            "-N",
            *("-L", f"127.0.0.1:{local}:127.0.0.1:{port}"),
            *("-L", f"127.0.0.1:{other}:10.255.255.1:1"),
            "127.0.0.1",
        ):
            async with await connected(local) as good:
                await good.send_all(b"a")
                assert await good.receive_some() == b"a"
                async with await connected(other) as bad:
                    with trio.fail_after(10):
                        assert not await bad.receive_some()
                await good.send_all(b"b")
                assert await good.receive_some() == b"b"
