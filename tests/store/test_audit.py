"""The audit log shows when somebody has been at it."""

import apsw
import pytest

from alknet.protocol.storage import AuditHead
from alknet.store import migrations
from alknet.store.audit import page, record, verify
from alknet.store.connection import open_writer

ENTRIES = 5


@pytest.fixture
def connection(tmp_path):
    path = tmp_path / "test.db"
    connection = open_writer(path, "normal", "none")
    migrations.apply(connection, path)
    fill(connection)
    yield connection
    connection.close()


def fill(connection, action="act"):
    for number in range(1, ENTRIES + 1):
        record(connection, "alice", action, f"graph {number}", {"n": number}, 100.5 + number)


def unguard(connection):
    """Do as somebody does who holds the file."""
    connection.execute("drop trigger audit_log_is_not_changed").fetchall()
    connection.execute("drop trigger audit_log_is_not_shortened").fetchall()


def test_an_untouched_log_is_intact_and_its_head_is_its_last_entry(connection):
    report = verify(connection)
    assert (report.is_intact, report.fault, report.head.sequence) == (True, None, ENTRIES)
    last = page(connection, ENTRIES - 1, 10).entries[0]
    assert (last.hash, last.subject, last.details) == (report.head.hash, "graph 5", {"n": 5})
    first = page(connection, 0, 2)
    assert ([entry.sequence for entry in first.entries], first.next) == ([1, 2], 2)


@pytest.mark.parametrize("sequence", range(1, ENTRIES + 1))
@pytest.mark.parametrize(
    "change",
    [
        "at = at + 0.001",
        "actor = 'mallory'",
        "actor = null",
        "action = 'Act'",
        "subject = subject || ' '",
        "details = '{\"n\": 7}'",
        "hash = zeroblob(32)",
    ],
)
def test_a_changed_entry_shows_at_its_place(connection, sequence, change):
    unguard(connection)
    connection.execute(f"update audit_log set {change} where sequence = ?", (sequence,))
    report = verify(connection)
    assert not report.is_intact
    assert report.head.sequence == sequence - 1
    assert f"entry {sequence} is not as it was written" in report.fault


@pytest.mark.parametrize("sequence", range(1, ENTRIES))
def test_a_missing_entry_shows_also_when_the_rest_is_renumbered(connection, sequence):
    unguard(connection)
    connection.execute("delete from audit_log where sequence = ?", (sequence,))
    assert f"entry {sequence} is missing" in verify(connection).fault
    for number in range(sequence + 1, ENTRIES + 1):
        connection.execute(
            "update audit_log set sequence = ? where sequence = ?", (number - 1, number)
        )
    report = verify(connection)
    assert (report.is_intact, report.head.sequence) == (False, sequence - 1)


def test_what_is_cut_off_or_written_anew_shows_to_who_has_noted_the_head(connection):
    noted = verify(connection).head
    record(connection, None, "later", "x", {}, 1.0)
    assert verify(connection, noted).is_intact
    assert verify(connection, AuditHead(0, "")).is_intact

    unguard(connection)
    connection.execute("delete from audit_log where sequence >= ?", (ENTRIES,))
    assert verify(connection).is_intact
    assert "it ends at entry 4, and you have noted entry 5" in verify(connection, noted).fault

    connection.execute("delete from audit_log")
    fill(connection, "forged")
    assert verify(connection).is_intact
    assert "entry 5 had another hash when you noted it" in verify(connection, noted).fault


@pytest.mark.parametrize(
    "statement", ["update audit_log set actor = 'x'", "delete from audit_log", "replace"]
)
def test_a_mistake_of_ours_cannot_change_it(connection, statement):
    if statement == "replace":
        statement = "insert into audit_log select * from audit_log where sequence = 1"
    with pytest.raises(apsw.ConstraintError):
        connection.execute(statement).fetchall()
    assert verify(connection).is_intact


def test_an_entry_is_there_only_with_its_transaction(connection):
    with pytest.raises(KeyError), connection:
        record(connection, "alice", "undone", "x", {}, 1.0)
        raise KeyError
    report = verify(connection)
    assert (report.is_intact, report.head.sequence) == (True, ENTRIES)
