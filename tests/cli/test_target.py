"""Which node, and who asks: from the options, or from the settings and the key beside them."""

import hashlib

import pytest

from alknet import open_node
from alknet.keys import Ed25519Key, ssh_fingerprint, ssh_public_line
from alknet.services.auth.keyset import Token

from ..people import STRANGER_KEY, node_key, node_settings
from .command import alknet, environment


@pytest.fixture
def beside(tmp_path, node, alice_key, keyring):
    """A directory with the settings of `node` and alice's key as its operator's."""
    alice_key.rename(tmp_path / "operator.key")
    fingerprint = ssh_fingerprint(node_key(keyring))
    (tmp_path / "stack.toml").write_text(
        f'[node]\nlisten = ["{node.url}"]\nidentity = "{fingerprint}"\n[things_of_the_future]\n'
    )
    return tmp_path


async def test_the_settings_here_name_the_node_and_the_key(beside):
    done = await alknet("call", "echo/whoami", cwd=beside)

    assert done == (0, '"alice"\n', "")


async def test_the_settings_may_be_elsewhere(beside):
    done = await alknet("call", "echo/whoami", "--config", beside / "stack.toml", cwd="/")

    assert done == (0, '"alice"\n', "")


@pytest.mark.parametrize("is_locked", [False, True])
async def test_every_way_that_the_settings_name_is_tried(beside, node, keyring, is_locked):
    """A node that is locked has no certificate to show over TLS, and is reached by another way."""
    path = beside / "stack.toml"
    here = node_settings(listen=("tls://127.0.0.1:0", "ws://127.0.0.1:0"))
    async with open_node(here, keyring=None if is_locked else keyring) as several:
        path.write_text(
            path.read_text().replace(f'"{node.url}"', ", ".join(f'"{url}"' for url in several.urls))
        )

        done = await alknet("status", "--json", cwd=beside)

    assert done.code == 0
    assert done.json["vault"]["locked"] is is_locked


async def test_the_key_may_be_named_by_the_environment(beside, tmp_path):
    key = (beside / "operator.key").rename(tmp_path / "elsewhere.key")

    done = await alknet(
        "call", "echo/whoami", cwd=beside, env=environment(ALKNET_IDENTITY=str(key))
    )

    assert done == (0, '"alice"\n', "")


async def test_the_settings_name_the_key_that_the_node_must_show(beside):
    path = beside / "stack.toml"
    other = ssh_fingerprint(STRANGER_KEY.public_key)
    text = path.read_text()
    path.write_text(text[: text.index("identity")] + f'identity = "{other}"\n')

    done = await alknet("call", "echo/whoami", cwd=beside)

    assert done.code == 4
    assert f"should hold the key {other}" in done.stderr


@pytest.mark.parametrize(
    "spell",
    [
        ssh_fingerprint,
        lambda key: ssh_public_line(key, "the node"),
        lambda key: f"ed25519:{key.hex()}",
    ],
    ids=["fingerprint", "ssh", "hex"],
)
async def test_the_expected_key_is_written_in_any_of_three_ways(ask, keyring, spell):
    right = await ask("call", "echo/whoami", "--expect", spell(node_key(keyring)))
    wrong = await ask("call", "echo/whoami", "--expect", spell(STRANGER_KEY.public_key))

    assert (right.code, wrong.code) == (0, 4)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--node", "nowhere"], 2, "--node: 'nowhere' should read ws://host:port"),
        (["--node", "ws://x:y"], 2, "--node: 'ws://x:y' is no URL"),
        (["--timeout", "0"], 2, "invalid value for '--timeout'"),
        (["--timeout", "soon"], 2, "invalid value for '--timeout'"),
        (["--expect", "me"], 2, "--expect: give a fingerprint (SHA256:...)"),
        (["--expect", "ed25519:00"], 2, "--expect: give a fingerprint (SHA256:...)"),
        (["--identity", "k", "--token-file", "t"], 2, "are two ways to say who you are"),
        (["--identity", "missing.key"], 1, "cannot read missing.key: no such file"),
        (["--token-file", "missing"], 1, "cannot read missing: no such file"),
        (["--config", "missing.toml"], 1, "cannot read missing.toml: no such file"),
        ([], 2, "there is no operator.key to call with: name a key with --identity FILE"),
    ],
    ids=str,
)
async def test_what_cannot_be_used_is_said(tmp_path, arguments, code, sentence):
    done = await alknet("status", *arguments, cwd=tmp_path)

    assert (done.code, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[node]\nlisten = 7\n", "stack.toml:2: node.listen: expected `array`, got `int`"),
        ("[node\n", "stack.toml:1: expected"),
        ("[node]\n", "stack.toml names no URL that the node could be reached at"),
        ("[node]\nlisten = ['ws://127.0.0.1:0']\n", "names no URL that the node could be reached"),
    ],
    ids=str,
)
async def test_settings_that_lead_nowhere_are_said(tmp_path, text, sentence):
    (tmp_path / "stack.toml").write_text(text)

    done = await alknet("status", cwd=tmp_path)

    assert (done.code, done.stdout) == (1, "")
    assert sentence in done.stderr


async def test_a_node_that_listens_everywhere_is_reached_here(beside, node):
    path = beside / "stack.toml"
    path.write_text(path.read_text().replace("127.0.0.1", "0.0.0.0"))

    done = await alknet("status", "--json", cwd=beside)

    assert done.json["url"] == node.url


async def test_a_token_opens_the_link_too(tmp_path):
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("correct-horse\n")
    known = Token("robot", "sha256:" + hashlib.sha256(b"correct-horse").hexdigest())
    async with open_node(node_settings(tokens=(known,))) as node:
        done = await alknet("call", "services/ping", "--node", node.url, "--token-file", token)
        token.write_text("correct-house\n")
        wrong = await alknet("call", "services/ping", "--node", node.url, "--token-file", token)

    assert done.json["node"] == "head"
    assert wrong.code == 4
    assert "house" not in wrong.stderr


async def test_a_key_that_is_not_the_callers_own_says_whose_it_is(node, tmp_path):
    path = tmp_path / "new.key"
    path.touch(0o600)
    key = Ed25519Key.generate()
    path.write_text(key.to_openssh())

    done = await alknet("status", "--node", node.url, "--identity", path)

    assert done.code == 4
    assert ssh_fingerprint(key.public_key) in done.stderr
