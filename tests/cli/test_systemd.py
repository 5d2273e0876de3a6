"""A node under systemd: its unit, its readiness, its watchdog, and its phrase as a credential."""

import configparser
import shutil
import signal
import socket
import stat
import subprocess

import pytest
import trio

from alknet.cli.systemd_unit import CREDENTIAL, systemd_unit

from ..people import PHRASE
from .command import alknet, environment, running

SERVE = ("serve", "--config", "stack.toml", "--phrase-credential", CREDENTIAL)


def read(path):
    """Return the unit in *path*, a dictionary a section."""
    unit = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    unit.optionxform = str
    unit.read_string(path.read_text())
    return unit


async def test_init_writes_a_unit_for_a_new_node(tmp_path):
    done = await alknet("init", "node", "--systemd", "--phrase-file", "phrase", cwd=tmp_path)

    assert done.code == 0
    assert "or: node/alknet.service, whose first lines say how to install it" in done.stdout
    path = tmp_path / "node" / "alknet.service"
    service = read(path)["Service"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert service["Type"] == "notify"
    assert f"serve --config {tmp_path}/node/stack.toml --phrase-credential" in service["ExecStart"]
    assert service["LoadCredentialEncrypted"] == CREDENTIAL
    assert service["ReadWritePaths"] == str(tmp_path / "node")


async def test_init_writes_only_the_unit_for_a_node_that_is_there(stack):
    before = {path.name: path.read_bytes() for path in stack.iterdir()}
    done = await alknet("init", "--systemd", cwd=stack)
    again = await alknet("init", "--systemd", cwd=stack)

    assert done == (0, "made alknet.service: its first lines say how to install it\n", "")
    after = {path.name: path.read_bytes() for path in stack.iterdir()}
    assert after.pop("alknet.service")
    assert after == before
    assert again.code == 1
    assert "alknet.service is there already" in again.stderr


@pytest.mark.parametrize("name", ["node", "a node", "100%"])
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit_and_finds_it_closed(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    path = folder / "alknet.service"
    path.write_text(systemd_unit(folder / "stack.toml"))

    checked = subprocess.run(
        ["systemd-analyze", "verify", path], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=30", path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout


@pytest.fixture
def manager(stack):
    """What systemd gives a unit: a socket to be told by, and credentials; yield its ear."""
    credentials = stack / "credentials"
    credentials.mkdir()
    (credentials / CREDENTIAL).write_text(PHRASE + "\n")
    (credentials / CREDENTIAL).chmod(0o440)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(b"\0alknet-test-" + stack.name.encode())
        listener.setblocking(False)

        async def hear(wanted):
            """Return the next thing that is told, of which the first word is *wanted*."""
            with trio.fail_after(30):
                while True:
                    await trio.lowlevel.wait_readable(listener)
                    told = listener.recv(4096).decode()
                    if told.startswith(wanted):
                        return told

        env = environment(
            NOTIFY_SOCKET=f"@alknet-test-{stack.name}",
            WATCHDOG_USEC="200000",
            CREDENTIALS_DIRECTORY=str(credentials),
        )
        yield hear, env


async def test_a_node_tells_systemd_when_it_is_ready_alive_reloaded_and_stopping(stack, manager):
    hear, env = manager
    async with running(*SERVE, cwd=stack, env=env) as node:
        ready = await hear("READY=1")
        url = (await node.line()).removeprefix("ready ")
        assert ready.startswith(f"READY=1\nSTATUS=head answers at {url} (SHA256:")
        for _ in range(3):
            assert await hear("WATCHDOG=1")
        node.process.send_signal(signal.SIGHUP)
        assert await hear("RELOADING=1")
        assert await hear("READY=1")
        node.process.send_signal(signal.SIGTERM)
        assert await hear("STOPPING=1")
        assert (await node.end()).code == 0


async def test_a_node_that_hangs_falls_silent(stack, manager):
    hear, env = manager
    async with running(*SERVE, cwd=stack, env=env) as node:
        await hear("READY=1")
        await hear("WATCHDOG=1")
        node.process.send_signal(signal.SIGSTOP)
        with pytest.raises(trio.TooSlowError):
            with trio.fail_after(1.0):
                while True:  # what was on its way may still arrive
                    await hear("WATCHDOG=1")
        node.process.send_signal(signal.SIGCONT)
        assert await hear("WATCHDOG=1")


@pytest.mark.parametrize(
    ("arguments", "variables", "code", "words"),
    [
        (["--phrase-credential", "x"], {}, 2, "systemd gives this process no credentials"),
        (["--phrase-credential", "../x"], {"CREDENTIALS_DIRECTORY": "."}, 2, "cannot be the name"),
        (["--phrase-credential", "x"], {"CREDENTIALS_DIRECTORY": "."}, 1, "no such file"),
        (
            ["--phrase-credential", "x", "--phrase-file", "phrase"],
            {"CREDENTIALS_DIRECTORY": "."},
            2,
            "--phrase-file and --phrase-credential are two sources: name one",
        ),
        (["--phrase-credential", "x", "--locked"], {}, 2, "--locked starts without a phrase"),
    ],
    ids=str,
)
async def test_a_credential_that_cannot_be_read_says_why(stack, arguments, variables, code, words):
    done = await alknet("serve", *arguments, cwd=stack, env=environment(**variables))

    assert done.code == code
    assert words in done.stderr
