"""The head's and the workers' operations, under exactly these paths, from a second process."""

import base64
import json
import subprocess
import sys

import pytest
import trio

from alknet import open_node, testing
from alknet.protocol.forwarding import ForwardingPolicy, ForwardingRule
from alknet.protocol.storage import CreateGraph, DefineType, GraphType
from alknet.protocol.task import CreateTask
from alknet.runtime.host import Host
from alknet.services.config import ConfigSettings
from alknet.services.storage import StorageService
from alknet.services.storage.base import StorageSettings
from alknet.services.task import TaskSettings
from alknet.services.worker import WorkerSettings

from ..echo import Echo
from ..faults.processes import ROOT
from ..people import ALICE_KEY, WORKER_KEY, node_settings, peer

SCOPES = {
    "/head/auth/verify": "auth:verify",
    "/head/secrets/derive": "secrets:derive",
    "/head/config/forwarding": "config:read",
    "/head/storage/watch": "storage:read",
    "/worker/heartbeat": "worker:read",
    "/worker/task/submit": "task:work",
    "/head/task/template": "task:work",
    "/head/services/peers": "services:peers",
    "/head/services/stats": "services:stats",
}
OPEN = ("/head/services/list", "/head/services/schema", "/head/services/ping")
POLICY = ForwardingPolicy(rules=(ForwardingRule("db.internal:5432", "allow"),))
PATH = "m/74'/0'/0'/1'"
TYPE = {"name": "t", "node_types": []}
INPUTS = {
    "/head/auth/verify": {"public_key": base64.b64encode(ALICE_KEY.public_key).decode()},
    "/head/secrets/derive": {"path": PATH},
    "/head/storage/watch": {"stream": "graphs", "after": 0},
    "/head/services/schema": {"name": "secrets/derive"},
    "/head/task/template": {"templates": ["resize"]},
}


class Asker:
    """A second process that is worker-1, and what it is answered."""

    def __init__(self, process):
        self._process = process
        self._unread = b""

    async def ask(self, path, input):
        await self._process.stdin.send_all(json.dumps([path, input]).encode() + b"\n")
        return json.loads(await self.line())

    async def line(self):
        while b"\n" not in self._unread:
            data = await self._process.stdout.receive_some()
            assert data, "it has ended"
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line


async def answers(keyring, scopes, paths):
    """Return what worker-1 is answered from each of *paths*, once there is something to tell."""
    settings = node_settings(
        peer("alice", ALICE_KEY, "*"), peer("worker-1", WORKER_KEY, "services:register", *scopes)
    )
    settings.services.update(
        config=ConfigSettings(forwarding=POLICY),
        storage=StorageSettings(),
        task=TaskSettings(),
        worker=WorkerSettings(interval=0.05),
    )
    found = {}
    async with open_node(settings, keyring=keyring) as node:
        await node.client.call(DefineType(GraphType("t", ())))
        await node.client.call(CreateGraph("g", "t"))
        made = await node.client.call(CreateTask("resize", {"width": 7}))
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "tests.faults.asker", node.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        try:
            with trio.fail_after(30):
                asker = Asker(process)
                assert await asker.line() == b"ready"
                for path in paths:
                    input = INPUTS.get(path, {})
                    if path == "/worker/task/submit":
                        input = {"task": made.id, "attempt": 1, "output": "done"}
                    found[path] = await asker.ask(path, input)
        finally:
            process.kill()
            await process.wait()
    return found


