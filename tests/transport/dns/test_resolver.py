"""Calls through a real recursive resolver, which retries, reorders, mixes case and is killed."""

import pytest
import trio

from alknet import connect, open_node
from alknet.errors import Refused
from benches.unbound import UNBOUND, WHY_NOT

from ...echo import Count, Echo, Say
from ...people import ALICE_KEY, STRANGER_KEY, node_key, node_settings
from .resolver import resolver

pytestmark = pytest.mark.skipif(UNBOUND is None, reason=WHY_NOT)
ZONE = "tunnel.example"


@pytest.fixture
async def node(keyring):
    listen = (f"dns://127.0.0.1:0/{ZONE}",)
    async with open_node(node_settings(listen=listen), keyring=keyring, services=[Echo()]) as node:
        yield node


def port_of(node):
    return int(node.url.split(":")[2].split("/")[0])


@pytest.fixture(params=[1232, 512], ids=["by UDP", "by TCP where UDP is too small"])
async def between(request, node, tmp_path):
    async with resolver(tmp_path, zone=ZONE, node=port_of(node), edns=request.param) as between:
        yield between


def url_of(between):
    return f"dns://127.0.0.1:{between.port}/{ZONE}"


async def test_calls_and_streams_go_through(between, keyring):
    url, pin = url_of(between), node_key(keyring)
    async with connect(url, identity=ALICE_KEY, expect=pin) as alice:
        for text in ("hi", "x" * 5000):
            assert await alice.call(Say(text)) == text
        async with alice.stream(Count(300)) as items:
            assert [item async for item in items] == list(range(300))


async def test_many_calls_at_once_each_get_their_own_answer(between, keyring):
    answers = {}
    url, pin = url_of(between), node_key(keyring)
    async with connect(url, identity=ALICE_KEY, expect=pin) as alice:

        async def ask(number):
            answers[number] = await alice.call(Say(str(number)))

        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(ask, number)

    assert answers == {number: str(number) for number in range(100)}


async def test_a_stranger_hears_why_he_is_refused(between, keyring):
    with pytest.raises(Refused, match="is not listed here"):
        async with connect(url_of(between), identity=STRANGER_KEY, expect=node_key(keyring)):
            pass


async def test_another_node_than_was_expected_is_refused_with_both_keys(between):
    with pytest.raises(Refused, match=r"should hold the key SHA256:.* and shows .*SHA256:"):
        async with connect(url_of(between), identity=ALICE_KEY, expect=STRANGER_KEY.public_key):
            pass


async def test_a_resolver_that_is_killed_and_started_anew_is_not_noticed(between, keyring):
    """Not by a call that is in flight either: what was lost with it is asked again."""
    url, pin = url_of(between), node_key(keyring)
    async with connect(url, identity=ALICE_KEY, expect=pin, timeout=60) as alice:
        session = alice.session
        assert await alice.call(Say("before")) == "before"
        heard = trio.Event()
        async with trio.open_nursery() as nursery:

            async def ask():
                async with alice.stream(Count(400), window=4) as items:
                    numbers = []
                    async for item in items:
                        numbers.append(item)
                        if item == 20:
                            heard.set()
                    assert numbers == list(range(400))

            nursery.start_soon(ask)
            await heard.wait()
            await between.kill()
            nursery.start_soon(between.start)
        assert await alice.call(Say("after")) == "after"
        assert alice.session is session
