"""The stack.toml that `alknet init` writes: complete, commented, and ready to serve."""

import json
from enum import StrEnum
from string import Template
from typing import Final

import msgspec

_HEAD: Final = """\
# The node $plain_name: where it listens, whom it lets in, and which services it runs.
# $purpose
#
#     alknet serve --config stack.toml
#
# A table turns the service of its name on. A fault in this file stops the start, and is named
# with its line. A variable such as ALKNET__NODE__DRAIN=2.5 goes before the file. For an editor,
# `alknet schema --settings` prints what may stand here as JSON Schema.

[node]
name = $name  # what paths call it, beside /head/
listen = $listen  # ws:// is not encrypted: for this machine only
drain = 5.0  # seconds that calls in flight may take when it stops
# What the recovery phrase must give; another phrase, or another passphrase, is refused.
identity = $identity
"""

_WATCH: Final = """\
watch = 2.0  # seconds between looks at this file, reloaded when it has changed; 0: SIGHUP only
"""

_JOINS: Final = """
# The head that this node works for: what runs here can be called there as /$plain_name/...
# It lists this node so:
#
#     [[auth.peers]]
#     name = $name
#     keys = [$identity]
#     scopes = ["services:register"]
#
# and here stand its URL and its key, which `alknet status` calls its identity there:
#
# [[node.joins]]
# urls = ["wss://head.example:8443"]
# expect = "SHA256:..."
# grant = ["*"]  # what the head's callers may have here at the most
"""

_LIMITS: Final = """
[limits]  # of one link
frame_bytes = 16777216
calls_in_flight = 1024
handshake_seconds = 10.0
silence_seconds = 45.0  # a peer of which nothing was heard for so long is gone
stalled_seconds = 120.0  # a subscription that is not read for so long is ended
"""

_SECRETS: Final = """
[secrets]  # derive, encrypt, decrypt, passwords; the seed itself never leaves the vault
remote_unlock = false  # true: peers granted "secrets:unlock" by name may unlock it from elsewhere
share_seconds = 600.0  # how long shares of the phrase are kept while others are waited for
# With remote = "tls://secret-node:8444" another node answers from its seed, and
# cache_seconds = 3600.0 is how long the public keys that it derives are kept here.
"""

_STORAGE: Final = """
[storage]  # graphs, and news of what changes in them
path = "alknet.db"  # beside this file; only one node may use it
synchronous = "normal"  # "full": what is acknowledged survives a power cut too, and is slower
check = "quick"  # how the file is looked through at each start: "quick", "full" or "none"
keep_events = 1000000  # how many events a watcher can resume from
"""


_TASK: Final = """
[task]  # work that outlives the processes that do it; kept in the database of [storage]
room = 10000  # tasks that may be open at a time
lease = 30.0  # seconds that a worker has a task without a word
attempts = 3  # how often a task is tried unless it says otherwise
"""

_WORKER: Final = """
[worker]
interval = 5.0  # seconds between the heartbeats of a worker that has a pulse
"""

_AUTH: Final = """
[auth]
token_window = 300.0  # seconds around now for which a signed token is good

[[auth.peers]]
name = "operator"
keys = [$operator]
scopes = ["*"]
"""

_PEER: Final = Template("""
# $who gets a key of its own (ssh-keygen -t ed25519) and the scopes that it needs:
#
# [[auth.peers]]
# name = "$example"
# keys = ["ssh-ed25519 AAAA... $example"]
# scopes = $scopes
""")

_FORWARDING: Final = """
[config.forwarding]  # where connections may be forwarded to; the first rule that matches decides
default = "deny"
rules = []  # such as {target = "db.internal:5432", action = "allow", principals = ["worker-1"]}
"""

_FORWARD: Final = """
[forward]  # opens the connections that the policy above allows to callers with forward:open
idle_seconds = 3600.0  # a connection on which nothing moves for so long is closed
"""

