"""Every road over a network with faults: what is acknowledged has arrived, once and in order.

Two namespaces, a node in one and a client in the other, and between them what `places` makes: loss,
delay, packets out of order, a small MTU, and nothing at all for half a minute. A transport joins as
soon as `alknet.transport.road` knows it; all of them run at the same time, and the cut, which is
mostly waited for, beside the other faults.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from alknet.transport.road import _ROADS

from ...contract.roads import PATHS
from .places import NEAR, road, why_not

SCHEMES = sorted(_ROADS)
WHY_NOT = why_not()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))

FAULTS = {
    "loss of 5 %": {"loss": 0.05},
    "a delay of 50 ms": {"delay": 0.05},
    "packets out of order": {"delay": 0.02, "reorder": 0.25},
    "an MTU of 1280": {"mtu": 1280},
}
CUT = "a cut of 30 s"
CUT_SECONDS = 30
BEFORE, AFTER = 5, 20


@pytest.fixture(scope="module")
def happened(request):
    """What happened, by fault, of those that somebody asks about."""
    tests = [test for test in request.session.items if test.path == request.path]
    asked = {test.callspec.params["fault"] for test in tests if hasattr(test, "callspec")}
    with ThreadPoolExecutor(2) as pool:
        # In the order in which they are asked for, but the cut at once.
        faults = [fault for fault in (CUT, *FAULTS) if fault in asked]
        futures = {fault: pool.submit(happens, fault) for fault in faults}
        try:
            yield lambda fault: futures[fault].result()
        finally:
            for future in futures.values():
                future.cancel()


def happens(fault):
    """Return what the client saw and what the node noted while the road had *fault*."""
    with road() as between:
        urls = [f"{scheme}://{NEAR}:0{PATHS.get(scheme, '')}" for scheme in SCHEMES]
        with between.process(between.near, "node", *urls) as node:
            urls = json.loads(node.stdout.readline())
            between.have(**FAULTS.get(fault, {}))
            with between.process(between.far, "caller", *urls) as caller:
                assert caller.stdout.readline() == "ready\n"
                more(caller, BEFORE)
                if fault == CUT:
                    between.cut()
                    time.sleep(CUT_SECONDS)  # that is what is tested
                    between.have()
                more(caller, AFTER)
                caller.stdin.close()
                seen = json.loads(caller.stdout.readline())
            node.stdin.write("\n")
            node.stdin.flush()
            return seen, json.loads(node.stdout.readline())


def probed(**faults):
    """Return what `probe` finds on a road with *faults*."""
    with road() as between:
        between.have(**faults)
        with between.process(between.near, "probe", "echo", NEAR) as echo:
            assert echo.stdout.readline() == "ready\n"
            with between.process(between.far, "probe", "send", NEAR) as probe:
                return json.loads(probe.stdout.readline())


def test_the_road_has_the_faults_that_it_is_said_to_have():
    came, late, _, fits = probed()
    assert (came, late, fits) == (1, 0, True)
    came, *_ = probed(**FAULTS["loss of 5 %"])
    assert 0.75 < came < 0.99
    *_, quickest, _ = probed(**FAULTS["a delay of 50 ms"])
    assert quickest >= 0.1
    _, late, *_ = probed(**FAULTS["packets out of order"])
    assert late > 0.05
    *_, fits = probed(**FAULTS["an MTU of 1280"])
    assert not fits
    came, *_ = probed(loss=1.0)
    assert came == 0


def more(caller, count):
    """Return when so many more have been acknowledged in each lane of each road."""
    caller.stdin.write(f"{count}\n")
    caller.stdin.flush()
    assert caller.stdout.readline() == f"{count}\n", "the client has ended"


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("fault", [*FAULTS, CUT])
def test_no_acknowledged_frame_is_lost_or_doubled(happened, fault, scheme):
    seen, noted = happened(fault)

    for name, (acknowledged, errors) in seen[scheme]["lanes"].items():
        arrived = [number for lane, number in noted if lane == name]
        assert len(acknowledged) >= BEFORE + AFTER
        assert arrived == sorted(set(arrived)), "once, and in the order in which they were sent"
        assert set(acknowledged) <= set(arrived)
        # What was not acknowledged may have arrived or not, and the client was told so in words.
        assert set(arrived) - set(acknowledged) <= set(map(int, errors))
        for why in errors.values():
            assert why.startswith(("Disconnected: the link to ", "DeadlineExceeded: ")), why
        # Half a minute is longer than the silence after which a link is given up, and nothing else.
        assert bool(errors) is (fault == CUT)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("fault", [*FAULTS, CUT])
def test_a_stream_has_no_gap_and_says_when_it_ends(happened, fault, scheme):
    seen, _ = happened(fault)

    streams = seen[scheme]["streams"]
    assert streams[0][0], "nothing came"
    for heard, _ in streams:
        assert heard == list(range(len(heard)))
    for _, why in streams[:-1]:
        assert why.startswith("Disconnected: the link to ")
    links = seen[scheme]["links"]
    assert links > 1 if fault == CUT else len(streams) == links == 1
