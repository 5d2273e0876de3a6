"""A node that is unlocked by shares, from this machine and from another, as processes see it."""

import ipaddress
import socket

import psutil
import pytest

from alknet.keys import Ed25519Key, ssh_public_line

from ..transport.authority import Authority
from .command import alknet, running


def address_of_this_machine():
    """Return an address under which this machine seems another to itself; None if it has none."""
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            if each.family == socket.AF_INET and not ipaddress.ip_address(each.address).is_loopback:
                return each.address
    return None


@pytest.fixture
async def begun(tmp_path):
    """An empty directory in which a node was made, with shares of a phrase that nobody has seen."""
    done = await alknet("init", "--shares", "2-of-3", "--share-files", "part", cwd=tmp_path)
    assert done.code == 0, done.stderr
    return tmp_path


def write_key(path, key):
    path.touch(0o600)
    path.write_text(key.to_openssh())
    return path


async def test_two_operators_unlock_it_on_the_machine_itself(begun):
    stack = begun / "stack.toml"
    stack.write_text(stack.read_text().replace(":8480", ":0"))
    async with running("serve", "--locked", cwd=begun) as node:
        url = (await node.line()).removeprefix("ready ")
        first = await alknet("unlock", "--node", url, "--share-file", "part-3", cwd=begun)
        second = await alknet("unlock", "--node", url, "--share-file", "part-1", cwd=begun)
        status = await alknet("status", "--node", url, "--json", cwd=begun)

    assert first == (0, "locked: 1 given, 1 more share is needed\n", "")
    assert second.code == 0
    assert second.stdout.startswith("unlocked SHA256:")
    assert status.json["vault"]["locked"] is False


@pytest.mark.skipif(address_of_this_machine() is None, reason="this machine has no network")
@pytest.mark.parametrize("is_open", [True, False])
async def test_from_another_machine_who_was_named_gives_a_share_where_that_is_allowed(
    begun, is_open
):
    address = address_of_this_machine()
    authority = Authority(begun)
    chain, private = authority.issue(address, "127.0.0.1")
    keeper = Ed25519Key.generate()
    keeper_key = write_key(begun / "keeper.key", keeper)
    stack = begun / "stack.toml"
    text = stack.read_text().replace("ws://127.0.0.1:8480", "wss://0.0.0.0:0")
    if is_open:
        text = text.replace("remote_unlock = false", "remote_unlock = true")
    line = ssh_public_line(keeper.public_key, "keeper")
    stack.write_text(
        f"{text}\n[[auth.peers]]\nname = 'keeper'\nkeys = ['{line}']\nscopes = ['secrets:unlock']\n"
        f"[[tls.certificates]]\nchain = '{chain}'\nkey = '{private}'\n"
    )
    async with running("serve", "--locked", cwd=begun) as node:
        port = (await node.line()).rpartition(":")[2]
        afar = ("unlock", "--node", f"wss://{address}:{port}")
        near = ("unlock", "--node", f"wss://127.0.0.1:{port}", "--ca", authority.path)

        unknown = await alknet(*afar, "--identity", keeper_key, "--share-file", "part-1", cwd=begun)
        keeper_gives = await alknet(
            *afar,
            *("--ca", authority.path, "--identity", keeper_key, "--share-file", "part-1"),
            cwd=begun,
        )
        operator_gives = await alknet(
            *afar, "--ca", authority.path, "--share-file", "part-2", cwd=begun
        )
        done = await alknet(*near, "--share-file", "part-2", cwd=begun)

    # Nothing is sent to a node for which nobody vouches.
    assert unknown.code in (3, 4)
    assert operator_gives.code == 4
    if is_open:
        assert keeper_gives == (0, "locked: 1 given, 1 more share is needed\n", "")
        assert "must be granted by its name" in operator_gives.stderr
        assert done.stdout.startswith("unlocked SHA256:")
    else:
        assert keeper_gives.code == 4
        assert "remote_unlock = true under [secrets]" in keeper_gives.stderr
        assert done.stdout == "locked: 1 given, 1 more share is needed\n"