_RATES: Final = """
[config.rate_limits]  # of one caller; 0 means no limit
max_connections_per_ip = 64
max_connections_per_identity = 64
connections_per_second_per_ip = 20
max_auth_attempts = 10  # failures until an address is locked out
lockout_seconds = 60.0  # the first time; twice as long each further time
calls_per_second = 0
calls_per_second_per_ip = 0
max_forwards_per_identity = 256
burst_seconds = 1.0  # so many seconds' worth of a rate may come at once
# Addresses and CIDR blocks without limits. A program here that tries again and again with the wrong
# key should lock nobody out; but where strangers come through a proxy here, take these out.
exempt = ["127.0.0.0/8", "::1"]
"""


class Profile(msgspec.Struct, frozen=True):
    """What kind of node a stack.toml describes.

    `name` is what the node is called if nobody says otherwise, `purpose` a line for its reader, and
    `tables` what follows [node], in order.
    """

    name: str
    purpose: str
    tables: tuple[str, ...]


def _peer(who: str, example: str, *scopes: str) -> str:
    return _PEER.substitute(who=who, example=example, scopes=json.dumps(scopes))


class ProfileName(StrEnum):
    """The profiles there are."""

    MINIMAL = "minimal"
    HEAD = "head"
    WORKER = "worker"
    AUTH_NODE = "auth-node"
    SECRET_NODE = "secret-node"  # noqa: S105 - the name of a profile


PROFILES: Final[dict[ProfileName, Profile]] = {
    ProfileName.MINIMAL: Profile(
        "head",
        "It keeps keys for its operator, and nothing else.",
        (_SECRETS, _AUTH),
    ),
    ProfileName.HEAD: Profile(
        "head",
        "It runs every service, and workers connect to it.",
        (
            _WATCH,
            _LIMITS,
            _SECRETS,
            _STORAGE,
            _TASK,
            _WORKER,
            _AUTH,
            _peer(
                "A worker",
                "worker-1",
                "services:register",
                "auth:verify",
                "secrets:derive",
                "secrets:encrypt",
                "task:work",
            ),
            _FORWARDING,
            _FORWARD,
            _RATES,
        ),
    ),
    ProfileName.WORKER: Profile(
        "worker-1",
        "It works for a head, and holds neither that head's seed nor whom that head knows.",
        (
            _WATCH,
            _JOINS,
            _LIMITS,
            _AUTH,
            _peer("Who calls it without its head", "alice", "services:*"),
            _FORWARDING,
            _FORWARD,
            _RATES,
        ),
    ),
    ProfileName.AUTH_NODE: Profile(
        "auth-node",
        "It says for other nodes whose key or token it is, and keeps no secrets of theirs.",
        (
            _WATCH,
            _LIMITS,
            _STORAGE,
            _AUTH,
            _peer("A node that asks it", "head", "auth:verify"),
            _FORWARDING,
            _RATES,
        ),
    ),
    ProfileName.SECRET_NODE: Profile(
        "secret-node",
        "It holds the seed, and derives and seals for other nodes; serve --no-core-dumps suits it.",
        (
            _WATCH,
            _LIMITS,
            _SECRETS,
            _AUTH,
            _peer(
                "A node that asks it",
                "head",
                "identity:forward",
                "secrets:derive",
                "secrets:encrypt",
            ),
            _FORWARDING,
            _RATES,
        ),
    ),
}


def stack_toml(*, profile: Profile, name: str, listen: str, identity: str, operator: str) -> str:
    """Return the settings of a node of that kind called *name*.

    *identity* is the fingerprint of its key, *operator* the OpenSSH line of the key that may do
    everything.
    """
    # A TOML basic string escapes as JSON does.
    values = {
        "plain_name": name,
        "purpose": profile.purpose,
        "name": json.dumps(name),
        "listen": json.dumps([listen]),
        "identity": json.dumps(identity),
        "operator": json.dumps(operator),
    }
    return "".join(Template(part).substitute(values) for part in (_HEAD, *profile.tables))
