"""Auth node, secret node, head and worker, each a process: each is killed in turn, under load."""

from contextlib import asynccontextmanager

import trio

from alknet import connect
from alknet.errors import LinkError, NotFound, Unavailable
from alknet.keys import Keyring, ssh_fingerprint, ssh_public_line
from alknet.protocol.auth import ReloadKeys
from alknet.protocol.config import CheckForwarding, ReloadForwarding
from alknet.protocol.secret import Decrypt, DeriveEd25519, Encrypt, Rotate
from alknet.runtime.vault import IDENTITY_PATH

from ..people import ALICE_KEY, PHRASE, STRANGER_KEY, WORKER_KEY
from . import processes
from .clerk import ClerkKey
from .place import Place

RECOVERY_SECONDS = 2.0
PHRASES = {
    "vault": PHRASE,
    "head": "legal winner thank year wave sausage worth useful legal winner thank yellow",
    "auth-node": "letter advice cage absurd amount doctor acoustic avoid letter advice cage above",
}
KEYS = {
    name: Keyring.from_mnemonic(phrase).ed25519(IDENTITY_PATH).public_key
    for name, phrase in PHRASES.items()
}
SEED = Keyring.from_mnemonic(PHRASE)
PATH = "m/74'/0'/0'/7'"
AWAY = {
    "no peer called 'worker-1' is connected",
    "the peer 'worker-1' is connected, but has registered no operations",
}
ANSWER = SEED.ed25519(PATH).public_key


def node(name):
    return f"""\
[node]
name = "{name}"
listen = ["{{url}}"]
identity = "{ssh_fingerprint(KEYS[name])}"
log = "error"

[tls]
client_certificates = true
"""


def listed(name, public_key, *scopes):
    return f"""
[[auth.peers]]
name = "{name}"
keys = ["{ssh_public_line(public_key)}"]
scopes = {list(scopes)}
"""


VAULT = (
    node("vault") + "[secrets]\n" + listed("head", KEYS["head"], "identity:forward", "secrets:*")
)
AUTH = (
    node("auth-node")
    + "[auth]\n"
    + listed("head", KEYS["head"], "identity:forward", "auth:verify")
    + listed("worker-1", WORKER_KEY.public_key, "services:register", "secrets:derive")
    + listed("alice", ALICE_KEY.public_key, "*")
    + listed("mallory", STRANGER_KEY.public_key, "secrets:derive")
)
HEAD = f"""{node("head")}
[secrets]
remote = "{{vault}}"
expect = "{ssh_fingerprint(KEYS["vault"])}"
cache_entries = 0  # each call shall need the other node

[auth]
remote = "{{auth}}"
expect = "{ssh_fingerprint(KEYS["auth-node"])}"
remember = 0.2

[config.forwarding]
default = "deny"
"""


class Running:
    """A process that can be killed while the test goes on."""

    def __init__(self, nursery, serving):
        self._nursery = nursery
        self._serving = serving
        self._killed = trio.Event()
        self._gone = trio.Event()

    async def start(self):
        self._killed, self._gone = trio.Event(), trio.Event()
        await self._nursery.start(self._run)

    async def kill(self):
        self._killed.set()
        await self._gone.wait()

    async def _run(self, task_status):
        async with self._serving():
            task_status.started()
            await self._killed.wait()
        self._gone.set()


class Load:
    """Asks all the time; `answered` and `failed` count what became of it."""

    def __init__(self, client):
        self._client = client
        self.answered = 0
        self.failed = 0
        self.news = trio.Event()

    async def run(self, ask):
        while True:
            try:
                assert await ask(self._client) == ANSWER
            except Unavailable:
                self.failed += 1
            except NotFound as error:
                # The head does not know of a worker before it is back.
                if error.message not in AWAY:
                    raise
                self.failed += 1
            else:
                self.answered += 1
            self.news.set()
            self.news = trio.Event()
            await trio.sleep(0.005)


async def through_the_head(client):
    return (await client.call(DeriveEd25519(PATH), timeout=5)).public_key


async def through_the_worker(client):
    return await client.call(ClerkKey(PATH), node="worker-1", timeout=5)


def entered(head, key):
    return connect(head.url, identity=key, expect=KEYS["head"], reconnect=True)


