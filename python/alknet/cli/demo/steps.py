"""What the demo shows, step by step. Each step asks something and checks the answer.

    @step(who="worker")
    async def derive(world: World) -> str:
        '''Derive a key.'''
        answer = await world.invoke("/head/secrets/derive", path=PATH)
        check("the public key", answer["public_key"], _public(world.keyring.ed25519(PATH)))
        return answer["fingerprint"]

Its docstring is its title, and it returns what came back, in short. The steps run in this order,
in one world.
"""

import base64
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from alknet import CallError, connect
from alknet.cli.demo.greeter import Count, Greet, Ponder
from alknet.cli.demo.world import WORKER, World
from alknet.errors import Refused, Unavailable
from alknet.keys import Ed25519Key, EncryptedData, ssh_fingerprint
from alknet.protocol.directory import ListPeers, Ping
from alknet.protocol.secret import Lock, Unlock
from alknet.protocol.task import CreateTask, GetTask, WatchTasks
from alknet.protocol.worker import Heartbeats
from alknet.runtime.vault import IDENTITY_PATH

DEVICE: Final = "m/74'/0'/0'/7'"
ETHEREUM: Final = "m/44'/60'/0'/0/0"
SECRET: Final = b"the tide is high at noon"


Act = Callable[[World], Awaitable[str]]


class Step(NamedTuple):
    """One row of the table: its title, who acts, and what is done."""

    title: str
    who: str
    act: Act


class Unexpected(Exception):
    """An answer is not what it should be."""


STEPS: Final[list[Step]] = []
_checks = 0


def step(*, who: str) -> Callable[[Act], Act]:
    """Add a function to the steps; its docstring is the title."""

    def add(act: Act) -> Act:
        STEPS.append(Step((act.__doc__ or "").rstrip("."), who, act))
        return act

    return add


def check(what: str, found: Any, expected: Any) -> None:
    """Compare an answer with what it should be.

    Raises:
        Unexpected: and says both.
    """
    global _checks
    _checks += 1
    if found != expected:
        raise Unexpected(f"{what}: expected {expected!r}, found {found!r}")


def checks_made() -> int:
    """Return how many answers have been checked so far."""
    return _checks


async def refusal(call: Awaitable[Any], code: str) -> str:
    """Return the sentence with which *call* is refused; *code* says why it has to be.

    Raises:
        Unexpected: it is not refused, or for another reason.
    """
    try:
        answer = await call
    except CallError as error:
        check("the refusal", error.code, code)
        return error.message
    raise Unexpected(f"expected to be refused with {code}, found the answer {answer!r}")


@step(who="head")
async def start_head(world: World) -> str:
    """Start from a fresh recovery phrase."""
    await world.start_head()
    fingerprint = ssh_fingerprint(world.keyring.ed25519(IDENTITY_PATH).public_key)
    check("the head's identity", world.ready["identity"], fingerprint)
    check("its services", set(world.ready["services"]) >= {"auth", "config", "secrets"}, True)
    return f"{world.url} is {_short(fingerprint)}"


@step(who="worker")
async def authenticate(world: World) -> str:
    """Connect with a key that is listed."""
    check("the worker's process", await world.start_worker(), world.worker.pid)
    peers = {each.peer_id for each in (await world.operator.call(ListPeers())).peers}
    check("who is connected", peers, {WORKER, "operator"})
    return f"process {world.worker.pid} is {WORKER}"


@step(who="stranger")
async def refuse_a_stranger(world: World) -> str:
    """Connect with a key that is not listed."""
    stranger = Ed25519Key.generate()
    try:
        async with connect(world.url, identity=stranger):
            raise Unexpected("expected a stranger to be refused, found it let in")
    except Refused as error:
        named = ssh_fingerprint(stranger.public_key) in str(error)
        check("whose key it is that was refused", named, True)
    return "refused before any call is read"


@step(who="worker")
async def verify(world: World) -> str:
    """Ask whether a key is the operator's."""
    operator = world.operator_key.public_key
    verdict = await world.invoke("/head/auth/verify", public_key=_b64(operator))
    check("the verdict", verdict["result"], "granted")
    check("whose key it is", verdict["identity"]["id"], "operator")
    unknown = await world.invoke("/head/auth/verify", public_key=_b64(bytes(32)))
    check("the verdict on a key of zeros", unknown["result"], "denied")
    return "it is; zeros are nobody's"


@step(who="worker")
async def derive(world: World) -> str:
    """Derive an Ed25519 key."""
    answer = await world.invoke("/head/secrets/derive", path=DEVICE)
    expected = world.keyring.ed25519(DEVICE).public_key
    check("the public key", base64.b64decode(answer["public_key"]), expected)
    return f"{DEVICE} is {_short(answer['fingerprint'])}"


