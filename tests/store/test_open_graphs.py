"""A graph that is remembered is the one that is there, whatever was changed, undone or refused."""

import apsw
import pytest

from alknet.errors import Conflict, NotFound
from alknet.protocol.storage import GraphType, NodeType
from alknet.store import graphs, nodes, types
from alknet.store.catalogue import Catalogue
from alknet.store.change import Change
from alknet.store.database import open_database
from alknet.store.open_graphs import OpenGraphs


@pytest.fixture
async def write(tmp_path):
    """Make changes on a new database that has the graph g, remembering graphs."""
    async with open_database(tmp_path / "test.db") as database:
        catalogue = Catalogue()
        known = OpenGraphs(catalogue)
        await database.write(known.watch)

        async def write(*changes):
            """Make *changes* in one transaction."""

            def transaction(connection):
                change = Change(connection, catalogue, "ann", known)
                return [each(change) for each in changes][-1]

            return await database.write(transaction)

        await write(
            lambda change: types.define(change, GraphType("t", (NodeType("n"),))),
            lambda change: graphs.create(change, "g", "t"),
        )
        await write(add("first"))
        yield write


def add(key, graph="g"):
    return lambda change: nodes.add(change, graph, "n", {}, key)


def status(value):
    return lambda change: graphs.update(change, "g", status=value)


def fail(_):
    raise KeyError


async def test_it_is_looked_up_once(write):
    def statements(change):
        seen = []
        change.connection.set_exec_trace(lambda _, sql, bindings: seen.append(sql) or True)
        change.graph("g")
        change.connection.set_exec_trace(None)
        return seen

    assert await write(statements) == []


async def test_a_change_is_seen_within_its_transaction_and_after_it(write):
    with pytest.raises(Conflict, match="archived"):
        await write(status("archived"), add("a"))
    await write(status("archived"))
    with pytest.raises(Conflict, match="archived"):
        await write(add("a"))
    await write(status("active"))
    await write(add("a"))


async def test_what_was_undone_is_not_remembered(write):
    with pytest.raises(KeyError):
        await write(status("archived"), lambda change: change.connection, fail)
    await write(add("a"))
    with pytest.raises(KeyError):
        await write(lambda change: graphs.create(change, "other", "t"), add("a", "other"), fail)
    with pytest.raises(NotFound):
        await write(add("a", "other"))


async def test_what_was_undone_by_a_commit_that_failed_is_not_remembered(write):
    def dangle(change):
        change.connection.execute("pragma defer_foreign_keys = on")
        change.connection.execute(
            "insert into edges values (1, 'e', 't', 'no', 'one', 0, '{}', 1, 1, 1)"
        )

    with pytest.raises(Exception, match="FOREIGN KEY"):
        await write(lambda change: graphs.create(change, "other", "t"), add("a", "other"), dangle)
    with pytest.raises(NotFound):
        await write(add("a", "other"))


async def test_a_graph_that_was_made_anew_is_the_new_one(write):
    await write(lambda change: graphs.delete(change, "g", cascade=True))
    with pytest.raises(NotFound):
        await write(add("a"))
    await write(lambda change: graphs.create(change, "g", "t"))
    await write(add("first"))


async def test_another_definition_of_its_type_is_in_force_at_once(write):
    strict = GraphType("t", (NodeType("n", {"maxProperties": 0}),))
    await write(lambda change: types.define(change, strict), add("a"))
    with pytest.raises(Exception, match="do not fit"):
        await write(lambda change: nodes.add(change, "g", "n", {"x": 1}))


def test_sqlite_tells_of_the_tables_that_are_watched():
    connection = apsw.Connection(":memory:")
    told = []
    connection.set_update_hook(lambda *change: told.append(change[2]))
    connection.execute("create table graph_types (name text primary key) strict")
    connection.execute("insert into graph_types values ('t')")
    assert told == ["graph_types"]
