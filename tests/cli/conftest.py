"""A node's files on disk, and commands that talk to a node of this process."""

import pytest

from alknet.cli.init import new_stack

from ..people import ALICE_KEY, PHRASE
from .command import alknet


@pytest.fixture
def stack(tmp_path):
    """A directory with the files of a node that takes any free port, and its phrase in a file."""
    files = {**new_stack(PHRASE, name="head", listen="ws://127.0.0.1:0"), "phrase": PHRASE}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    return tmp_path


@pytest.fixture
def alice_key(tmp_path):
    """A key file of alice's, who may do everything on `node`."""
    path = tmp_path / "alice.key"
    path.touch(0o600)
    path.write_text(ALICE_KEY.to_openssh("alice"))
    return path


@pytest.fixture
def ask(node, alice_key, tmp_path):
    """Run a command against `node`, as alice."""

    async def run(command, *arguments, **options):
        return await alknet(
            *(command, *arguments, "--node", node.url, "--identity", alice_key),
            **{"cwd": tmp_path, **options},
        )

    return run
