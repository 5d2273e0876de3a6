"""Who calls in the tests: a seed for the node, and keys and names for its peers."""

from alknet import NodeSettings, Settings
from alknet.identity import Identity
from alknet.keys import Keyring, ssh_public_line
from alknet.runtime.vault import IDENTITY_PATH
from alknet.services.auth.keyset import AuthSettings, Peer
from alknet.services.config import ConfigSettings

PHRASE = "abandon " * 11 + "about"

# Their keys never lock, so the keyring that they come from is kept.
_PEERS = Keyring.from_mnemonic(PHRASE, "peers")
ALICE_KEY = _PEERS.ed25519("m/1'")
WORKER_KEY = _PEERS.ed25519("m/2'")
STRANGER_KEY = _PEERS.ed25519("m/3'")

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
