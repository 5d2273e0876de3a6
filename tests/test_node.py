"""A node: it starts whole or says why not, serves, and leaves nothing behind."""

from contextlib import asynccontextmanager

import pytest
import trio

from alknet import NodeSettings, Request, Service, Settings, connect, handler, open_node, operation
from alknet.errors import Disconnected, RestartLimit, SettingsError, Unreachable, first_of
from alknet.keys import Keyring
from alknet.protocol.directory import Ping
from alknet.protocol.secret import DeriveEd25519, Status
from alknet.runtime.supervisor import INTENSITY

from .echo import Echo, Say
from .people import ALICE_KEY, PHRASE, node_settings, peer


@operation("clock/now")
class Now(Request[int], frozen=True):
    """Return the time."""


class Clock(Service, namespace="clock"):
    """Writes down what becomes of it."""

    def __init__(self, story=None):
        self.story = [] if story is None else story

    @asynccontextmanager
    async def running(self):
        self.story.append("+clock")
        try:
            yield
        finally:
            self.story.append("-clock")

    @handler
    async def now(self, _: Now) -> int:
        return 7


class Broken(Service, namespace="broken"):
    @asynccontextmanager
    async def running(self):
        raise OSError("there is no disk")
        yield


async def test_without_settings_every_service_runs_and_nothing_is_listened_at():
    async with open_node() as node:
        assert node.name == "head"
        assert node.url == ""
        assert set(node.services) >= {"services", "auth", "secrets", "config"}
        assert (await node.client.call(Status())).locked


async def test_services_of_ones_own_run_beside_those_of_the_settings(keyring):
    clock = Clock()
    async with open_node(node_settings(), keyring=keyring, services=[clock]) as node:
        assert node.services == ["services", "auth", "secrets", "config", "clock"]
        assert await node.client.call(Now()) == 7
        assert clock.story == ["+clock"]
    assert clock.story == ["+clock", "-clock"]


async def test_a_node_listens_at_every_url_and_names_the_ports_that_were_free(keyring):
    settings = node_settings(listen=("ws://127.0.0.1:0", "tcp://127.0.0.1:0", "ws://[::1]:0"))
    async with open_node(settings, keyring=keyring) as node:
        assert node.url == node.urls[0]
        assert [url.rpartition(":")[0] for url in node.urls] == [
            "ws://127.0.0.1",
            "tcp://127.0.0.1",
            "ws://[::1]",
        ]
        for url in node.urls:
            async with connect(url, identity=ALICE_KEY) as client:
                assert await client.call(Ping())
    for url in node.urls:
        with pytest.raises(Unreachable):
            async with connect(url, identity=ALICE_KEY):
                pass


async def test_a_node_may_be_called_by_its_own_name_and_by_head(keyring):
    async with open_node(node_settings(name="home"), keyring=keyring) as node:
        async with connect(node.url, identity=ALICE_KEY) as client:
            for name in ("home", "head"):
                assert (await client.invoke(f"/{name}/services/ping"))["node"] == "home"
                assert (await client.call(Ping(), node=name)).node == "home"


async def test_settings_may_be_a_file_or_its_name(tmp_path, keyring):
    path = tmp_path / "stack.toml"
    path.write_text('[node]\nname = "home"\n[secrets]\n')
    for settings in (path, str(path)):
        async with open_node(settings, keyring=Keyring.from_mnemonic(PHRASE)) as node:
            assert node.name == "home"
            assert node.services == ["services", "secrets"]


# Starts that fail.


def taken(node):
    """Settings that listen where that node does, and at a free port before."""
    return node_settings(listen=("tcp://127.0.0.1:0", node.url))


async def test_a_port_that_is_taken_stops_everything_that_had_started(node, keyring):
    story, other = [], Keyring.from_mnemonic(PHRASE)
    with pytest.raises(SettingsError) as caught:
        async with open_node(taken(node), keyring=other, services=[Clock(story)]):
            pass

    assert str(caught.value) == f"cannot listen at {node.url}: address already in use"
    assert story == ["+clock", "-clock"]
    assert other.is_locked
    assert await node.client.call(Ping())


async def test_a_service_that_cannot_start_stops_those_before_it(keyring):
    story = []
    with pytest.raises(OSError, match="there is no disk"):
        async with open_node(node_settings(), keyring=keyring, services=[Clock(story), Broken()]):
            pass

    assert story == ["+clock", "-clock"]
    assert keyring.is_locked


@pytest.mark.parametrize(
    ("settings", "services", "words"),
    [
        (
            Settings(node=NodeSettings(listen=("ws://127.0.0.1:0",))),
            (),
            "a node that listens needs the table [auth], to know whom to let in",
        ),
        (
            node_settings(listen=("tls://192.0.2.1:0",)),
            (),
            "cannot listen at tls://192.0.2.1:0: cannot assign requested address",
        ),
        (Settings(services={"weather": None}), (), "there is no service 'weather'; there are"),
        (
            Settings(services={"services": None}),
            (),
            "two services are called 'services': give each its own name",
        ),
        (Settings(), (Echo(), Echo()), "two services are called 'echo': give each its own name"),
        ("/no/such/stack.toml", (), "cannot read /no/such/stack.toml: no such file or directory"),
    ],
)
async def test_what_cannot_start_as_asked_says_why_in_one_sentence(settings, services, words):
    with pytest.raises(SettingsError) as caught:
        async with open_node(settings, services=services):
            pass
    assert str(caught.value).startswith(words)


