"""Taking a job from a queue in which thirty thousand wait, beside honker's own way to take it."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import apsw

from alknet.store import queue
from alknet.store.connection import open_writer
from benches.harness import Measured, Pace, measured_row

BACKLOG = 30_000
QUICK_BACKLOG = 1_000
JOBS = 20


def _ours(connection: apsw.Connection) -> None:
    with connection:
        (job,) = queue.claim(connection, "q", "bench", 1)
    with connection:
        queue.acknowledge(connection, job)


def _honker(connection: apsw.Connection) -> None:
    with connection:
        found = connection.execute("select honker_claim_batch('q', 'bench', 1, 300)").get
    id = connection.execute("select json_extract(?, '$[0].id')", (found,)).get
    with connection:
        if connection.execute("select honker_ack(?, 'bench')", (id,)).get != 1:
            raise AssertionError("honker did not acknowledge its own job")


def _timed(take: Callable[[apsw.Connection], None], connection: apsw.Connection) -> float:
    started = perf_counter()
    for _ in range(JOBS):
        take(connection)
    return (perf_counter() - started) / JOBS * 1e6


@measured_row("queue_take", peer="honker's claim and ack", goal=3)
def queue_take(pace: Pace) -> Measured:
    """One job claimed, and acknowledged, in two commits."""
    backlog = BACKLOG if pace.rounds > 3 else QUICK_BACKLOG
    with tempfile.TemporaryDirectory() as folder:
        connection = open_writer(Path(folder) / "queue.db", "normal", "none")
        with connection:
            for _ in range(backlog):
                queue.enqueue(connection, "q", b"{}")
        ours, peer = [], []
        for _ in range(pace.rounds):
            ours.append(_timed(_ours, connection))
            peer.append(_timed(_honker, connection))
        connection.close()
    return Measured(median(ours), median(peer))
