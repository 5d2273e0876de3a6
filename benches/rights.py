"""What an identity may do among ten thousand principals: worked out anew, and remembered."""

import random
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import trio

from alknet.store import principals
from alknet.store.catalogue import Catalogue
from alknet.store.change import Change
from alknet.store.database import Database, open_database
from alknet.store.rights import RightsOf, read
from benches.harness import Measured, Pace, measured_row

PRINCIPALS = 10_000
QUICK_PRINCIPALS = 500
ROLES = 100
# The most that the issue allows for working it out anew, in the median.
MOST_US = 1000

# What SQLite's own recursion makes of it: who is reached, without what they give.
REACHED = """
    with recursive reached(id) as (
        values (?) union select parent from edge join reached on child = id
    ) select id, scopes from reached join principal using (id)
"""


def _fill(principals_: int) -> Callable[..., list[tuple[str, str]]]:
    """Return a transaction that makes principals, each in some roles, which are in others.

    It returns what it has put: who belongs to, or has been lent something by, whom.
    """

    def fill(connection: object) -> list[tuple[str, str]]:
        change = Change(connection, Catalogue(), "bench")  # type: ignore[arg-type]
        edges = []
        for role in range(ROLES):
            scopes = {f"service-{role}:read", f"service-{role}:write"}
            principals.create(change, f"role-{role}", "role", scopes=scopes)
            if role:
                edges.append((f"role-{role}", f"role-{role // 2}"))
        for number in range(principals_):
            principals.create(change, f"p-{number}", "service", scopes={"self:read"})
            chosen = random.sample(range(ROLES), 3)
            edges += [(f"p-{number}", f"role-{role}") for role in chosen]
        for member, grouping in edges:
            principals.put_belonging(change, member, grouping)
        for number in range(0, principals_ - 1, 10):
            delegator, delegate = f"p-{number}", f"p-{number + 1}"
            principals.put_delegation(
                change, delegator, delegate, {"service-1:*"}, narrowable=False
            )
            edges.append((delegate, delegator))
        return edges

    return fill


def _measured(pace: Pace, find: Callable[[Database], Callable[[str], object]]) -> Measured:
    count = PRINCIPALS if pace.rounds > 3 else QUICK_PRINCIPALS

    async def main(folder: Path) -> Measured:
        async with open_database(folder / "ours.db") as database:
            edges = await database.write(_fill(count))
            peer = sqlite3.connect(folder / "peer.db")
            peer.execute("create table principal(id text primary key, scopes) without rowid")
            peer.execute("create table edge(child, parent, primary key (child, parent))")
            rows = database.rows("select id, scopes from principals")
            peer.executemany("insert into principal values (?, ?)", rows)
            peer.executemany("insert into edge values (?, ?)", edges)
            peer.commit()
            rights_of = find(database)
            ours_us, peer_us = [], []
            for _ in range(pace.rounds * 40):
                who = f"p-{random.randrange(count)}"
                started = perf_counter()
                found = rights_of(who)
                ours_us.append((perf_counter() - started) * 1e6)
                started = perf_counter()
                reached = peer.execute(REACHED, (who,)).fetchall()
                peer_us.append((perf_counter() - started) * 1e6)
                if not found or len(reached) < 4:
                    raise AssertionError(f"{who} has no rights")
            peer.close()
            return Measured(median(ours_us), median(peer_us))

    with tempfile.TemporaryDirectory() as folder:
        return trio.run(main, Path(folder))


@measured_row("rights_anew", peer="sqlite3, the recursive query alone", goal=0.05)
def rights_anew(pace: Pace) -> Measured:
    """Work the rights out, each time; more than a millisecond is a fault."""

    def find(database: Database) -> Callable[[str], object]:
        return lambda who: database.look(lambda connection: read(connection, who)).rights.scopes

    measured = _measured(pace, find)
    if measured.ours_us > MOST_US:
        raise AssertionError(f"the rights of one took {measured.ours_us:.0f} us")
    return measured


@measured_row("rights_known", peer="sqlite3, the recursive query alone", goal=10)
def rights_known(pace: Pace) -> Measured:
    """Ask again for what was asked before, with the look whether it has changed."""

    def find(database: Database) -> Callable[[str], object]:
        known = RightsOf(database)
        for number in range(PRINCIPALS if pace.rounds > 3 else QUICK_PRINCIPALS):
            known.find(f"p-{number}")
        return lambda who: known.find(who).rights.scopes

    return _measured(pace, find)
