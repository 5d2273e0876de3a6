"""`alknet services` and `alknet schema`, against a node of this process."""

import time

from alknet.protocol.worker import Heartbeat

from .command import alknet


async def test_services_lists_what_the_caller_may_call(ask):
    done = await ask("services")
    as_json = (await ask("services", "--json")).json

    title, *lines = done.stdout.splitlines()
    assert (done.code, done.stderr) == (0, "")
    assert title.split() == ["operation", "kind", "what", "it", "does"]
    assert "/head/echo/say" in [line.split()[0] for line in lines]
    assert not any("echo/secret" in line for line in lines)
    assert [line.split()[0] for line in lines] == [f"/head/{each['name']}" for each in as_json]


async def test_services_lists_peers_and_what_they_offer(ask, worker):
    done = await ask("services", "--peers")
    as_json = (await ask("services", "--peers", "--json")).json

    assert done.code == 0
    assert "/worker-1/echo/say" in done.stdout
    assert [each["peer_id"] for each in as_json] == ["alice", "worker-1"]


async def test_services_and_status_show_how_a_worker_fares_that_has_a_pulse(ask, node, worker):
    peers = node.dispatcher.peers
    (session,) = peers._offered
    beat = Heartbeat("worker-1", 1.5, 60.0, 0.25, 4, 1, 41_500_000, "1.0\x1b[2J")
    peers.hear(session, beat, time.time() - 7)

    offered = await ask("services", "--peers")
    status = await ask("status")
    as_json = (await ask("status", "--json")).json

    for done in (offered, status):
        assert "load 0.25 of 4, 1 call, 42 MB" in done.stdout
        assert "\x1b" not in done.stdout
    assert as_json["workers"]["worker-1"]["load"] == 0.25
    assert set(as_json["workers"]) == {"worker-1"}


async def test_what_a_worker_says_of_itself_cannot_move_the_cursor(ask, node, worker):
    (session,) = node.dispatcher.peers._offered
    node.dispatcher.peers.offer(session, {"echo/\x1b[2Jcls": "query"})

    done = await ask("services", "--peers")

    assert "\x1b" not in done.stdout
    assert r"/worker-1/echo/\x1b[2Jcls" in done.stdout


async def test_schema_describes_one_operation(ask):
    by_name = await ask("schema", "secrets/derive")
    by_path = await ask("schema", "/head/secrets/derive")

    assert by_name == by_path
    assert by_name.code == 0
    assert by_name.json["access"]["all_of"] == ["secrets:derive"]
    properties = by_name.json["input_schema"]["$defs"]["DeriveEd25519"]["properties"]
    assert properties == {"path": {"type": "string"}}


async def test_what_does_not_exist_has_no_schema(ask):
    done = await ask("schema", "secrets/reveal")

    assert done == (
        1,
        "",
        "alknet: there is no operation 'secrets/reveal' here; "
        "services/list names those you may call\n",
    )


async def test_the_schema_of_the_settings_is_printed_without_a_node(tmp_path):
    done = await alknet("schema", "--settings", cwd=tmp_path)

    assert (done.code, done.stderr) == (0, "")
    assert set(done.json["properties"]) >= {"node", "limits", "auth", "config", "secrets"}
