"""`alknet unlock`, `lock` and `status`, against a node of this process."""

import os

import pytest

from alknet.keys import Keyring, split_mnemonic, ssh_fingerprint

from ..people import PHRASE, STRANGER_KEY, WORKER_KEY, node_key
from .command import alknet
from .typist import typist

FINGERPRINT = ssh_fingerprint(node_key(Keyring.from_mnemonic(PHRASE)))
OTHERS = "legal winner thank year wave sausage worth useful legal winner thank yellow"


@pytest.fixture
def phrase(tmp_path):
    path = tmp_path / "phrase"
    path.touch(0o600)
    path.write_text(PHRASE)
    return path


async def test_a_node_is_locked_and_unlocked_again(ask, node, phrase):
    locked = await ask("lock")
    again = await ask("lock")
    assert node.vault.is_locked()
    unlocked = await ask("unlock", "--phrase-file", phrase)
    too_often = await ask("unlock", "--phrase-file", phrase)

    assert locked == again == (0, "locked\n", "")
    assert unlocked == (0, f"unlocked {FINGERPRINT}\n", "")
    assert too_often.code == 1
    assert too_often.stderr == "alknet: the vault is unlocked already: `alknet lock` locks it\n"
    assert not node.vault.is_locked()


async def test_the_phrase_may_come_through_a_descriptor(ask, node):
    node.vault.lock()
    reading, writing = os.pipe()
    os.write(writing, PHRASE.encode())
    os.close(writing)
    try:
        done = await ask("unlock", "--phrase-fd", str(reading), "--json", pass_fds=[reading])
    finally:
        os.close(reading)

    assert done.json["locked"] is False
    assert done.json["identity"] == FINGERPRINT


async def test_the_phrase_is_typed_without_being_shown(node, alice_key):
    node.vault.lock()
    async with typist("unlock", "--node", node.url, "--identity", alice_key) as person:
        await person.sees("Recovery phrase: ")
        await person.types(PHRASE + "\n")
        done = await person.leaves()

    assert done == (0, f"\r\nunlocked {FINGERPRINT}\r\n", "")


async def test_without_a_terminal_the_phrase_must_come_from_somewhere(ask, node):
    node.vault.lock()

    done = await ask("unlock")

    assert done.code == 2
    assert done.stderr.endswith("use --phrase-file FILE or --phrase-fd N\n")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (PHRASE.replace("about", "abot"), "word 12 of the recovery phrase is not in the English"),
        (PHRASE.replace("about", "above"), "the checksum is wrong"),
        ("abandon", "this one has 1"),
    ],
    ids=["word", "checksum", "count"],
)
async def test_a_wrong_phrase_is_told_before_it_is_sent(ask, node, phrase, text, sentence):
    node.vault.lock()
    phrase.write_text(text)

    done = await ask("unlock", "--phrase-file", phrase)

    assert done.code == 1
    assert sentence in done.stderr
    assert node.vault.is_locked()


async def test_the_phrase_of_another_node_is_not_sent(ask, node, phrase):
    node.vault.lock()
    phrase.write_text(OTHERS)

    done = await ask("unlock", "--phrase-file", phrase, "--expect", FINGERPRINT)

    assert done.code == 1
    assert "is another node's" in done.stderr
    assert "nothing was sent" in done.stderr
    assert node.vault.is_locked()


async def test_shares_are_given_by_several_and_the_last_unlocks(node, alice_key, ask, tmp_path):
    one, two, three = split_mnemonic(PHRASE, 3, 3)
    paths = [tmp_path / name for name in ("one", "two")]
    for path, share in zip(paths, (one, two), strict=True):
        path.touch(0o600)
        path.write_text(share)
    node.vault.lock()
    first = await ask("unlock", "--share-file", paths[0])
    again = await ask("unlock", "--share-file", paths[0])
    second = await ask("unlock", "--share-file", paths[1], "--json")
    waiting = await ask("status")
    async with typist("unlock", "--shares", "--node", node.url, "--identity", alice_key) as person:
        await person.sees("Share 1: ")
        await person.types(two + "\n")
        await person.sees("another one is needed (2 given before; `alknet lock` drops them); try")
        await person.sees("Share 1: ")
        await person.types("\n")
        left = await person.leaves()
    async with typist("unlock", "--shares", "--node", node.url, "--identity", alice_key) as person:
        await person.sees("Share 1: ")
        await person.types(three + "\n")
        done = await person.leaves()

    assert first == (0, "locked: 1 given, 2 more shares are needed\n", "")
    assert again.code == 1
    assert "given already" in again.stderr
    assert (second.json["given"], second.json["missing"]) == (2, 1)
    assert "locked, 2 shares given, 1 missing: alknet unlock --shares" in waiting.stdout
    assert left.code == 1
    assert done == (0, f"\r\nunlocked {FINGERPRINT}\r\n", "")
    assert not node.vault.is_locked()


async def test_status_says_what_there_is_to_know(ask, node, worker):
    done = await ask("status")
    as_json = (await ask("status", "--json")).json

    said = dict(line.split(None, 1) for line in done.stdout.splitlines())
    assert (done.code, done.stderr) == (0, "")
    assert said["node"] == "head"
    assert said["vault"] == "unlocked"
    assert said["identity"] == FINGERPRINT
    assert said["peers"] == "alice, worker-1"
    assert said["url"].startswith(f"{node.url} (")
    assert as_json["vault"]["identity"] == FINGERPRINT
    assert as_json["peers"] == ["alice", "worker-1"]


async def test_status_of_a_locked_node_is_no_failure(ask, node):
    node.vault.lock()

    done = await ask("status", "--expect", FINGERPRINT)

    said = dict(line.split(None, 1) for line in done.stdout.splitlines())
    assert done.code == 0
    assert said["vault"] == "locked: alknet unlock"
    assert said["identity"] == "none while it is locked"


async def test_status_leaves_out_what_the_caller_may_not_know(node, worker, tmp_path):
    key = tmp_path / "worker.key"
    key.touch(0o600)
    key.write_text(WORKER_KEY.to_openssh())
    arguments = ("status", "--node", node.url, "--identity", key)

    done = await alknet(*arguments)
    as_json = (await alknet(*arguments, "--json")).json

    assert done.code == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["node", "url"]
    assert (as_json["vault"], as_json["peers"]) == (None, None)


@pytest.mark.parametrize("command", ["status", "lock"])
async def test_a_node_with_another_key_is_refused_all_the_same(ask, node, command):
    done = await ask(command, "--expect", ssh_fingerprint(STRANGER_KEY.public_key))

    assert done.code == 4
    assert not node.vault.is_locked()
