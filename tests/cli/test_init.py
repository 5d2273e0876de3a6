"""`alknet init`: a node that can be served at once, a phrase that is shown once."""

import re
import signal
import stat

import pytest

from alknet import load
from alknet.cli import stack_toml
from alknet.keys import Ed25519Key, Keyring, parse_ssh_public_line, ssh_fingerprint
from alknet.protocol.forwarding import ForwardingPolicy

from ..people import node_key
from .command import alknet, environment, running
from .typist import typist


def identity_of(phrase, passphrase=""):
    return ssh_fingerprint(node_key(Keyring.from_mnemonic(phrase, passphrase)))


async def test_what_it_makes_fits_together(tmp_path):
    arguments = ("new", "--phrase-file", "new/phrase", "--name", "nova")

    done = await alknet("init", *arguments, cwd=tmp_path)

    assert done == (
        0,
        "made new/stack.toml and new/operator.key\n"
        "next: alknet serve --config new/stack.toml --phrase-file new/phrase\n"
        "then: alknet status --config new/stack.toml\n",
        "",
    )
    settings = load(tmp_path / "new" / "stack.toml")
    phrase = (tmp_path / "new" / "phrase").read_text()
    key = Ed25519Key.from_openssh((tmp_path / "new" / "operator.key").read_bytes())
    (operator,) = settings.services["auth"].peers
    assert settings.node.name == "nova"
    assert settings.node.listen == ("ws://127.0.0.1:8480",)
    assert settings.node.identity == identity_of(phrase)
    assert settings.services["config"].forwarding.default == "deny"
    assert set(settings.services) == {
        "secrets",
        "auth",
        "config",
        "storage",
        "task",
        "worker",
        "forward",
    }
    assert len(phrase.split()) == 24
    assert operator.name == "operator"
    assert operator.scopes == {"*"}
    assert [parse_ssh_public_line(line)[0] for line in operator.keys] == [key.public_key]


async def test_only_their_owner_can_read_its_files(tmp_path):
    await alknet("init", "--phrase-file", "phrase", cwd=tmp_path)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"stack.toml": 0o600, "operator.key": 0o600, "phrase": 0o600}


async def test_what_it_makes_can_be_served(tmp_path):
    await alknet("init", "--phrase-file", "phrase", cwd=tmp_path)
    path = tmp_path / "stack.toml"
    path.write_text(path.read_text().replace(":8480", ":0"))

    async with running("serve", "--phrase-file", "phrase", cwd=tmp_path) as node:
        url = (await node.line()).removeprefix("ready ")
        done = await alknet("status", "--node", url, "--json", cwd=tmp_path)

    assert done.code == 0
    assert done.json["vault"]["locked"] is False


PROFILES = {
    "minimal": ("head", {"secrets", "auth"}),
    "head": ("head", {"secrets", "storage", "task", "worker", "forward", "auth", "config"}),
    "worker": ("worker-1", {"auth", "config", "forward"}),
    "auth-node": ("auth-node", {"storage", "auth", "config"}),
    "secret-node": ("secret-node", {"secrets", "auth", "config"}),
}


@pytest.mark.parametrize("profile", PROFILES)
async def test_each_profile_can_be_served_as_it_is_written(tmp_path, profile):
    name, services = PROFILES[profile]
    done = await alknet("init", "--profile", profile, "--phrase-file", "phrase", cwd=tmp_path)
    assert done.code == 0, done.stderr
    settings = load(tmp_path / "stack.toml")
    assert set(settings.services) == services
    if "config" in services:
        assert settings.services["config"].forwarding == ForwardingPolicy("deny", ())

    # As whoever starts several on one machine would: by the environment, the file as it is.
    env = environment(ALKNET__NODE__LISTEN='["ws://127.0.0.1:0"]')
    async with running("serve", "--phrase-file", "phrase", cwd=tmp_path, env=env) as node:
        url = (await node.line()).removeprefix("ready ")
        done = await alknet("status", "--node", url, "--json", cwd=tmp_path)
        assert done.code == 0, done.stderr
        assert done.json["node"] == name
        assert (await node.end(signal.SIGTERM)).code == 0