async def is_let_in(head, key):
    try:
        async with connect(head.url, identity=key, expect=KEYS["head"]):
            return True
    except LinkError:
        return False


async def answers_all(head, loads):
    """Return how long it takes until a newcomer is let in, and every kind of call is answered."""
    began = trio.current_time()
    with trio.fail_after(10):
        while not await is_let_in(head, ALICE_KEY):
            pass
        for load in loads:
            wanted = load.answered + 1
            while load.answered < wanted:
                await load.news.wait()
    return trio.current_time() - began


async def test_each_of_four_processes_is_killed_and_the_others_heal_by_themselves(
    tmp_path, record_property
):
    def place(name, toml, **urls):
        return Place(tmp_path / name, toml, PHRASES[name], url="tls://127.0.0.1:0", **urls)

    @asynccontextmanager
    async def worker():
        pin = ssh_fingerprint(KEYS["head"])
        async with processes.running("clerk", head.url, pin) as process:
            assert await process.line() == "ready"
            yield

    async with trio.open_nursery() as nursery:
        vault, auth = place("vault", VAULT), place("auth-node", AUTH)
        everybody = {"vault": Running(nursery, vault.serving)}
        everybody["auth-node"] = Running(nursery, auth.serving)
        for each in everybody.values():
            await each.start()
        head = place("head", HEAD, vault=vault.url, auth=auth.url)
        everybody["head"] = Running(nursery, head.serving)
        everybody["worker"] = Running(nursery, worker)
        await everybody["head"].start()
        await everybody["worker"].start()

        async with entered(head, ALICE_KEY) as alice, trio.open_nursery() as callers:
            loads = [Load(alice), Load(alice)]
            for load, ask in zip(loads, (through_the_head, through_the_worker), strict=True):
                for _ in range(4):
                    callers.start_soon(load.run, ask)
            took = {}
            await answers_all(head, loads)
            assert [load.failed for load in loads] == [0, 0]
            for name, process in everybody.items():
                await process.kill()
                if name == "auth-node":
                    assert not await is_let_in(head, STRANGER_KEY), "nobody can say who it is"
                await process.start()
                took[name] = await answers_all(head, loads)
            assert all(load.failed for load in loads)
            await revoke(auth, head)
            await change_policy(head, alice)
            await rotate(alice)
            callers.cancel_scope.cancel()
        for each in reversed(everybody.values()):
            await each.kill()
    record_property("recovery_seconds", took)
    counts = [(load.answered, load.failed) for load in loads]
    print(f"recovered in { {name: round(each, 3) for name, each in took.items()} } s; {counts=}")
    assert max(took.values()) < RECOVERY_SECONDS


async def revoke(auth, head):
    """Take mallory's key away where it is listed: his link ends, and the head lets him in no more.

    The head asks again about whom it remembers, so that it takes a moment.
    """
    gone = ssh_fingerprint(STRANGER_KEY.public_key)
    async with connect(head.url, identity=STRANGER_KEY, expect=KEYS["head"]) as mallory:
        assert await through_the_head(mallory) == ANSWER
        auth.toml = auth.toml.replace("[auth]\n", f'[auth]\nrevoked = ["{gone}"]\n')
        auth.write()
        async with connect(auth.url, identity=ALICE_KEY, expect=KEYS["auth-node"]) as operator:
            await operator.call(ReloadKeys())
        with trio.fail_after(5):
            await mallory.session.closed()
    assert not await is_let_in(head, STRANGER_KEY)
    assert await is_let_in(head, ALICE_KEY)


async def change_policy(head, alice):
    """Allow what was denied, in the file, while the node runs."""
    asked = CheckForwarding("db.internal", 5432)
    assert not (await alice.call(asked)).allowed
    head.toml += 'rules = [{{ target = "db.internal:5432", action = "allow" }}]\n'
    head.write()
    assert len((await alice.call(ReloadForwarding())).rules) == 1
    assert (await alice.call(asked)).allowed


async def rotate(alice):
    """Seal under one key and then under the next; the seed is in the secret node all the time."""
    sealed = await alice.call(Encrypt(b"kept", key_version=2))
    renewed = await alice.call(Rotate(sealed, 3))
    assert (sealed.key_version, renewed.key_version) == (2, 3)
    for each in (sealed, renewed):
        assert (await alice.call(Decrypt(each))).data == b"kept"
