"""Whose API key is this: by the sqlite backend, among a million, remembered and looked up."""

import gc
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from statistics import median

import apsw
import trio

from alknet.protocol.auth import Granted
from alknet.services.auth.keyset import AuthSettings
from alknet.services.auth.stored import StoredKeys
from alknet.store import api_keys, principals
from alknet.store.catalogue import Catalogue
from alknet.store.change import Change
from alknet.store.database import Database, open_database
from benches.harness import Measured, Pace, measured_row

KEYS = 1_000_000
QUICK_KEYS = 20_000
OWNERS = 1_000
# Fewer than are remembered when they are to be hot; of the cold ones, each comes once.
HOT = 1_000
COLD = 2_000
PEER = "sqlite3, the bare primary key"


def _token(number: int) -> str:
    # Prefixes lie in the file as random ones do: neighbours in time are none there.
    return f"alk_{number * 0x9E3779B1 & 0xFFFFFFFF:08x}{number:040d}"


def _fill(count: int) -> Callable[[apsw.Connection], None]:
    """Return a transaction that makes *count* API keys of some owners, without their events."""

    def fill(connection: apsw.Connection) -> None:
        change = Change(connection, Catalogue(), "bench")
        for number in range(OWNERS):
            principals.create(change, f"p-{number}", "service", scopes={"self:read", "echo:*"})
        connection.executemany(
            "insert into api_keys (prefix, hash, owner, name, scopes, created_at) "
            "values (?, ?, ?, '', '[\"*\"]', 0)",
            (
                (token[: api_keys.PREFIX_LENGTH], api_keys.digest(token), f"p-{number % OWNERS}")
                for number, token in ((number, _token(number)) for number in range(count))
            ),
        )

    return fill


def _measured(pace: Pace, *, hot: bool) -> Measured:
    count = KEYS if pace.rounds > 3 else QUICK_KEYS

    async def main(folder: Path) -> Measured:
        async with open_database(folder / "keys.db") as database:
            await database.write(_fill(count))
            # The peer reads the same rows, and may keep as many pages as ours.
            peer = sqlite3.connect(folder / "keys.db")
            peer.execute("pragma cache_size=-65536")
            ours_us, peer_us = [], []
            for _ in range(pace.rounds):
                tokens = [_token(number) for number in random.sample(range(count), COLD)]
                ours_us.append(_ours(database, folder, tokens, hot=hot))
                peer_us.append(_theirs(peer, tokens, hot=hot))
            peer.close()
            return Measured(median(ours_us), median(peer_us))

    with tempfile.TemporaryDirectory() as folder:
        return trio.run(main, Path(folder))


def _ours(database: Database, folder: Path, tokens: list[str], *, hot: bool) -> float:
    """Return how many microseconds the backend takes for one of *tokens*."""
    keys = StoredKeys(AuthSettings(), folder, database)
    # Rights of owners are remembered in either case: a node has known its owners for long.
    for number in range(OWNERS):
        keys.token(_token(number), time.time())
    asked = _asked(tokens, hot=hot)
    if hot:
        for token in asked:
            keys.token(token, time.time())
    found, spent = _timed(lambda token: keys.token(token, time.time()), asked)
    if not all(isinstance(each, Granted) for each in found):
        raise AssertionError("a key that was issued is nobody's")
    return spent


def _theirs(peer: sqlite3.Connection, tokens: list[str], *, hot: bool) -> float:
    asked = [token[: api_keys.PREFIX_LENGTH] for token in _asked(tokens, hot=hot)]
    look_up = "select hash, owner from api_keys where prefix = ?"
    found, spent = _timed(lambda prefix: peer.execute(look_up, (prefix,)).fetchone(), asked)
    if not all(found):
        raise AssertionError("a key that was put is not there")
    return spent


def _timed(find: Callable[[str], object], asked: list[str]) -> tuple[list[object], float]:
    """Return what *find* finds, and the microseconds for one; no collector runs meanwhile."""
    gc.collect()
    gc.disable()
    try:
        started = time.perf_counter()
        found = [find(each) for each in asked]
        return found, (time.perf_counter() - started) / len(asked) * 1e6
    finally:
        gc.enable()


def _asked(tokens: list[str], *, hot: bool) -> list[str]:
    """Return what to ask for: each once, or a part of them again and again."""
    if not hot:
        return tokens
    again = cycle(tokens[:HOT])
    return [next(again) for _ in range(10 * HOT)]


@measured_row("auth_verify_hot", peer=PEER, goal=3)
def auth_verify_hot(pace: Pace) -> Measured:
    """Who was let in a moment ago, again: from memory, with the look whether that still holds."""
    return _measured(pace, hot=True)


@measured_row("auth_verify_cold", peer=PEER, goal=0.5)
def auth_verify_cold(pace: Pace) -> Measured:
    """Who has not been here: found among all of them, compared, and given its rights."""
    return _measured(pace, hot=False)