async def test_a_worker_joins_a_head_when_its_url_and_key_are_filled_in(tmp_path):
    await alknet("init", "--profile", "worker", "--phrase-file", "phrase", cwd=tmp_path)
    path = tmp_path / "stack.toml"
    pin = "SHA256:" + "A" * 43
    text = path.read_text()
    written = re.search(r"(# \[\[node\.joins\]\]\n(?:# .*\n)+)", text)[1]
    filled_in = written.replace("# ", "", 4).replace("SHA256:...", pin)
    path.write_text(text.replace(written, filled_in))

    (join,) = load(path).node.joins
    assert (join.urls, join.expect, join.grant) == (("wss://head.example:8443",), pin, {"*"})


def test_there_are_no_other_profiles():
    assert list(PROFILES) == list(stack_toml.PROFILES)


@pytest.mark.parametrize("words", [12, 24])
async def test_the_phrase_is_shown_once_on_the_terminal(tmp_path, words):
    async with typist("init", "--words", words, cwd=tmp_path) as person:
        done = await person.leaves()

    numbered = dict(re.findall(r"(\d+) ([a-z]+)", done.stdout))
    phrase = " ".join(numbered[str(number)] for number in range(1, words + 1))
    assert done.code == 0
    assert len(numbered) == words
    assert f"\r\n{phrase}\r\n" in done.stdout
    assert load(tmp_path / "stack.toml").node.identity == identity_of(phrase)
    assert not any(phrase in path.read_text() for path in tmp_path.iterdir())


async def test_no_phrase_is_written_where_no_person_looks(tmp_path):
    done = await alknet("init", cwd=tmp_path)

    assert done.code == 2
    assert "name a file for the phrase with --phrase-file FILE" in done.stderr
    assert list(tmp_path.iterdir()) == []


async def test_a_passphrase_is_asked_for_twice(tmp_path):
    async with typist("init", "--ask-passphrase", cwd=tmp_path) as person:
        await person.sees("New passphrase: ")
        await person.types("correct horse\n")
        await person.sees("Once more: ")
        await person.types("correct horse\n")
        done = await person.leaves()

    phrase = re.search(r"\r\n((?:[a-z]+ ){23}[a-z]+)\r\n", done.stdout)[1]
    assert "horse" not in done.stdout
    assert load(tmp_path / "stack.toml").node.identity == identity_of(phrase, "correct horse")


async def test_two_passphrases_that_differ_make_nothing(tmp_path):
    async with typist("init", "--ask-passphrase", cwd=tmp_path) as person:
        await person.sees("New passphrase: ")
        await person.types("correct horse\n")
        await person.sees("Once more: ")
        await person.types("correct house\n")
        done = await person.leaves()

    assert (done.code, list(tmp_path.iterdir())) == (1, [])
    assert "the two passphrases differ; nothing was made" in done.stdout


@pytest.mark.parametrize("name", ["stack.toml", "operator.key", "phrase"])
async def test_it_overwrites_nothing(tmp_path, name):
    (tmp_path / name).write_text("mine")

    done = await alknet("init", "--phrase-file", "phrase", cwd=tmp_path)

    assert done.code == 1
    assert done.stderr.startswith(f"alknet: {name} is there already and was left as it is")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]


async def test_it_overwrites_all_but_a_phrase_when_forced(tmp_path):
    for name in ("stack.toml", "operator.key", "phrase"):
        (tmp_path / name).write_text("mine")

    refused = await alknet("init", "--force", "--phrase-file", "phrase", cwd=tmp_path)
    done = await alknet("init", "--force", "--phrase-file", "other", cwd=tmp_path)

    assert refused.code == 1
    assert refused.stderr == "alknet: phrase is there already and was left as it is\n"
    assert done.code == 0
    assert (tmp_path / "phrase").read_text() == "mine"
    assert load(tmp_path / "stack.toml").node.identity == identity_of(
        (tmp_path / "other").read_text()
    )


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--words", "13"], 2, "--words: a recovery phrase has 12, 15, 18, 21 or 24 words"),
        (["--name", "a b"], 2, "--name 'a b': a name has letters, digits"),
        (["--name", 'x"\nevil = true'], 2, "a name has letters, digits"),
        (["stack"], 1, "cannot write stack"),
        (["/proc/nowhere"], 1, "cannot write"),
    ],
    ids=str,
)
async def test_what_cannot_be_made_is_said(tmp_path, arguments, code, sentence):
    (tmp_path / "stack").touch()

    done = await alknet("init", *arguments, "--phrase-file", "phrase", cwd=tmp_path)

    assert (done.code, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["stack"]