async def test_a_service_that_requires_one_that_is_not_turned_on_says_so():
    class Needy(Service, namespace="needy"):
        requires = ("storage-of-dreams",)

    with pytest.raises(SettingsError, match="'needy' requires 'storage-of-dreams', which is not"):
        async with open_node(Settings(), services=[Needy()]):
            pass


async def test_a_start_that_hangs_can_be_cancelled(keyring, autojump_clock):
    story = []

    class Slow(Service, namespace="slow"):
        @asynccontextmanager
        async def running(self):
            await trio.sleep_forever()
            yield

    with trio.move_on_after(5) as scope:
        async with open_node(Settings(), keyring=keyring, services=[Clock(story), Slow()]):
            pytest.fail("it never started")

    assert scope.cancelled_caught
    assert story == ["+clock", "-clock"]
    assert keyring.is_locked


# Ends.


@pytest.mark.parametrize("way", ["leave", "raise", "cancel"])
async def test_however_the_block_is_left_everything_is_stopped(keyring, way, autojump_clock):
    story = []

    async def use():
        async with open_node(Settings(), keyring=keyring, services=[Clock(story)]):
            if way == "raise":
                raise KeyError("mine")
            if way == "cancel":
                await trio.sleep_forever()

    if way == "raise":
        with pytest.raises(KeyError, match="mine"):
            await use()
    else:
        with trio.move_on_after(5):
            await use()

    assert story == ["+clock", "-clock"]
    assert keyring.is_locked


async def test_a_service_that_fails_too_often_ends_the_node_and_the_block(keyring, autojump_clock):
    class Mayfly(Service, namespace="mayfly"):
        lives = 0

        @asynccontextmanager
        async def running(self):
            Mayfly.lives += 1
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.die)
                yield

        async def die(self):
            await trio.sleep(0.1)
            raise OSError("the disk is gone")

    with pytest.raises(ExceptionGroup) as caught:
        async with open_node(Settings(), keyring=keyring, services=[Mayfly()]):
            await trio.sleep_forever()

    assert isinstance(first_of(caught.value), RestartLimit)
    assert Mayfly.lives == INTENSITY + 1
    assert keyring.is_locked


async def test_a_crash_of_one_service_is_nothing_to_the_others(keyring, autojump_clock):
    class Once(Service, namespace="once"):
        lives = 0

        @asynccontextmanager
        async def running(self):
            Once.lives += 1
            async with trio.open_nursery() as nursery:
                if Once.lives == 1:
                    nursery.start_soon(self.die)
                yield

        async def die(self):
            raise OSError("the disk is gone")

    async with open_node(Settings(), keyring=keyring, services=[Once(), Echo()]) as node:
        for _ in range(10):
            assert await node.client.call(Say("here")) == "here"
            await trio.sleep(0.1)
        assert Once.lives == 2


async def test_links_are_closed_in_good_order_when_the_node_stops(keyring):
    async with trio.open_nursery() as nursery:
        stop = trio.Event()
        urls = []

        async def serve(task_status):
            async with open_node(node_settings(), keyring=keyring, services=[Echo()]) as node:
                urls.append(node.url)
                task_status.started()
                await stop.wait()

        await nursery.start(serve)
        async with connect(urls[0], identity=ALICE_KEY) as client:
            assert await client.call(Say("x")) == "x"
            stop.set()
            with trio.fail_after(5):
                await client.session.closed()
            with pytest.raises(Disconnected, match="was closed"):
                await client.call(Say("x"))


async def test_two_nodes_in_one_process_do_not_mind_each_other(keyring):
    other = Keyring.from_mnemonic(PHRASE, "another")
    async with (
        open_node(node_settings(name="one"), keyring=keyring) as one,
        open_node(node_settings(name="two"), keyring=other) as two,
    ):
        async with (
            connect(one.url, identity=ALICE_KEY) as first,
            connect(two.url, identity=ALICE_KEY) as second,
        ):
            assert (await first.call(Ping())).node == "one"
            assert (await second.call(Ping())).node == "two"
            assert await first.call(DeriveEd25519("m/0'")) != await second.call(
                DeriveEd25519("m/0'")
            )


async def test_a_listener_ends_with_its_node_and_its_port_is_free_again(keyring):
    async with open_node(node_settings(), keyring=keyring) as node:
        url = node.url
    async with open_node(
        node_settings(peer("alice", ALICE_KEY, "*"), listen=(url,)),
        keyring=Keyring.from_mnemonic(PHRASE),
    ) as again:
        assert again.url == url
