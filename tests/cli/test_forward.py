"""`alknet forward` and `alknet socks`, as processes, against a node of this process."""

import shutil
import signal

import msgspec
import pytest
import trio

from alknet import open_node

from ..forwarding.targets import LOOPBACKS, echo, everything, target
from ..services.test_forward import dialled, forwarding_settings
from .command import alknet, running


@pytest.fixture
async def node(keyring):
    async with open_node(forwarding_settings(), keyring=keyring) as node:
        yield node


async def echoes(where):
    async with dialled(where) as local:
        await local.send(b"hello")
        await local.send_eof()
        return await everything(local.receive) == b"hello"


async def test_ports_lead_to_targets_until_it_is_interrupted(node, alice_key, tmp_path):
    options = ("--node", node.url, "--identity", alice_key)
    async with target(echo) as port:
        two = (f"0:127.0.0.1:{port}", f"127.0.0.1:0:127.0.0.1:{port}")
        async with running("forward", *two, *options, cwd=tmp_path) as command:
            ready, *where = (await command.line()).split()
            assert ready == "ready"
            assert len(set(where)) == 2
            for each in where:
                assert await echoes(each)
            assert await command.end(signal.SIGINT) == (0, "", "")


@pytest.mark.parametrize("host", LOOPBACKS)
async def test_ready_is_json_where_that_is_asked_for(node, alice_key, tmp_path, host):
    block = f"[{host}]" if ":" in host else host
    options = ("--node", node.url, "--identity", alice_key, "--json")
    async with target(echo, host) as port:
        where = f"{block}:0:{block}:{port}"
        async with running("forward", where, *options, cwd=tmp_path) as command:
            said = msgspec.json.decode(await command.line())
            [each] = said["forwards"]
            assert said["ready"] == each["listen"]
            assert each["listen"].startswith(f"{block}:")
            assert each["target"] == f"{block}:{port}"
            assert await echoes(each["listen"])


async def test_why_a_connection_was_not_forwarded_is_said_on_stderr(node, alice_key, tmp_path):
    options = ("--node", node.url, "--identity", alice_key)
    async with running("forward", "0:10.0.0.1:22", *options, cwd=tmp_path) as command:
        where = (await command.line()).split()[1]
        async with dialled(where) as local:
            with pytest.raises(trio.BrokenResourceError):
                await everything(local.receive)
        await command.logs("connection not forwarded")
        done = await command.end(signal.SIGTERM)
    assert done.code == 0
    assert "no rule matches 10.0.0.1:22, and the default is deny" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["forward"], "missing argument"),
        (["forward", "80"], "should read PORT:HOST:PORT"),
        (["forward", "8080:::1:80"], "with IPv6 addresses in brackets"),
        (["forward", "70000:a:80"], "70000 is no port"),
        (["forward", "80:a:0"], "leads to port 0"),
        (["socks", "a:b"], "should read PORT"),
    ],
)
async def test_what_makes_no_sense_is_a_usage_error(tmp_path, arguments, sentence):
    done = await alknet(*arguments, cwd=tmp_path)

    assert (done.code, done.stdout) == (2, "")
    assert sentence in done.stderr


async def test_a_proxy_for_more_than_this_machine_is_refused(ask):
    done = await ask("socks", "0.0.0.0:0")

    assert done.code == 1
    assert "asks nobody who they are" in done.stderr


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
@pytest.mark.parametrize("option", ["--socks5-hostname", "--socks5"])
async def test_curl_fetches_through_a_proxy(node, alice_key, tmp_path, option):
    async def serve(stream):
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ncurly\n")

    async with target(serve) as port:
        options = ("--node", node.url, "--identity", alice_key)
        async with running("socks", "0", *options, cwd=tmp_path) as command:
            proxy = (await command.line()).removeprefix("ready socks5h://")
            done = await trio.run_process(
                ["curl", "-sS", "-m", "10", option, proxy, f"http://localhost:{port}/"],
                capture_stdout=True,
            )
            assert done.stdout == b"curly\n"
            refused = await trio.run_process(
                ["curl", "-sS", "-m", "10", option, proxy, "http://10.0.0.1/"],
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
            # curl calls the reply code 2 by its number.
            assert refused.returncode == 97
            assert b"(2)" in refused.stderr
            assert (await command.end(signal.SIGINT)).code == 0
