"""News come after the commit, in order, and again from where one left off."""

import re

import pytest
import trio
import trio.testing

from alknet import connect, open_node
from alknet.errors import Conflict, InvalidInput
from alknet.protocol.storage import (
    Acknowledge,
    AddNode,
    CreateGraph,
    DefineType,
    DeleteGraph,
    DeleteNode,
    GetNode,
    Subscribe,
    UpdateGraph,
    UpdateNode,
    Watch,
)
from alknet.services.storage.base import StorageSettings

from ...people import ALICE_KEY, WORKER_KEY, node_settings, peer
from .conftest import SOCIAL, add_people, join, settings


async def take(stream, count):
    found = []
    with trio.fail_after(10):
        async for event in stream:
            found.append(event)
            if len(found) == count:
                return found
    raise AssertionError(f"the stream ended after {len(found)} of {count} events")


def told(events):
    return [(event.kind, event.key, event.version) for event in events]


async def test_every_change_is_told_once_and_in_order(friends):
    await add_people(friends, "ann", "bob")
    await join(friends, "ann", "bob", "ab")
    await friends.call(UpdateNode("friends", "ann", {"age": 1}))
    await friends.call(DeleteNode("friends", "bob", cascade=True))
    await friends.call(UpdateGraph("friends", description="d"))
    await friends.call(DeleteGraph("friends", cascade=True))
    await friends.call(DefineType(SOCIAL))  # which changes nothing

    expected = {
        "types": [("created", "social", 1)],
        "graphs": [("created", "friends", 1), ("updated", "friends", 2), ("deleted", "friends", 2)],
        "nodes": [
            ("created", "ann", 1),
            ("created", "bob", 1),
            ("updated", "ann", 2),
            ("deleted", "bob", 1),
        ],
        "edges": [("created", "ab", 1), ("deleted", "ab", 1)],
    }
    sequences = []
    for stream, changes in expected.items():
        async with friends.stream(Watch(stream, after=0)) as events:
            found = await take(events, len(changes))
        assert told(found) == changes
        sequences += [event.sequence for event in found]
    assert sorted(sequences) == list(range(1, 11))


async def test_what_is_refused_is_not_told(friends):
    async with friends.stream(Watch("nodes", after=0)) as events:
        await add_people(friends, "ann")
        with pytest.raises(Conflict):
            await add_people(friends, "ann")
        await add_people(friends, "bob")
        assert told(await take(events, 2)) == [("created", "ann", 1), ("created", "bob", 1)]


async def test_a_watcher_sees_what_it_is_told_of(friends):
    """What the news is of can be read at once: it is committed before it is told."""
    async with friends.stream(Watch("nodes")) as events, trio.open_nursery() as nursery:
        await trio.testing.wait_all_tasks_blocked()
        for number in range(50):
            nursery.start_soon(add_people, friends, f"p{number:02}")
        for event in await take(events, 50):
            node = await friends.call(GetNode("friends", event.key))
            assert (node.version, node.created_at) == (event.version, event.at)


async def test_without_a_cursor_a_watch_begins_now_and_with_a_graph_it_is_of_that(friends):
    await friends.call(CreateGraph("other", "social"))
    await add_people(friends, "before")
    async with (
        friends.stream(Watch("nodes")) as all_events,
        friends.stream(Watch("nodes", graph="other")) as events,
    ):
        await trio.testing.wait_all_tasks_blocked()
        await add_people(friends, "ann")
        await add_people(friends, "bob", graph="other")
        assert told(await take(all_events, 2)) == [("created", "ann", 1), ("created", "bob", 1)]
        assert told(await take(events, 1)) == [("created", "bob", 1)]


