"""Who calls in the tests: a seed for the node, and keys and names for its peers."""

import hashlib

from alknet import NodeSettings, Settings
from alknet.identity import Identity
from alknet.keys import Keyring, ssh_public_line
from alknet.runtime.vault import IDENTITY_PATH
from alknet.services.auth.keyset import AuthSettings, Peer, Token
from alknet.services.config import ConfigSettings

PHRASE = "abandon " * 11 + "about"

# Their keys never lock, so the keyring that they come from is kept.
_PEERS = Keyring.from_mnemonic(PHRASE, "peers")
ALICE_KEY = _PEERS.ed25519("m/1'")
WORKER_KEY = _PEERS.ed25519("m/2'")
STRANGER_KEY = _PEERS.ed25519("m/3'")

# A key of that seed proves a node that says who others are, whom others know by its token.
AUTHORITY_SEED = (PHRASE, "authority")
CI_TOKEN = "hunter2-hunter2-hunter2"
CI = Token("ci", f"sha256:{hashlib.sha256(CI_TOKEN.encode()).hexdigest()}", frozenset({"a"}))

ALICE = Identity("alice", frozenset({"echo:*"}))
ROOT = Identity("root", frozenset({"*"}))
NOBODY_MUCH = Identity("nobody-much", frozenset())


def node_key(keyring):
    """Return the public key that a node with this keyring shows."""
    return keyring.ed25519(IDENTITY_PATH).public_key


def peer(name, key, *scopes, **fields):
    """Return the entry of stack.toml that lists *key*."""
    return Peer(name, (ssh_public_line(key.public_key),), frozenset(scopes), **fields)


def node_settings(*peers, listen=("ws://127.0.0.1:0",), tokens=(), **fields):
    """Return the settings of a node that listens on loopback and knows alice and a worker."""
    return Settings(
        node=NodeSettings(
            name=fields.pop("name", "head"), listen=listen, drain=fields.pop("drain", 1.0)
        ),
        services={
            "auth": AuthSettings(
                peers=peers
                or (
                    peer("alice", ALICE_KEY, "*"),
                    peer("worker-1", WORKER_KEY, "services:register"),
                ),
                tokens=tokens,
            ),
            "secrets": None,
            "config": ConfigSettings(),
        },
        **fields,
    )


def auth_node_settings(url, *peers):
    """Return the settings of a node that says who others are, to the node of PHRASE's seed."""
    asker = Keyring.from_mnemonic(PHRASE).ed25519(IDENTITY_PATH)
    known = peers or (peer("bob", WORKER_KEY, "services:*", "auth:session"),)
    return node_settings(
        peer("head", asker, "auth:verify"), *known, name="authority", listen=(url,), tokens=(CI,)
    )
