"""A client of sixty-odd lines that has never heard of us works against a real node."""

import hashlib
import subprocess
import sys
from pathlib import Path

import trio

from alknet import open_node
from alknet.services.auth.keyset import Token

from ..echo import Echo
from ..people import node_settings

STRANGER = Path(__file__).with_name("stranger.py")
TOKEN = "alk_0123456789abcdef0123456789abcdef"


async def test_a_stranger_calls_subscribes_and_aborts():
    listed = Token(
        "stranger",
        "sha256:" + hashlib.sha256(TOKEN.encode()).hexdigest(),
        frozenset({"echo:*"}),
    )
    echo = Echo()
    async with open_node(node_settings(tokens=(listed,)), services=[echo]) as node:
        done = await trio.run_process(
            # Isolated, and without what is installed: the standard library and nothing else.
            [sys.executable, "-I", "-S", str(STRANGER), node.url, TOKEN],
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            check=False,
        )
        with trio.fail_after(5):
            await echo.has_ended()

    assert done.stdout.decode().split() == [
        "stranger", "hi", "0", "1", "2", "call.completed", "0", "NOT_FOUND",
    ]  # fmt: skip
    assert done.returncode == 0


def test_it_needs_nothing_of_ours_and_is_short():
    lines = STRANGER.read_text().splitlines()
    assert not [line for line in lines if "import alknet" in line or "from alknet" in line]
    assert len(lines) < 80
