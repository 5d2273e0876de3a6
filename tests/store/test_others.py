"""What another process has committed is seen by those who wait for commits, and by us."""

from contextlib import closing

import apsw
import pytest
import trio

from alknet import open_node
from alknet.errors import Conflict
from alknet.protocol.storage import AddNode, CreateGraph, DefineType, Watch

from ..services.storage.conftest import SOCIAL, add_people, settings
from ..services.storage.test_news import take


@pytest.fixture
async def friends(tmp_path):
    async with open_node(settings(tmp_path / "test.db")) as node:
        await node.client.call(DefineType(SOCIAL))
        await node.client.call(CreateGraph("friends", "social"))
        yield node.client


@pytest.fixture
def other(tmp_path, friends):
    """A connection as another process has one; of the same SQLite, whose locks know the two."""
    connection = apsw.Connection(str(tmp_path / "test.db"))
    # Whoever looks whether there was a commit holds the lock for a moment.
    connection.set_busy_timeout(5_000)
    yield connection
    connection.close()


EVENT = """insert into _honker_stream (topic, key, payload)
           values ('nodes', 'theirs', '["created","friends","theirs","person",1,1.5]')"""


async def test_a_follower_hears_of_it(friends, other):
    async with friends.stream(Watch("nodes", after=0)) as events:
        await add_people(friends, "ours")
        assert [event.key for event in await take(events, 1)] == ["ours"]
        for _ in range(3):
            other.execute(EVENT)
            assert [event.key for event in await take(events, 1)] == ["theirs"]


async def test_what_it_changed_of_a_graph_is_in_force(friends, other):
    await add_people(friends, "ann")
    other.execute("update graphs set status = 'archived'")
    with trio.fail_after(5), pytest.raises(Conflict, match="archived"):
        while True:
            await friends.call(AddNode("friends", "person"))
            await trio.sleep(0.01)


async def test_without_inotify_it_is_noticed_a_little_later(tmp_path, monkeypatch):
    class Without:
        """A C library that has never heard of inotify."""

    monkeypatch.setattr("alknet.store.others.ctypes.CDLL", lambda *_, **__: Without())
    async with open_node(settings(tmp_path / "test.db")) as node:
        await node.client.call(DefineType(SOCIAL))
        await node.client.call(CreateGraph("friends", "social"))
        with closing(apsw.Connection(str(tmp_path / "test.db"))) as other:
            other.set_busy_timeout(5_000)
            async with node.client.stream(Watch("nodes", after=0)) as events:
                other.execute(EVENT)
                assert [event.key for event in await take(events, 1)] == ["theirs"]
