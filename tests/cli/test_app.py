"""`alknet` itself: its help, its version, and what it does not load."""

import sys

import pytest
import trio

import alknet as package

from .command import alknet, environment

COMMANDS = (
    *("init", "serve", "unlock", "lock", "status"),
    *("call", "watch", "services", "schema", "demo"),
    *("backup", "restore", "rotate", "doctor", "shares"),
)


@pytest.mark.parametrize("arguments", [["--help"], ["-h"]], ids=str)
async def test_help_names_every_command_and_exit_code(arguments):
    done = await alknet(*arguments)

    assert (done.code, done.stderr) == (0, "")
    assert all(f" {command} " in done.stdout for command in COMMANDS)
    assert "0 fine, 1 failed, 2 usage, 3 no connection, 4 denied, 5 locked" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
async def test_every_command_has_help(command):
    done = await alknet(command, "--help")

    assert (done.code, done.stderr) == (0, "")
    assert f"alknet {command}" in done.stdout


async def test_it_says_its_version():
    done = await alknet("--version")

    assert done == (0, f"alknet {package.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["conjure"], "no such command 'conjure'"),
        (["--loud"], "no such option: --loud"),
        (["status", "--loud"], "no such option: --loud"),
    ],
    ids=str,
)
async def test_what_it_does_not_know_is_a_usage_error(arguments, sentence):
    done = await alknet(*arguments)

    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"alknet: {sentence}")
    assert done.stderr.count("\n") == 1


async def test_alone_it_shows_its_help():
    alone = await alknet()
    helped = await alknet("--help")

    assert (alone.code, alone.stderr) == (2, "")
    assert alone.stdout.rstrip() == helped.stdout.rstrip()


@pytest.mark.parametrize("at", [0, 1], ids=["before the command", "after it"])
async def test_debug_shows_the_traceback(tmp_path, at):
    arguments = ["status", "--config", "missing.toml"]
    quiet = await alknet(*arguments, cwd=tmp_path)
    arguments.insert(at, "--debug")
    loud = await alknet(*arguments, cwd=tmp_path)

    assert "Traceback" not in quiet.stderr
    assert "Traceback" in loud.stderr
    assert loud.stderr.endswith(quiet.stderr)
    assert loud.code == quiet.code == 1


async def test_help_loads_no_service_and_no_demo():
    code = "import sys, alknet.cli.app; print(*sorted(sys.modules))"
    done = await trio.run_process(
        [sys.executable, "-c", code], capture_stdout=True, env=environment()
    )

    loaded = done.stdout.decode().split()
    assert "alknet.cli.serve" in loaded
    assert not [
        name for name in loaded if name.startswith(("alknet.services.", "alknet.cli.demo."))
    ]
