"""Shares of a phrase: handed out, typed by several people, and put together on an empty machine."""

import os
import re
import stat

import pytest

from alknet import load
from alknet.keys import Keyring, ShareSet, split_mnemonic, ssh_fingerprint

from ..people import PHRASE, node_key
from .command import alknet, running
from .typist import typist

IDENTITY = ssh_fingerprint(node_key(Keyring.from_mnemonic(PHRASE)))


@pytest.fixture
def shares(tmp_path):
    """Files with the three shares of PHRASE, two of which are enough."""
    paths = []
    for number, share in enumerate(split_mnemonic(PHRASE, 2, 3), 1):
        paths.append(tmp_path / f"share-{number}")
        paths[-1].touch(0o600)
        paths[-1].write_text(share + "\n")
    return paths


def read(shares):
    gathered = ShareSet()
    for share in shares:
        gathered.add(share)
    return gathered.reveal_phrase()


async def test_a_node_begins_and_comes_back_without_anybody_seeing_its_phrase(tmp_path):
    begun = await alknet(
        "init", "node", "--shares", "2-of-3", "--share-files", "part", cwd=tmp_path
    )
    assert (begun.code, begun.stderr) == (0, "")
    assert "next: alknet serve --config node/stack.toml --shares\n" in begun.stdout
    parts = [tmp_path / f"part-{number}" for number in (1, 2, 3)]
    assert {stat.S_IMODE(part.stat().st_mode) for part in parts} == {0o600}
    identity = load(tmp_path / "node" / "stack.toml").node.identity
    phrase = read(part.read_text() for part in parts[1:])
    assert len(phrase.split()) == 24
    assert ssh_fingerprint(node_key(Keyring.from_mnemonic(phrase))) == identity

    empty = tmp_path / "empty"
    empty.mkdir()
    options = ("--share-file", parts[2], "--share-file", parts[0])
    done = await alknet("restore", "--seed", *options, cwd=empty)
    assert (done.code, done.stderr) == (0, "")
    assert f"identity  {identity}\n" in done.stdout
    stack = empty / "stack.toml"
    stack.write_text(stack.read_text().replace(":8480", ":0"))
    async with running("serve", "--json", *options, cwd=empty) as node:
        assert identity in await node.line()


async def test_each_share_is_shown_alone_until_its_keeper_has_it(tmp_path):
    async with typist("init", "--words", "12", "--shares", "2-of-3", cwd=tmp_path) as person:
        seen = []
        for number in (1, 2, 3):
            shown = await person.sees(f"Press Enter, and share {number} is gone. ")
            assert f"Share {number} of 3. Any 2 of them give the phrase back" in shown
            words = dict(re.findall(r"(\d+) ([a-z]{4,8})\b", shown.split("looks.")[1]))
            seen.append(" ".join(words[str(place)] for place in range(1, 21)))
            await person.types("\n")
            await person.sees("\x1b[3J")
        done = await person.leaves()

    assert done.code == 0
    phrase = read(seen[:2])
    assert phrase == read([seen[2], seen[0]])
    assert load(tmp_path / "stack.toml").node.identity == ssh_fingerprint(
        node_key(Keyring.from_mnemonic(phrase))
    )
    assert not any(phrase in path.read_text() for path in tmp_path.iterdir())


async def test_several_people_type_their_shares_and_nobody_sees_them(tmp_path, shares):
    first, second = shares[0].read_text(), shares[2].read_text()
    async with typist("restore", "--seed", "--shares", cwd=tmp_path) as person:
        await person.sees("Share 1: ")
        assert not person.is_shown
        await person.types(first)
        await person.sees("taken: 1 more share is needed")
        await person.sees("Share 2: ")
        await person.types(first)
        await person.sees("this share was given already: another one is needed")
        await person.sees("Share 2: ")
        words = second.split()
        await person.types(" ".join([*words[:4], words[4] + "q", *words[5:]]) + "\n")
        await person.sees("word 5 of the share is not in the list of SLIP-0039")
        await person.sees(f"({words[4]!r} is the nearest there); those given before are kept")
        await person.sees("Share 2: ")
        await person.types(split_mnemonic(PHRASE, 2, 2)[0] + "\n")
        await person.sees("the share belongs to another set")
        await person.sees("Share 2: ")
        await person.types(second)
        done = await person.leaves()

    assert done.code == 0
    assert IDENTITY in done.stdout
    assert " ".join(words[5:8]) not in done.stdout


