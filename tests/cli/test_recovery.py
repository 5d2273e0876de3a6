"""`alknet restore --seed`: from the phrase alone, on an empty machine, the node is itself again."""

import pytest

from alknet import connect, load, open_node
from alknet.cli.identity import read_key
from alknet.keys import Keyring, ssh_fingerprint, ssh_public_line
from alknet.protocol.secret import Decrypt, DeriveEd25519, Encrypt

from ..people import PHRASE, node_key
from .command import alknet
from .typist import typist

IDENTITY = ssh_fingerprint(node_key(Keyring.from_mnemonic(PHRASE)))
HOST_KEY = ssh_public_line(
    Keyring.from_mnemonic(PHRASE).ed25519("m/74'/0'/1'/0'").public_key, "head"
)


@pytest.fixture
def phrase(tmp_path):
    path = tmp_path / "phrase"
    path.touch(0o600)
    path.write_text(PHRASE)
    return path


async def test_the_phrase_alone_gives_a_node_its_keys_again(tmp_path, phrase):
    async with open_node(keyring=Keyring.from_mnemonic(PHRASE)) as old:
        sealed = await old.client.call(Encrypt(b"what was worth keeping"))
        device = await old.client.call(DeriveEd25519(path="m/74'/0'/0'/1'"))

    empty = tmp_path / "empty"
    empty.mkdir()
    done = await alknet("restore", "--seed", "--phrase-file", phrase, cwd=empty)

    assert (done.code, done.stderr) == (0, "")
    assert f"identity  {IDENTITY}\nhost key  {HOST_KEY}\n" in done.stdout
    assert sorted(path.name for path in empty.iterdir()) == ["operator.key", "stack.toml"]
    settings = load(empty / "stack.toml")
    assert settings.node.identity == IDENTITY
    text = (empty / "stack.toml").read_text()
    (empty / "stack.toml").write_text(text.replace(":8480", ":0"))
    key = read_key(empty / "operator.key")
    async with open_node(empty / "stack.toml", keyring=Keyring.from_mnemonic(PHRASE)) as node:
        async with connect(node.url, identity=key, expect=IDENTITY) as client:
            assert (await client.call(Decrypt(sealed))).data == b"what was worth keeping"
            assert await client.call(DeriveEd25519(path="m/74'/0'/0'/1'")) == device


async def test_what_a_phrase_cannot_give_back_is_said(tmp_path, phrase):
    done = await alknet("restore", "--seed", "--phrase-file", phrase, cwd=tmp_path)

    for words in ("the database", "whom the node knew", "the operator's old key", "other hands"):
        assert words in done.stdout


async def test_a_program_is_told_as_json(tmp_path, phrase):
    arguments = ("--name", "nova", "--profile", "secret-node", "--json")
    done = await alknet("restore", "--seed", "--phrase-file", phrase, *arguments, cwd=tmp_path)

    assert done.json["identity"] == IDENTITY
    assert done.json["made"] == ["stack.toml", "operator.key"]
    settings = load(tmp_path / "stack.toml")
    assert settings.node.name == "nova"
    assert set(settings.services) == {"secrets", "auth", "config"}


async def test_the_phrase_may_be_typed(tmp_path):
    async with typist("restore", "--seed", cwd=tmp_path) as person:
        await person.sees("Recovery phrase: ")
        await person.types(PHRASE + "\n")
        done = await person.leaves()

    assert done.code == 0
    assert IDENTITY in done.stdout
    assert "abandon" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "name the FILE that `alknet backup` has made, or --seed"),
        (["copy.db", "--seed"], 2, "one of the two"),
        (["--seed"], 2, "nobody sits at a terminal"),
        (["--seed", "--phrase-file", "phrase", "--name", "a b"], 2, "a name has letters"),
        (["--seed", "--phrase-file", "bad"], 1, "recovery phrase"),
    ],
    ids=str,
)
async def test_what_cannot_be_restored_is_said_and_nothing_is_made(
    tmp_path, phrase, arguments, code, words
):
    (tmp_path / "bad").touch(0o600)
    (tmp_path / "bad").write_text("abandon " * 12)
    done = await alknet("restore", *arguments, cwd=tmp_path)

    assert done.code == code
    assert words in done.stderr
    assert not (tmp_path / "stack.toml").exists()


async def test_a_node_that_is_there_is_left_as_it_is(stack):
    before = {path.name: path.read_bytes() for path in stack.iterdir()}
    done = await alknet("restore", "--seed", "--phrase-file", "phrase", cwd=stack)

    assert done.code == 1
    assert "is there already and was left as it is" in done.stderr
    assert {path.name: path.read_bytes() for path in stack.iterdir()} == before