async def test_each_answers_from_a_second_process_that_has_its_scope(keyring):
    # What is handed out has to be asked for before it can be submitted.
    derived = keyring.ed25519(PATH).public_key
    paths = [*OPEN, "/head/task/template", *(path for path in SCOPES if "template" not in path)]
    found = await answers(keyring, SCOPES.values(), paths)

    assert found["/head/auth/verify"]["identity"]["id"] == "alice"
    key = base64.b64decode(found["/head/secrets/derive"]["public_key"])
    assert key == derived
    assert found["/head/config/forwarding"]["rules"][0]["target"] == "db.internal:5432"
    assert (found["/head/storage/watch"]["key"], found["/head/storage/watch"]["kind"]) == (
        "g",
        "created",
    )
    assert found["/worker/heartbeat"]["node"] == "worker-1"
    assert found["/head/task/template"]["input"] == {"width": 7}
    assert (found["/worker/task/submit"]["state"], found["/worker/task/submit"]["output"]) == (
        "done",
        "done",
    )
    listed = {f"/head/{each['name']}" for each in found["/head/services/list"]["operations"]}
    assert {path.replace("/worker/task", "/head/task") for path in SCOPES} - listed == {
        "/worker/heartbeat"
    }
    assert "/head/worker/heartbeat" in listed
    assert found["/head/services/schema"]["access"]["all_of"] == ["secrets:derive"]
    assert found["/head/services/ping"]["node"] == "head"
    (itself,) = found["/head/services/peers"]["peers"]
    assert itself["operations"] == ["worker/heartbeat"]
    assert {each["name"] for each in found["/head/services/stats"]["services"]} >= {
        "auth",
        "task",
        "worker",
    }


async def test_each_is_refused_to_who_lacks_its_scope(keyring):
    found = await answers(keyring, (), [*SCOPES, *OPEN])

    assert {path: found[path] for path in SCOPES} == {
        path: {"code": "FORBIDDEN"} for path in SCOPES
    }
    assert [path for path in OPEN if "code" in found[path]] == ["/head/services/schema"], (
        "what may not be called is not described"
    )


async def watched(client, node):
    """Return the name of the first graph that `/{node}/storage/watch` tells of."""
    await client.invoke(f"/{node}/storage/define-type", {"definition": TYPE})
    await client.invoke(f"/{node}/storage/create-graph", {"name": "g", "type": "t"})
    path, input = f"/{node}/storage/watch", {"stream": "graphs", "after": 0}
    async with client.invoke_stream(path, input) as events:
        with trio.fail_after(10):
            return (await anext(events))["key"]


async def test_the_storage_of_a_worker_is_watched_by_its_name():
    own = StorageService(StorageSettings(), Host(None, None, None))
    async with (
        testing.node() as head,
        testing.connected(head, name="worker-1", services=[own]),
        testing.connected(head, name="alice") as alice,
    ):
        assert await watched(alice, "worker-1") == "g"


@pytest.mark.parametrize("name", ["head", "head-2"])
async def test_the_storage_of_a_head_is_watched_by_either_of_its_names(name):
    settings = node_settings(name="head-2", listen=())
    settings.services["storage"] = StorageSettings()
    async with (
        testing.node(settings=settings) as head,
        testing.connected(head, name="alice") as alice,
    ):
        assert await watched(alice, name) == "g"


async def test_the_directory_says_the_same_near_and_far():
    async with (
        testing.node(services=[Echo()]) as head,
        testing.connected(head, name="alice") as far,
    ):
        near = head.client

        async def asked(path, **input):
            path = f"/head/services/{path}"
            answers = [await client.invoke(path, input) for client in (near, far)]
            # Near, an array may be a tuple.
            return json.loads(json.dumps(answers))

        here, there = await asked("list")
        internal = {
            each.spec.name
            for each in head.dispatcher.registry
            if each.spec.visibility != "external"
        }
        assert "echo/secret" in internal
        assert [each for each in here["operations"] if each["name"] not in internal] == there[
            "operations"
        ]
        for name in ("echo/say", "echo/count", "services/list"):
            here, there = await asked("schema", name=name)
            assert here == there
        here, there = await asked("peers")
        assert here == there
        assert [each["peer_id"] for each in there["peers"]] == ["alice"]
        here, there = await asked("ping")
        assert (here["node"], here["node"]) == (there["node"], "head")
        here, there = await asked("stats")
        names = [[each["name"] for each in stats["operations"]] for stats in (here, there)]
        assert names[0] == names[1]
        assert "services/stats" in names[0]