async def test_a_share_may_come_through_a_descriptor(tmp_path, shares):
    pipes = [os.pipe() for _ in range(2)]
    for (_, writing), path in zip(pipes, shares, strict=False):
        os.write(writing, path.read_bytes())
        os.close(writing)
    numbers = [reading for reading, _ in pipes]
    options = [word for number in numbers for word in ("--share-fd", str(number))]
    try:
        done = await alknet("restore", "--seed", *options, cwd=tmp_path, pass_fds=numbers)
    finally:
        for number in numbers:
            os.close(number)

    assert done.code == 0, done.stderr
    assert IDENTITY in done.stdout


async def test_a_phrase_is_split_and_combined(tmp_path):
    (tmp_path / "phrase").touch(0o600)
    (tmp_path / "phrase").write_text(PHRASE)
    arguments = ("3-of-5", "--phrase-file", "phrase", "--share-files", "out/part")

    split = await alknet("shares", "split", *arguments, cwd=tmp_path)
    files = [word for part in (5, 1, 3) for word in ("--share-file", f"out/part-{part}")]
    combined = await alknet("shares", "combine", *files, "--phrase-file", "again", cwd=tmp_path)
    once_more = await alknet("shares", "split", *arguments, cwd=tmp_path)

    assert split == (
        0,
        "made out/part-1, out/part-2, out/part-3, out/part-4, out/part-5\n",
        "",
    )
    assert combined == (0, "made again\n", "")
    assert (tmp_path / "again").read_text() == PHRASE
    assert once_more.code == 1
    assert "is there already" in once_more.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["restore", "--seed", "--share-file", "share-1"], 1, "1 more share is needed"),
        (["restore", "--seed", "--share-file", "bad"], 1, "this one has 2"),
        (
            ["restore", "--seed", "--share-file", "share-1", "--share-file", "share-1"],
            1,
            "given already",
        ),
        (["restore", "--seed", "--shares"], 2, "nobody sits at a terminal to type shares"),
        (["restore", "--seed", "--shares", "--phrase-fd", "0"], 2, "two sources: name one"),
        (["serve", "--locked", "--share-file", "share-1"], 2, "--locked starts without a phrase"),
        (["init", "--shares", "2-of-3"], 2, "--share-files PREFIX"),
        (["init", "--shares", "2/3", "--share-files", "p"], 2, "should read K-of-N"),
        (["init", "--shares", "4-of-3", "--share-files", "p"], 2, "4 of 3 shares"),
        (["init", "--share-files", "p", "--phrase-file", "f"], 2, "needs --shares K-of-N"),
        (["init", "--shares", "2-of-3", "--phrase-file", "f"], 2, "needs no shares"),
        (["shares", "split", "2-of-3", "--phrase-file", "bad", "--share-files", "p"], 1, "has 2"),
        (["shares", "combine"], 2, "nobody sits at a terminal"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
async def test_what_cannot_be_is_said_and_nothing_is_made(tmp_path, shares, arguments, code, words):
    (tmp_path / "bad").touch(0o600)
    (tmp_path / "bad").write_text("academic acid")
    if arguments[0] == "serve":
        (tmp_path / "stack.toml").write_text('[node]\nlisten = ["ws://127.0.0.1:0"]\n[auth]\n')
    before = sorted(path.name for path in tmp_path.iterdir())
    done = await alknet(*arguments, cwd=tmp_path)

    assert (done.code, done.stdout) == (code, "")
    assert words in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == before
