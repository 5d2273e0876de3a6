"""The stack.toml that `alknet init` writes: complete, commented, and ready to serve."""

import json
from string import Template
from typing import Final

_TEMPLATE: Final = Template("""\
# The node $plain_name: where it listens, whom it lets in, and which services it runs.
#
#     alknet serve --config stack.toml
#
# A table turns the service of its name on. A fault in this file stops the start, and is named
# with its line.

[node]
name = $name  # what paths call it, beside /head/
listen = $listen  # ws:// is not encrypted: for this machine only
drain = 5.0  # seconds that calls in flight may take when it stops
# What the recovery phrase must give; another phrase, or another passphrase, is refused.
identity = $identity

[limits]  # of one link
frame_bytes = 16777216
calls_in_flight = 1024
handshake_seconds = 10.0
silence_seconds = 45.0  # a peer of which nothing was heard for so long is gone

[secrets]  # derive, encrypt, decrypt, passwords; the seed itself never leaves the vault

[storage]  # graphs, and news of what changes in them
path = "alknet.db"  # beside this file; only one node may use it
synchronous = "normal"  # "full": what is acknowledged survives a power cut too, and is slower
check = "quick"  # how the file is looked through at each start: "quick", "full" or "none"
keep_events = 1000000  # how many events a watcher can resume from

[task]  # work that outlives the processes that do it; kept in the database of [storage]
room = 10000  # tasks that may be open at a time
lease = 30.0  # seconds that a worker has a task without a word
attempts = 3  # how often a task is tried unless it says otherwise

[worker]
interval = 5.0  # seconds between the heartbeats of a worker that has a pulse

[auth]
token_window = 300.0  # seconds around now for which a signed token is good

[[auth.peers]]
name = "operator"
keys = [$operator]
scopes = ["*"]

# A worker gets a key of its own (ssh-keygen -t ed25519) and the scopes that it needs:
#
# [[auth.peers]]
# name = "worker-1"
# keys = ["ssh-ed25519 AAAA... worker-1"]
# scopes = ["services:register", "auth:verify", "secrets:derive", "secrets:encrypt", "task:work"]

[config.forwarding]  # where connections may be forwarded to; the first rule that matches decides
default = "deny"
rules = []  # such as {target = "db.internal:5432", action = "allow", principals = ["worker-1"]}

[config.rate_limits]  # for those who enforce them, which this node does not yet; 0 means none
max_connections_per_ip = 64
max_auth_attempts = 10
calls_per_second = 0
""")


def stack_toml(*, name: str, listen: str, identity: str, operator: str) -> str:
    """Return the settings of a node called *name*.

    *identity* is the fingerprint of its key, *operator* the OpenSSH line of the key that may do
    everything.
    """
    # A TOML basic string escapes as JSON does.
    return _TEMPLATE.substitute(
        plain_name=name,
        name=json.dumps(name),
        listen=json.dumps([listen]),
        identity=json.dumps(identity),
        operator=json.dumps(operator),
    )
