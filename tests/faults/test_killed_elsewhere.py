"""kill -9 of a node that answers for another, under load: calls fail clearly, and then go on."""

from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio

from alknet import connect
from alknet.errors import Unavailable
from alknet.keys import Keyring, ssh_fingerprint, ssh_public_line
from alknet.protocol.directory import ListOperations
from alknet.protocol.secret import DeriveEd25519
from alknet.runtime.vault import IDENTITY_PATH

from ..people import PHRASE, WORKER_KEY
from .place import Place

HEAD_PHRASE = "legal winner thank year wave sausage worth useful legal winner thank yellow"
SEED = Keyring.from_mnemonic(PHRASE)
VAULT = SEED.ed25519(IDENTITY_PATH).public_key
HEAD = Keyring.from_mnemonic(HEAD_PHRASE).ed25519(IDENTITY_PATH).public_key
PATHS = [f"m/74'/0'/0'/{number}'" for number in range(8)]
ANSWERS = {path: SEED.ed25519(path).public_key for path in PATHS}

# The most there may be between the line `ready` of a node that is back and a right answer.
RECOVERY_SECONDS = 2.0

VAULT_TOML = f"""\
[node]
name = "vault"
listen = ["{{url}}"]
identity = "{ssh_fingerprint(VAULT)}"
log = "error"

[tls]
client_certificates = true

[secrets]

[[auth.peers]]
name = "head"
keys = ["{ssh_public_line(HEAD)}"]
scopes = ["identity:forward", "secrets:derive"]
"""
HEAD_TOML = f"""\
[node]
name = "head"
listen = ["{{url}}"]
identity = "{ssh_fingerprint(HEAD)}"
log = "error"

[secrets]
remote = "{{vault}}"
expect = "{ssh_fingerprint(VAULT)}"
cache_entries = 0  # each call shall need the other node

[[auth.peers]]
name = "worker-1"
keys = ["{ssh_public_line(WORKER_KEY.public_key)}"]
scopes = ["secrets:derive"]
"""


@pytest.fixture(params=["tls", "wss"])
def vault(request, tmp_path):
    return Place(tmp_path / "vault", VAULT_TOML, PHRASE, url=f"{request.param}://127.0.0.1:0")


def head_of(vault, tmp_path):
    return Place(
        tmp_path / "head", HEAD_TOML, HEAD_PHRASE, url="tls://127.0.0.1:0", vault=vault.url
    )


class Load:
    """Callers that ask all the time, and what became of each call."""

    def __init__(self, client):
        self._client = client
        self.answered = 0
        self.failures = []
        self.longest = 0.0
        self._news = trio.Event()

    async def run(self, path):
        while True:
            asked = trio.current_time()
            try:
                key = await self._client.call(DeriveEd25519(path), timeout=5)
            except Unavailable as error:
                self.failures.append(error.message)
            else:
                assert key.public_key == ANSWERS[path]
                self.answered += 1
            self.longest = max(self.longest, trio.current_time() - asked)
            news, self._news = self._news, trio.Event()
            news.set()
            # A load, not an attack: the node that starts anew needs a processor too.
            await trio.sleep(0.005)

    async def answers(self, number):
        """Return when *number* more calls have been answered."""
        wanted = self.answered + number
        while self.answered < wanted:
            await self._news.wait()

    async def fails(self):
        """Return when one more call has failed."""
        wanted = len(self.failures) + 1
        while len(self.failures) < wanted:
            await self._news.wait()


@asynccontextmanager
async def load_on(head):
    async with connect(head.url, identity=WORKER_KEY, expect=HEAD, reconnect=True) as worker:
        load = Load(worker)
        async with trio.open_nursery() as nursery:
            for path in PATHS:
                nursery.start_soon(load.run, path)
            yield load
            nursery.cancel_scope.cancel()


async def recovered(load):
    """Return how many seconds pass until the next right answer."""
    ready = trio.current_time()
    with trio.fail_after(10):
        await load.answers(1)
    return trio.current_time() - ready


async def test_a_secret_node_that_is_killed_is_found_again_when_it_is_back(
    vault, tmp_path, record_property
):
    took = []
    async with vault.serving():
        head = head_of(vault, tmp_path)
    async with head.serving(), load_on(head) as load:
        # The last time for so long that the pauses between attempts are as long as they get.
        for away in (0.0, 0.0, 0.0, 3.0):
            with trio.fail_after(5):
                await load.fails()
            await trio.sleep(away)
            async with vault.serving():
                took.append(await recovered(load))
                failed = len(load.failures)
                await load.answers(500)
                assert len(load.failures) == failed, "it fails no more once it has recovered"

    assert {each for each in load.failures if vault.url not in each} == set()
    assert f"'vault' at {vault.url}" in load.failures[-1]
    assert load.longest < RECOVERY_SECONDS, "calls fail at once, and wait for nobody"
    assert max(took) < RECOVERY_SECONDS
    record_property("recovery_seconds", took)
    print(
        f"recovered in {[round(each, 3) for each in took]} s; {load.answered} answered, "
        f"{len(load.failures)} failed, the longest took {load.longest:.3f} s"
    )


async def test_a_head_that_is_killed_is_found_again_and_finds_the_secret_node(vault, tmp_path):
    async with vault.serving(), AsyncExitStack() as later:
        head = head_of(vault, tmp_path)
        async with head.serving():
            worker = connect(head.url, identity=WORKER_KEY, expect=HEAD, reconnect=True)
            client = await later.enter_async_context(worker)
            names = {each.name for each in (await client.call(ListOperations())).operations}
            assert "secrets/derive" in names
            assert (await client.call(DeriveEd25519(PATHS[0]))).public_key == ANSWERS[PATHS[0]]
        async with head.serving():
            with trio.fail_after(RECOVERY_SECONDS):
                found = await client.call(DeriveEd25519(PATHS[0]))
            assert found.public_key == ANSWERS[PATHS[0]]
