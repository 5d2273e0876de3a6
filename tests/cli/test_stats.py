"""`alknet services stats`: the same figures as a table and as JSON."""

import pytest
from trio.testing import wait_all_tasks_blocked

from alknet.cli.stats import span_of
from alknet.errors import CallError

from ..echo import Fail, Say


async def test_stats_shows_what_was_called_the_services_and_the_links(ask, node):
    for _ in range(3):
        await node.client.call(Say("hi"))
    with pytest.raises(CallError):
        await node.client.call(Fail())

    done = await ask("services", "stats")

    assert (done.code, done.stderr) == (0, "")
    operations, services, links = (part.splitlines() for part in done.stdout.split("\n\n"))
    assert operations[0].split("  ")[0] == "operation"
    rows = {line.split()[0]: line.split() for line in operations}
    assert rows["/head/echo/say"][1:3] == ["3", "0"]
    assert rows["/head/echo/say"][-1] == "none"
    assert rows["/head/echo/fail"][-2:] == ["1", "NOT_FOUND"]
    assert "/head/echo/count" not in rows
    assert services[0].split() == ["service", "state", "waiting", "restarts", "busy", "for"]
    assert ["echo", "serving", "0", "0", "-"] in [line.split() for line in services]
    assert links[1].split()[0] == "alice"
    await wait_all_tasks_blocked()


async def test_stats_as_json_leaves_out_nothing(ask, node):
    await node.client.call(Say("hi"))
    stats = (await ask("services", "stats", "--json")).json

    assert stats.keys() == {"node", "operations", "services", "links"}
    by_name = {each["name"]: each for each in stats["operations"]}
    assert by_name["echo/say"]["calls"] == 1
    assert by_name["echo/count"]["calls"] == 0
    assert [each["peer"] for each in stats["links"]] == ["alice"]


async def test_metrics_come_as_the_text_that_prometheus_reads(ask):
    text = (await ask("call", "/head/services/metrics")).json

    assert "# TYPE alknet_calls_ended_total counter" in text
    assert "process_resident_memory_bytes" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.0, "0 us"),
        (0.00000123, "1.23 us"),
        (0.00123, "1.23 ms"),
        (0.9994, "999 ms"),
        (1.0, "1 s"),
        (123.4, "123 s"),
    ],
)
def test_times_are_told_in_a_unit_that_can_be_read(seconds, text):
    assert span_of(seconds) == text
