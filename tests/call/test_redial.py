"""Redial: a node that is back is found within two seconds, and not by everybody at once."""

from functools import partial
from itertools import pairwise

import pytest
import trio

from alknet.call.backoff import LONGEST_PAUSE
from alknet.call.continuations import Continuations
from alknet.call.home import NONE
from alknet.call.redial import LONGEST_AWAY, redial
from alknet.call.registry import Registry
from alknet.call.remote import RemoteClient
from alknet.dialer import Dialer
from alknet.errors import Forbidden, Locked, Refused, RefusedForNow, Unavailable, Unreachable
from alknet.protocol.directory import Ping
from alknet.runtime.linked import LinkedNode, Opened
from alknet.testing import FaultyRoad, connected, introduce, node, road_to
from alknet.wire.limits import DEFAULT_LIMITS

RECOVERY_SECONDS = 2.0


@pytest.fixture(params=[0.1, 1.0, 7.7, 61.0, 600.0])
def away(request):
    """For how many seconds a node is not to be reached."""
    return request.param


async def unreachable(times, error=Unreachable):
    """Fail to open a link, and note when."""
    times.append(trio.current_time())
    await trio.lowlevel.checkpoint()
    raise error("not now")


async def dialled(seconds, dial):
    """Redial for so many seconds."""
    with trio.move_on_after(seconds):
        await redial(dial, opened=lambda _: None, away=lambda _: None)


@pytest.mark.parametrize(
    ("error", "longest"),
    [
        (Unreachable, LONGEST_AWAY),
        (OSError, LONGEST_AWAY),
        (Locked, LONGEST_AWAY),
        (RefusedForNow, LONGEST_AWAY),
        (Unavailable, LONGEST_AWAY),
        (Refused, LONGEST_PAUSE),
        (Forbidden, LONGEST_PAUSE),
    ],
)
async def test_who_does_not_want_us_is_asked_less_often(error, longest, autojump_clock):
    times = []
    await dialled(300, partial(unreachable, times, error))

    pauses = [later - sooner for sooner, later in pairwise(times)]
    assert longest / 2 <= max(pauses) <= longest
    assert min(pauses[-10:]) >= longest / 2


async def test_a_node_that_has_refused_us_and_then_goes_is_looked_for_quickly(autojump_clock):
    times, answers = [], [Refused] * 12 + [Unreachable] * 3

    async def dial():
        await unreachable(times, answers[len(times)])

    with pytest.raises(IndexError):
        await dialled(300, dial)
    refused, gone = times[10:12], times[12:]
    assert refused[1] - refused[0] >= LONGEST_PAUSE / 2
    assert gone[1] - gone[0] < 0.1


async def test_a_thousand_that_fell_together_come_back_soon_and_spread(autojump_clock):
    back, found = trio.Event(), []

    async def dial():
        if not back.is_set():
            raise Unreachable("not now")
        found.append(trio.current_time())
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for _ in range(1000):
            nursery.start_soon(dialled, 1000, dial)
        await trio.sleep(30)
        back.set()
        began = trio.current_time()
        await trio.sleep(RECOVERY_SECONDS / 2)
        nursery.cancel_scope.cancel()

    assert len(found) == 1000
    tenths = [int((each - began) * 10) for each in found]
    assert max(tenths.count(tenth) for tenth in set(tenths)) < 250


# Those who redial, over a road that is blocked for a while.


async def test_a_client_is_back_soon_after_its_node(away, autojump_clock):
    async with node() as here:
        road = FaultyRoad(road_to(here))
        async with connected(here, dial=road.dial, reconnect=True) as client:
            await absent(road, away)
            back = trio.current_time()
            assert await client.call(Ping())
            assert trio.current_time() - back < RECOVERY_SECONDS


async def test_a_node_that_this_one_works_with_is_found_soon(away, autojump_clock):
    """A service that runs elsewhere, an auth node and a head that was joined are found so."""
    async with node() as here, trio.open_nursery() as nursery:
        road = FaultyRoad(road_to(here))
        key = await introduce(here, "worker", ["a"])

        async def dial(links):
            dialer = Dialer(
                ["memory://"],
                key,
                dial=road.dial,
                expect=None,
                registry=Registry(),
                grant=(),
                capabilities=NONE,
                continuations=Continuations(),
                format="json",
                limits=DEFAULT_LIMITS,
            )
            return Opened(await dialer.open(links), dialer.granted)

        far = LinkedNode("test", ["memory://"], dial)
        nursery.start_soon(far.keep)
        await far.tried()
        assert (far.name, far.scopes, far.why_away) == ("head", {"a"}, None)
        await absent(road, away)
        with pytest.raises(Unavailable, match="it is answered by 'head' at memory://, which is aw"):
            far.asked("it")
        back = trio.current_time()
        while far.session is None:
            await far.changed.wait()
        assert trio.current_time() - back < RECOVERY_SECONDS
        assert await RemoteClient(far.asked("it")).call(Ping())
        nursery.cancel_scope.cancel()


async def test_a_node_that_was_never_there_is_away_for_a_reason(autojump_clock):
    far = LinkedNode("test", ["ws://a", "ws://b"], lambda _: unreachable([]))
    assert far.why_away == "it has not been dialled yet"
    with trio.move_on_after(1):
        await far.keep()

    assert (str(far), far.why_away) == ("the node at ws://a or ws://b", "not now")


async def absent(road, seconds):
    road.block()
    await trio.sleep(seconds)
    road.unblock()
