"""Socket activation: `alknet serve` takes the sockets that systemd has opened for it."""

import shutil
import socket
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from .command import ALKNET, SECONDS, Running, alknet, environment

# What systemd does between fork and exec (sd_listen_fds(3)): the sockets from 3 on, and whose.
_HANDED = """
import fcntl, os, sys
numbers, pid, command = sys.argv[1].split(","), sys.argv[2], sys.argv[3:]
# Out of the way first: one may stand where another is to go.
kept = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 100) for number in numbers]
for place, number in enumerate(kept, 3):
    os.dup2(number, place, inheritable=True)
os.environ["LISTEN_PID"] = pid or str(os.getpid())
os.environ["LISTEN_FDS"] = str(len(kept))
os.execv(command[0], command)
"""


@asynccontextmanager
async def activated(stack, *sockets, names="", pid="", listen):
    """Run the node of *stack* as systemd would, with *sockets*."""
    numbers = ",".join(str(each.fileno()) for each in sockets)
    env = environment(
        LISTEN_FDNAMES=names,
        ALKNET__NODE__LISTEN="[" + ", ".join(f'"{url}"' for url in listen) + "]",
    )
    process = await trio.lowlevel.open_process(
        [sys.executable, "-c", _HANDED, numbers, pid, *ALKNET, "serve", "--phrase-file", "phrase"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=stack,
        env=env,
        pass_fds=[each.fileno() for each in sockets],
    )
    try:
        yield Running(process)
    finally:
        with trio.CancelScope(shield=True):
            if process.poll() is None:
                process.kill()
                await process.wait()
            await process.stdout.aclose()
            await process.stderr.aclose()


@pytest.fixture
def listening():
    """A socket that listens at a port of this machine, as systemd would open it."""
    with socket.create_server(("127.0.0.1", 0)) as each:
        yield each


def url_of(listening, scheme="ws"):
    return f"{scheme}://127.0.0.1:{listening.getsockname()[1]}"


async def test_who_connects_while_the_node_starts_anew_waits_and_is_answered(stack, listening):
    url = url_of(listening)
    async with activated(stack, listening, listen=[url]) as node:
        assert await node.line() == f"ready {url}"
        assert (await alknet("status", "--node", url, cwd=stack)).code == 0
        node.process.kill()
        await node.process.wait()

    answered = []

    async def ask():
        answered.append(await alknet("status", "--node", url, "--json", cwd=stack))

    async with trio.open_nursery() as nursery:
        # Nobody serves now, and nobody is turned away.
        nursery.start_soon(ask)
        async with activated(stack, listening, listen=[url]) as node:
            assert await node.line() == f"ready {url}"
            with trio.fail_after(SECONDS):
                while not answered:
                    await trio.testing.wait_all_tasks_blocked(0.01)
    assert answered[0].json["node"] == "head"


async def test_a_socket_goes_to_the_url_of_its_name(stack, listening):
    with socket.create_server(("127.0.0.1", 0)) as other:
        async with activated(
            stack,
            listening,
            other,
            names="tcp:ws",
            listen=["ws://127.0.0.1:0", "tcp://127.0.0.1:0"],
        ) as node:
            assert await node.line() == f"ready {url_of(other)} {url_of(listening, 'tcp')}"


async def test_a_socket_that_no_url_has_is_told_of(stack, listening):
    async with activated(stack, listening, listen=["ws://127.0.0.1:0"]) as node:
        assert await node.line() != f"ready {url_of(listening)}"
        await node.logs("sockets of systemd's that no URL of `listen` has")


async def test_a_socket_that_lets_in_more_than_the_url_says_stops_the_start(stack):
    with socket.create_server(("0.0.0.0", 0)) as wide:
        async with activated(stack, wide, listen=[url_of(wide)]) as node:
            done = await node.end()
        port = wide.getsockname()[1]

    assert done.code == 1
    assert f"systemd hands over a socket at 0.0.0.0:{port} for its port" in done.stderr


async def test_sockets_that_were_meant_for_another_process_are_let_be(stack, listening):
    url = url_of(listening)
    async with activated(stack, listening, pid="1", listen=[url]) as node:
        done = await node.end()

    assert done.code == 1
    assert f"cannot listen at {url}: address already in use" in done.stderr.lower()


@pytest.mark.skipif(shutil.which("systemd-socket-activate") is None, reason="no systemd here")
async def test_it_is_what_systemd_does(stack):
    with socket.create_server(("127.0.0.1", 0)) as found:
        url = url_of(found)
    env = environment(ALKNET__NODE__LISTEN=f'["{url}"]')
    process = await trio.lowlevel.open_process(
        [
            *("systemd-socket-activate", "-E", "ALKNET__NODE__LISTEN"),
            *("-l", url.removeprefix("ws://")),
            *(*ALKNET, "serve", "--phrase-file", "phrase"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=stack,
        env=env,
    )
    node = Running(process)
    try:
        with trio.fail_after(SECONDS):
            while True:
                try:
                    stream = await trio.open_tcp_stream("127.0.0.1", int(url.rpartition(":")[2]))
                    break
                except OSError:
                    await trio.testing.wait_all_tasks_blocked(0.01)
        assert await node.line() == f"ready {url}"
        await stream.aclose()
        assert (await alknet("status", "--node", url, cwd=stack)).code == 0
    finally:
        with trio.CancelScope(shield=True):
            process.kill()
            await process.wait()
            await process.stdout.aclose()
            await process.stderr.aclose()


async def test_init_writes_a_socket_unit(tmp_path):
    done = await alknet(
        "init", "node", "--systemd", "--socket", "--phrase-file", "phrase", cwd=tmp_path
    )
    assert done.code == 0, done.stderr
    unit = (tmp_path / "node" / "alknet.socket").read_text()
    assert "\nListenStream=127.0.0.1:8480\n" in unit
    if shutil.which("systemd-analyze") is not None:
        checked = await trio.run_process(
            ["systemd-analyze", "verify", tmp_path / "node" / "alknet.socket"],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
        assert (checked.returncode, checked.stderr) == (0, b"")


async def test_a_socket_unit_says_what_listen_says(tmp_path):
    (tmp_path / "stack.toml").write_text(
        '[node]\nlisten = ["wss://[::]:443", "tls://localhost:8444", "quic://0.0.0.0:8444",'
        ' "ws://name.example:80"]\n'
    )
    done = await alknet("init", "--systemd", "--socket", cwd=tmp_path)
    assert done.code == 0, done.stderr
    unit = (tmp_path / "alknet.socket").read_text()
    assert [line for line in unit.splitlines() if line.startswith("Listen")] == [
        "ListenStream=[::]:443",
        "ListenStream=127.0.0.1:8444",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--socket"], 2, "--socket goes with --systemd"),
        (["--systemd", "--socket"], 1, "`listen` says none"),
    ],
)
async def test_a_socket_unit_that_cannot_be_is_not_written(tmp_path, arguments, code, words):
    (tmp_path / "stack.toml").write_text('[node]\nlisten = ["ws://name.example:80"]\n')
    done = await alknet("init", *arguments, cwd=tmp_path)
    assert done.code == code
    assert words in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["stack.toml"]
