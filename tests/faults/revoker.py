"""Another process that shares a node's database: `python -m tests.faults.revoker PATH MANNER`.

It reads prefixes of API keys from its input, revokes each, and prints the time of its commit.
"""

import sys
import time
from pathlib import Path

import apsw

from alknet.store import api_keys
from alknet.store.catalogue import Catalogue
from alknet.store.change import Change
from alknet.store.connection import open_writer


def by_hand(connection, prefix):
    """As from a `sqlite3` shell: nobody is told."""
    connection.execute("update api_keys set revoked_at = ? where prefix = ?", (time.time(), prefix))


def in_order(connection, prefix):
    api_keys.revoke(Change(connection, Catalogue(), "revoker"), prefix)


def main(path, manner):
    if manner == "by-hand":
        connection, revoke = apsw.Connection(path), by_hand
        connection.set_busy_timeout(5_000)
    else:
        connection, revoke = open_writer(Path(path), "normal", "none"), in_order
    print("ready", flush=True)
    for line in sys.stdin:
        connection.execute("begin immediate")
        revoke(connection, line.strip())
        connection.execute("commit")
        print(time.time(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
