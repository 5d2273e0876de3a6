"""The schema's history: every old file becomes what a new one is."""

import apsw
import pytest

from alknet.errors import SettingsError
from alknet.store import migrations
from alknet.store.connection import open_writer
from alknet.store.migrations import Migration, apply, history, newest, version

# What a step does, in rows that must outlive all later ones.
CONTENT = {
    1: """
        insert into graph_types values ('social', '{}', x'00', 1, 1.5, 2.5);
        insert into graphs values (7, 'friends', 'social', 'd', '{}', 'active', 'alice', 1, 1, 2);
        insert into nodes values (7, 'ann', 'person', '{"age":7}', 3, 1, 2);
        insert into nodes values (7, 'bob', 'person', '{}', 1, 1, 2);
        insert into edges values (7, 'e', 'knows', 'ann', 'bob', 0, '{}', 1, 1, 2);
    """,
    2: "insert into audit_log values (1, 1.5, 'alice', 'create-graph', 'friends', '{}', x'00');",
    3: """insert into nodes values (7, 'pin', 'secret', '{"path":"m","key_version":2}', 1, 1, 2, 2);""",
    4: """
        insert into principals values ('ann', 'account', '["a"]', '[]', 1, '', 'd', 1, 1, 2);
        insert into principals values ('acme', 'organization', '[]', '["b"]', 1, '', '', 1, 1, 2);
        insert into accounts values ('ann', 'ann@example.org', 'Ann', 'user', 'active', 1, 1, 2);
        insert into organizations values ('acme', 'acme', 'Acme', 'ann', 1, 1, 2);
        insert into members values ('acme', 'ann', 'owner', 1);
        insert into api_keys values ('alk_abcdefgh', x'00', 'ann', 'n', '[]', 1, 2, 3, null, 4);
        insert into peer_credentials
            values ('SHA256:x', 'ssh-key', 'ann', 'ssh-ed25519 AAAA', 'n', 1, null, null, null);
        insert into belongs_to values ('acme', 'acme', 1);
        insert into delegations values ('ann', 'acme', '["a"]', 0, 1);
        insert into grants values ('ann', 'doc:1', 'read', 0, 1);
    """,
    5: """
        insert into tasks values ('1', 'resize', '{}', 'queued', 1, 3, 'w', null, 'e', 9.5,
            'alice', 'k', 3, 1.5, 2.5, 7, 2.5, null);
        insert into tasks values ('2', 'resize', '{}', 'done', 1, 3, 'w', '42', null, null,
            'alice', null, 4, 1.5, 2.5, null, null, null);
    """,
}


def tables(connection):
    """Return what a schema says, by name, without honker's tables and SQLite's."""
    mine = "name not like '%honker%' and name not like 'sqlite%'"
    return dict(connection.execute(f"select name, sql from sqlite_schema where {mine}").fetchall())


def columns(connection):
    """Return the columns of each table."""
    return {
        name: ", ".join(row[1] for row in connection.execute(f'pragma table_info("{name}")'))
        for name, sql in tables(connection).items()
        if sql and sql.startswith("CREATE TABLE")
    }


def content(connection, only):
    return {
        name: connection.execute(f'select {words} from "{name}"').fetchall()
        for name, words in sorted(only.items())
    }


@pytest.fixture
def opened(tmp_path):
    made = []

    def make(name):
        made.append(open_writer(tmp_path / name, "normal", "none"))
        return made[-1], tmp_path / name

    yield make
    for connection in made:
        connection.close()


@pytest.mark.parametrize("old", range(newest() + 1))
def test_a_file_of_every_older_version_becomes_like_a_new_one_and_keeps_its_rows(opened, old):
    fresh, path = opened("fresh.db")
    apply(fresh, path)
    connection, path = opened("old.db")
    for number in range(1, old + 1):
        apply(connection, path, number)
        for _ in connection.execute(CONTENT[number]):
            pass
    assert version(connection) == old
    before = columns(connection)
    rows = content(connection, before)

    apply(connection, path)

    assert version(connection) == newest()
    assert tables(connection) == tables(fresh)
    assert content(connection, before) == rows
    assert connection.execute("pragma foreign_key_check").fetchall() == []
    assert connection.pragma("integrity_check") == "ok"


def test_every_step_that_has_tables_has_rows_to_carry_along():
    assert sorted(CONTENT) == [step.number for step in history()]


def test_a_step_that_fails_leaves_the_version_before_it(opened, monkeypatch):
    steps = (
        Migration(1, "good", "create table one(v); create table two(v)"),
        Migration(2, "bad", "create table three(v); insert into nowhere values (1)"),
    )
    monkeypatch.setattr(migrations, "history", lambda: steps)
    connection, path = opened("x.db")

    with pytest.raises(SettingsError, match=r"to version 2 \(bad\), and stays at version 1: .*now"):
        apply(connection, path)

    assert version(connection) == 1
    assert set(tables(connection)) == {"one", "two"}


def test_steps_are_numbered_without_gaps():
    assert [step.number for step in history()] == list(range(1, newest() + 1))
    assert apsw.SQLITE_VERSION_NUMBER >= 3_045_000