@step(who="worker")
async def derive_ethereum(world: World) -> str:
    """Derive an Ethereum account."""
    answer = await world.invoke("/head/secrets/ethereum", path=ETHEREUM)
    expected = world.keyring.secp256k1(ETHEREUM).ethereum_address
    check("the address", answer["address"], expected)
    return f"{answer['address'][:10]}...{answer['address'][-6:]}"


@step(who="worker")
async def encrypt(world: World) -> str:
    """Encrypt, and decrypt again."""
    sealed = await _seal(world)
    opened = world.keyring.open(EncryptedData(**sealed), associated_data=b"tide-table")
    check("what the same phrase opens here", opened, SECRET)
    plain = await world.invoke(
        "/head/secrets/decrypt", sealed=sealed, associated_data=_b64(b"tide-table")
    )
    check("what the head opens", base64.b64decode(plain["data"]), SECRET)
    return f"{len(SECRET)} bytes, sealed under key {sealed['key_version']}"


@step(who="worker")
async def refuse_a_swap(world: World) -> str:
    """Move a sealed value to another place."""
    swapped = world.invoke(
        "/head/secrets/decrypt", sealed=await _seal(world), associated_data=_b64(b"bank-account")
    )
    await refusal(swapped, "DECRYPTION_FAILED")
    return "refused: it is sealed to its own"


@step(who="worker")
async def refuse_without_scope(world: World) -> str:
    """Lock the vault, without leave."""
    sentence = await refusal(world.invoke("/head/secrets/lock"), "FORBIDDEN")
    check("the scope that it lacks", "'secrets:lock'" in sentence, True)
    return "refused: it lacks secrets:lock"


@step(who="operator")
async def call_back(world: World) -> str:
    """Call what the worker has registered."""
    greeting = await world.operator.call(Greet("head"), node=WORKER)
    check("the greeting", greeting.text, "Hello, head!")
    check("the process it comes from", greeting.process, world.worker.pid)
    return f"{greeting.text!r} from process {greeting.process}"


@step(who="operator")
async def stream(world: World) -> str:
    """Stream from it, through the head."""
    async with world.operator.stream(Count(2000), node=WORKER) as numbers:
        found = [number async for number in numbers]
    check("the numbers", found, list(range(1, 2001)))
    return "2000 items, in order, on credit"


@step(who="operator")
async def heartbeat(world: World) -> str:
    """Hear how the worker fares."""
    async with world.operator.stream(Heartbeats(worker=WORKER)) as beats:
        beat = await anext(beats)
    check("who it is", beat.node, WORKER)
    (peer,) = [each for each in (await world.operator.call(ListPeers())).peers if each.heartbeat]
    check("whose heartbeat the head has", peer.peer_id, WORKER)
    return f"load {beat.load:.2f} of {beat.cpus}"


@step(who="operator")
async def task(world: World) -> str:
    """Have something done, on disk first."""
    created = await world.operator.call(CreateTask("shout", "land ahoy"))
    async with world.operator.stream(WatchTasks(task=created.id)) as events:
        states = [event.state async for event in events]
    check("how it ended", states[-1], "done")
    done = await world.operator.call(GetTask(created.id))
    check("what came of it", (done.output, done.worker), ("LAND AHOY", WORKER))
    return f"{done.output!r} by {done.worker}"


@step(who="operator")
async def lock(world: World) -> str:
    """Lock the vault, and unlock it again."""
    check("the vault after lock", (await world.operator.call(Lock())).locked, True)
    await refusal(world.invoke("/head/secrets/derive", path=DEVICE), "LOCKED")
    status = await world.operator.call(Unlock(world.phrase))
    check("the identity after unlock", status.identity, world.ready["identity"])
    return "in between, the worker is told Locked"


@step(who="operator")
async def kill(world: World) -> str:
    """Kill the worker (-9) in mid-call."""
    async with world.operator.stream(Ponder(), node=WORKER) as thoughts:
        check("its last words", await anext(thoughts), "hm")
        world.worker.kill()
        try:
            await anext(thoughts)
            raise Unexpected("expected the call to fail, found another answer")
        except Unavailable as error:
            check("whether it says who is gone", WORKER in str(error), True)
    check("who answers still", (await world.operator.call(Ping())).node, "demo-head")
    return "told at once; the head goes on"


@step(who="head")
async def stop(world: World) -> str:
    """Stop when told to."""
    check("its exit code", await world.head.stop(), 0)
    return "exit code 0"


async def _seal(world: World) -> dict[str, Any]:
    sealed: dict[str, Any] = await world.invoke(
        "/head/secrets/encrypt", data=_b64(SECRET), associated_data=_b64(b"tide-table")
    )
    return sealed


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _short(fingerprint: str) -> str:
    return f"{fingerprint[:15]}..."