async def test_order_is_that_of_the_commits_whatever_the_clock_says(friends, monkeypatch):
    times = iter([300.0, 200.0, 100.0])
    monkeypatch.setattr("time.time", lambda: next(times))
    await add_people(friends, "a", "b", "c")
    monkeypatch.undo()
    async with friends.stream(Watch("nodes", after=0)) as events:
        found = await take(events, 3)
    assert [(event.key, event.at) for event in found] == [("a", 300.0), ("b", 200.0), ("c", 100.0)]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Watch("nope"), "there is no stream 'nope'; there are types, graphs, nodes, edges"),
        (Watch("nodes", after=3), "event 3 has not happened: the last one is 2; if the database"),
        (Watch("nodes", after=-1), "event -1 has not happened"),
        (Subscribe("nope", "c"), "there is no stream 'nope'"),
    ],
)
async def test_a_watch_that_makes_no_sense_is_refused(friends, request_, message):
    with pytest.raises(InvalidInput, match=re.escape(message)):
        async with friends.stream(request_) as events:
            await take(events, 1)


async def test_a_consumer_goes_on_where_it_acknowledged_also_after_a_restart(tmp_path):
    path = tmp_path / "test.db"
    async with open_node(settings(path)) as node:
        client = node.client
        await client.call(DefineType(SOCIAL))
        await client.call(CreateGraph("friends", "social"))
        await add_people(client, *"abcd")
        async with client.stream(Subscribe("nodes", "mine")) as events:
            found = await take(events, 3)
        assert [event.key for event in found] == ["a", "b", "c"]
        acknowledged = await client.call(Acknowledge("nodes", "mine", found[1].sequence))
        assert acknowledged.sequence == found[1].sequence
        backwards = await client.call(Acknowledge("nodes", "mine", found[0].sequence))
        assert backwards.sequence == found[1].sequence
        with pytest.raises(InvalidInput, match="cannot be acknowledged: the last one so far is 6"):
            await client.call(Acknowledge("nodes", "mine", 7))
    async with open_node(settings(path)) as node:
        async with node.client.stream(Subscribe("nodes", "mine")) as events:
            assert [event.key for event in await take(events, 2)] == ["c", "d"]
        async with node.client.stream(Subscribe("nodes", "other")) as events:
            assert [event.key for event in await take(events, 4)] == list("abcd")


async def test_old_events_are_pruned_and_who_has_missed_some_is_told(tmp_path):
    path = tmp_path / "test.db"
    async with open_node(settings(path)) as node:
        client = node.client
        await client.call(DefineType(SOCIAL))
        await client.call(CreateGraph("friends", "social"))
        async with trio.open_nursery() as nursery:
            for number in range(1200):
                nursery.start_soon(add_people, client, str(number))
    async with open_node(settings(path, keep_events=1000)) as node:
        client = node.client
        with trio.fail_after(10):
            while True:
                async with client.stream(Watch("nodes", after=0)) as events:
                    first = (await take(events, 1))[0].sequence
                if first > 3:
                    break
                await trio.sleep(0.01)
        assert first == 203
        with pytest.raises(InvalidInput, match="events up to 202 are no longer kept") as caught:
            async with client.stream(Watch("nodes", after=100)) as events:
                await take(events, 1)
        assert caught.value.details["oldest"] == 202
        async with client.stream(Watch("nodes", after=202)) as events:
            assert (await take(events, 1))[0].sequence == 203
        async with client.stream(Subscribe("nodes", "new")) as events:
            assert (await take(events, 1))[0].sequence == 203


async def test_a_remote_watcher_misses_nothing_when_its_link_is_cut(keyring, tmp_path):
    node_table = node_settings(
        peer("alice", ALICE_KEY, "*"), peer("worker-1", WORKER_KEY, "storage:read")
    )
    node_table.services["storage"] = StorageSettings(path=str(tmp_path / "test.db"))
    async with (
        open_node(node_table, keyring=keyring) as node,
        connect(node.url, identity=WORKER_KEY, reconnect=True) as watcher,
    ):
        await node.client.call(DefineType(SOCIAL))
        await node.client.call(CreateGraph("friends", "social"))
        seen = []
        async with watcher.stream(Watch("nodes", after=0)) as events:
            for round_ in range(4):
                if round_:
                    await watcher.session.link.aclose()
                await add_people(node.client, *(f"{round_}{n}" for n in range(5)))
                seen += await take(events, 5)
        assert [event.key for event in seen] == [f"{r}{n}" for r in range(4) for n in range(5)]
        with pytest.raises(Exception, match="storage:write"):
            await watcher.call(AddNode("friends", "person"))
