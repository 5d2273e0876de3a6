"""services/metrics: text that Prometheus reads, with every figure that was counted."""

import math
import os

import pytest
from prometheus_client.parser import text_string_to_metric_families
from trio.testing import wait_all_tasks_blocked

import alknet
from alknet.call.measure import BOUNDS, Measure
from alknet.errors import CallError
from alknet.protocol.stats import Metrics
from alknet.services.directory.exposition import buckets
from alknet.testing import connected
from alknet.testing import node as run

from ...echo import Count, Echo, Fail, Say


@pytest.fixture
async def node():
    async with run([Echo()]) as node:
        yield node


async def scraped(node):
    """Return the text's samples: (name, labels) -> value."""
    text = await node.client.call(Metrics())
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_calls_are_exposed_by_origin_and_by_outcome(node):
    await node.client.call(Say("hi"))
    async with connected(node) as client:
        for _ in range(2):
            await client.call(Say("hi"))
        with pytest.raises(CallError):
            await client.call(Fail())
        async with client.stream(Count(1)) as items:
            await anext(items)
            samples = await scraped(node)

    say, fail = ("operation", "echo/say"), ("operation", "echo/fail")
    assert samples["alknet_calls_begun_total", say, ("origin", "process")] == 1
    assert samples["alknet_calls_begun_total", say, ("origin", "link")] == 2
    assert samples["alknet_calls_ended_total", ("code", "OK"), say] == 3
    assert samples["alknet_calls_ended_total", ("code", "NOT_FOUND"), fail] == 1
    assert samples["alknet_calls_in_flight", say] == 0


async def test_times_are_exposed_as_a_histogram(node):
    async with connected(node) as client:
        for _ in range(5):
            await client.call(Say("hi"))
        samples = await scraped(node)

    say = ("operation", "echo/say")
    counted = [
        (float(dict(key[1:])["le"]), value)
        for key, value in samples.items()
        if key[0] == "alknet_call_seconds_bucket" and say in key
    ]
    assert counted == sorted(counted)
    assert counted[-1] == (math.inf, 5)
    assert samples["alknet_call_seconds_count", say] == 5
    assert 0 < samples["alknet_call_seconds_sum", say] < 10
    assert ("alknet_call_seconds_count", ("operation", "echo/keep")) not in samples


def test_the_buckets_are_three_a_decade_and_hold_every_call():
    measure = Measure()
    for bound in BOUNDS:
        measure.took(bound)  # a bound belongs to the bucket that it ends
    measure.took(5000)
    found = buckets(measure)

    assert [bound for bound, _ in found][:4] == ["1e-06", "2.5e-06", "5e-06", "1e-05"]
    assert [bound for bound, _ in found][-3:] == ["500", "1000", "+Inf"]
    assert len(found) == 3 * 9 + 2
    assert dict(found)["1e-06"] == 1
    assert dict(found)["2.5e-06"] == 5
    assert dict(found)["+Inf"] == len(BOUNDS) + 1


async def test_services_and_links_are_exposed(node):
    async with connected(node, name="alice"):
        samples = await scraped(node)

    echo, alice = ("service", "echo"), ("peer", "alice")
    assert samples["alknet_service_serving", echo] == 1
    assert samples["alknet_service_waiting", echo] == 0
    assert samples["alknet_service_restarts_total", echo] == 0
    assert samples["alknet_service_busy_seconds", echo] == 0
    assert samples["alknet_links", alice] == 1
    assert samples["alknet_link_calls", ("asks", "node"), alice] == 0
    assert samples["alknet_link_calls", ("asks", "peer"), alice] == 0
    assert samples["alknet_link_unsent_bytes", alice] == 0


async def test_a_peer_with_two_links_is_one_series(node):
    """Two samples with the same labels are an error that makes Prometheus drop everything."""
    async with connected(node, name="alice"), connected(node, name="alice"):
        samples = await scraped(node)
    assert samples["alknet_links", ("peer", "alice")] == 2
    await wait_all_tasks_blocked()

    assert ("alknet_links", ("peer", "alice")) not in await scraped(node)


async def test_the_node_and_its_process_are_exposed(node):
    samples = await scraped(node)

    [about] = [dict(key[1:]) for key in samples if key[0] == "alknet_info"]
    assert about["node"] == "head"
    assert about["version"] in (alknet.__version__, "unknown")
    assert samples[("process_resident_memory_bytes",)] > 1e6
    assert 0 < samples[("process_open_fds",)] <= len(os.listdir("/proc/self/fd")) + 8


async def test_a_second_look_counts_on(node):
    before = await scraped(node)
    after = await scraped(node)

    key = ("alknet_calls_ended_total", ("code", "OK"), ("operation", "services/metrics"))
    assert (before[key], after[key]) == (0, 1)
