"""`alknet serve`: it says ready, it says why not, and it stops when told to."""

import os
import signal
import stat

import msgspec
import pytest
import trio

from alknet import connect
from alknet.cli.identity import read_key
from alknet.errors import CallError, Unreachable
from alknet.keys import Keyring, ssh_fingerprint, ssh_public_line
from alknet.protocol.directory import Ping

from ..echo import Echo
from ..people import PHRASE, WORKER_KEY, node_key
from .command import alknet, running
from .typist import typist

FINGERPRINT = ssh_fingerprint(node_key(Keyring.from_mnemonic(PHRASE)))
KEY_LINE = ssh_public_line(WORKER_KEY.public_key)
OTHERS = "legal winner thank year wave sausage worth useful legal winner thank yellow"


def config(stack):
    return ("--config", stack / "stack.toml")


def phrase(stack):
    return ("--phrase-file", stack / "phrase")


async def test_it_prints_one_line_when_it_answers(stack):
    async with running("serve", *config(stack), *phrase(stack)) as node:
        word, _, url = (await node.line()).partition(" ")
        key = read_key(stack / "operator.key")
        async with connect(url, identity=key, expect=FINGERPRINT) as client:
            name = (await client.call(Ping())).node

        done = await node.end(signal.SIGTERM)

    assert (word, name) == ("ready", "head")
    assert (done.code, done.stdout) == (0, "")


async def test_it_is_called_over_quic(stack):
    file = stack / "stack.toml"
    file.write_text(file.read_text().replace("ws://", "quic://"))
    async with running("serve", *config(stack), *phrase(stack)) as node:
        url = (await node.line()).split()[1]
        done = await alknet(
            *("call", "/head/services/ping", "{}", "--node", url, "--expect", FINGERPRINT),
            *("--identity", stack / "operator.key"),
        )
        assert (await node.end(signal.SIGTERM)).code == 0

    assert url.startswith("quic://127.0.0.1:")
    assert (done.code, done.json["node"]) == (0, "head"), done.stderr


async def test_it_says_more_as_json(stack):
    async with running("serve", *config(stack), *phrase(stack), "--json") as node:
        ready = msgspec.json.decode(await node.line())

    assert ready["ready"].startswith("ws://127.0.0.1:")
    assert ready.pop("urls") == [ready.pop("ready")]
    assert ready == {
        "node": "head",
        "services": [
            "services",
            "secrets",
            "storage",
            "task",
            "worker",
            "auth",
            "config",
            "forward",
        ],
        "identity": FINGERPRINT,
    }


async def test_it_logs_to_stderr_in_json_lines(stack):
    async with running("serve", *config(stack), *phrase(stack)) as node:
        await node.line()
        done = await node.end(signal.SIGINT)

    events = [msgspec.json.decode(line)["event"] for line in done.stderr.splitlines()]
    assert done.code == 0
    assert events == ["stopping on a signal", "stopping"]


async def test_a_hangup_reads_the_settings_anew_and_a_bad_file_changes_nothing(stack):
    path = stack / "stack.toml"
    good = path.read_text().replace("calls_per_second = 0", "calls_per_second = 7000")
    asked = ("call", "/head/config/rate-limits", "--identity", stack / "operator.key", "--node")
    async with running("serve", *config(stack), *phrase(stack)) as node:
        url = (await node.line()).removeprefix("ready ")
        path.write_text(good)
        node.process.send_signal(signal.SIGHUP)
        await node.logs("settings reloaded")
        assert (await alknet(*asked, url, cwd=stack)).json["calls_per_second"] == 7000
        path.write_text(good.replace("7000", '"many"'))
        node.process.send_signal(signal.SIGHUP)
        await node.logs("settings not reloaded: those in force stay")
        assert (await alknet(*asked, url, cwd=stack)).json["calls_per_second"] == 7000
        done = await node.end(signal.SIGTERM)

    assert done.code == 0
    assert "config.rate_limits.calls_per_second: expected `int`, got `str`" in done.stderr


async def test_the_phrase_may_come_through_a_descriptor(stack):
    reading, writing = os.pipe()
    os.write(writing, PHRASE.encode())
    os.close(writing)
    arguments = ("serve", *config(stack), "--phrase-fd", reading, "--json")
    async with running(*arguments, pass_fds=[reading]) as node:
        os.close(reading)
        ready = msgspec.json.decode(await node.line())

    assert ready["identity"] == FINGERPRINT


async def test_it_may_start_locked(stack):
    async with running("serve", *config(stack), "--locked", "--json") as node:
        ready = msgspec.json.decode(await node.line())

    assert ready["identity"] is None


async def test_the_phrase_is_asked_for_at_the_terminal_and_not_shown(stack):
    async with typist("serve", *config(stack)) as person:
        await person.sees("Recovery phrase: ")
        await person.types(PHRASE.upper() + "\n")
        shown = await person.sees("ready ws://")
        await person.types("\x03")
        done = await person.leaves()

    assert shown == "\r\nready ws://"
    assert done.code == 0
    assert "abandon" not in done.stdout.lower()


async def test_who_mistypes_the_phrase_may_try_again_twice(stack):
    async with typist("serve", *config(stack)) as person:
        for last in ("", "zzz", "zoo"):
            await person.sees("Recovery phrase: ")
            await person.types(PHRASE.replace("about", last) + "\n")
        done = await person.leaves()

    assert done.code == 1
    assert done.stdout.endswith(
        "\r\nalknet: every word of the recovery phrase is known, but the checksum is wrong: "
        "two words have changed places, or one is another word of the list\r\n"
    )


async def test_the_passphrase_is_asked_for_too(stack):
    async with typist("serve", *config(stack), "--ask-passphrase") as person:
        await person.sees("Recovery phrase: ")
        await person.types(PHRASE + "\n")
        await person.sees("Passphrase: ")
        await person.types("TREZOR\n")
        done = await person.leaves()

    assert done.code == 1
    assert "the recovery phrase, or its passphrase, is another node's" in done.stdout
    assert "TREZOR" not in done.stdout


@pytest.mark.parametrize(("keys", "code"), [("\x03", 130), ("\x04", 1)], ids=["Ctrl-C", "Ctrl-D"])
async def test_who_is_asked_may_leave(stack, keys, code):
    async with typist("serve", *config(stack)) as person:
        await person.sees("Recovery phrase: ")
        assert not person.is_shown
        await person.types(keys)
        done = await person.leaves()
        assert person.is_shown

    assert done.code == code
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "a recovery phrase has 12, 15, 18, 21 or 24 words; this one has 0"),
        (PHRASE.replace("about", "abot"), "word 12 of the recovery phrase is not in the English"),
        (PHRASE.replace("about", "above"), "the checksum is wrong"),
        (OTHERS, "the recovery phrase, or its passphrase, is another node's"),
        ("abandon " * 1000, "is too long to hold a recovery phrase alone"),
    ],
    ids=["empty", "word", "checksum", "another", "long"],
)
async def test_a_wrong_phrase_does_not_start_it(stack, text, sentence):
    (stack / "phrase").write_text(text)

    done = await alknet("serve", *config(stack), *phrase(stack))

    assert (done.code, done.stdout) == (1, "")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert "abandon" not in done.stderr


async def test_without_a_terminal_the_phrase_must_come_from_somewhere(stack):
    done = await alknet("serve", *config(stack))

    assert done == (
        2,
        "",
        "alknet: nobody sits at a terminal to type the recovery phrase: "
        "use --phrase-file FILE, --phrase-fd N or --locked\n",
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--phrase-file", "phrase", "--phrase-fd", "0"], "are two sources: name one"),
        (["--phrase-file", "phrase", "--locked"], "--locked starts without a phrase"),
        (["--phrase-fd", "-1"], "invalid value for '--phrase-fd'"),
        (["--drain", "1"], "no such option: --drain"),
    ],
    ids=str,
)
async def test_what_cannot_be_asked_is_a_usage_error(stack, arguments, sentence):
    done = await alknet("serve", *arguments, cwd=stack)

    assert (done.code, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


async def test_a_descriptor_that_is_not_open_is_said(stack):
    done = await alknet("serve", *config(stack), "--phrase-fd", "77")

    assert done == (
        1,
        "",
        "alknet: cannot read the recovery phrase from /dev/fd/77: bad file descriptor\n",
    )


async def test_a_phrase_that_others_can_read_is_refused(stack):
    (stack / "phrase").chmod(0o640)

    done = await alknet("serve", *config(stack), "--phrase-file", "phrase", cwd=stack)

    assert done == (
        1,
        "",
        "alknet: phrase holds a recovery phrase and others on this machine can read it "
        "(mode 0640): chmod 600 phrase\n",
    )


HERE = 'listen = ["ws://127.0.0.1:0"]'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"[node]\n{HERE}\ndrian = 1\n", "stack.toml:3: node.drian: there is no such key; did you"),
        ("[node]\nlisten = 'here'\n", "stack.toml:2: node.listen: expected `array`, got `str`"),
        ("[node]\n\nname = 'head\n", "stack.toml:3: expected"),
        ("[nodes]\n", "stack.toml:1: nodes: there is no table [nodes]; did you mean `node`?"),
        ("[auth]\n", "stack.toml: nothing to listen at"),
        (f"[node]\n{HERE}\n", "needs the table [auth]"),
        ("[node]\nlisten = ['ftp://127.0.0.1:0']\n[auth]\n", "ftp://"),
        ("[node]\nlisten = ['ws://127.0.0.1:99999']\n[auth]\n", "99999"),
        (
            "[node]\nlisten = ['ws://203.0.113.1:0']\n[auth]\n",
            "cannot listen at ws://203.0.113.1:0",
        ),
        ("[node]\nname = '\xff'\n", "stack.toml:2: node.name: "),
    ],
    ids=str,
)
async def test_bad_settings_are_said_with_file_and_line(stack, text, sentence):
    (stack / "stack.toml").write_text(text)

    done = await alknet("serve", "--locked", cwd=stack)

    assert (done.code, done.stdout) == (1, "")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("missing.toml", "alknet: cannot read missing.toml: no such file or directory\n"),
        (".", "alknet: cannot read .: is a directory\n"),
    ],
)
async def test_settings_that_cannot_be_read_are_said(stack, name, sentence):
    done = await alknet("serve", "--locked", "--config", name, cwd=stack)

    assert done == (1, "", sentence)


async def test_a_second_node_at_the_same_port_does_not_start(stack):
    async with running("serve", *config(stack), *phrase(stack)) as first:
        url = (await first.line()).removeprefix("ready ")
        settings = (stack / "stack.toml").read_text().replace("ws://127.0.0.1:0", url)
        other = stack / "other"
        other.mkdir()
        (other / "stack.toml").write_text(settings)

        done = await alknet("serve", "--locked", "--config", other / "stack.toml")

        assert (await first.end(signal.SIGTERM)).code == 0
    assert done == (1, "", f"alknet: cannot listen at {url}: address already in use\n")


async def test_a_signal_lets_nobody_in_any_more(stack):
    async with running("serve", *config(stack), *phrase(stack)) as node:
        url = (await node.line()).removeprefix("ready ")
        key = read_key(stack / "operator.key")
        async with connect(url, identity=key) as client:
            await client.call(Ping())
            done = await node.end(signal.SIGTERM)
            with pytest.raises(CallError):
                await client.call(Ping())
        with pytest.raises(Unreachable):
            async with connect(url, identity=key):
                pass

    assert done.code == 0


@pytest.fixture
async def holding(stack):
    """A node that stops in an hour at most, with a call in flight that nobody answers."""
    path = stack / "stack.toml"
    worker = f'[[auth.peers]]\nname = "worker-1"\nscopes = ["*"]\nkeys = ["{KEY_LINE}"]\n'
    path.write_text(path.read_text().replace("drain = 5.0", "drain = 3600") + worker)
    echo = Echo()
    async with running("serve", *config(stack), "--locked") as node:
        url = (await node.line()).removeprefix("ready ")
        async with (
            connect(url, identity=WORKER_KEY, services=[echo]),
            running("call", "/worker-1/echo/hold", "--node", url, cwd=stack) as call,
        ):
            await echo.has_begun()
            node.process.send_signal(signal.SIGTERM)
            await node.logs("stopping")
            yield node, call, echo


async def test_a_call_in_flight_is_finished_first(holding):
    node, call, echo = holding
    echo.let_go.set()

    assert await call.end() == (0, '"held"\n', "")
    assert (await node.end()).code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_waits_for_nothing(holding, number):
    node, call, _ = holding

    stopped = await node.end(number)
    called = await call.end()

    assert stopped.code == 1
    assert stopped.stderr.endswith("alknet: a second signal came: calls in flight were cancelled\n")
    assert called.code == 3
    assert called.stderr.endswith(" was closed\n")


async def test_nobody_needs_to_read_the_ready_line(stack):
    async with running("serve", *config(stack), "--locked") as node:
        await node.process.stdout.aclose()
        with trio.fail_after(10):
            said = await node.process.stderr.receive_some()
        event = msgspec.json.decode(said)
        node.process.send_signal(signal.SIGTERM)
        code = await node.process.wait()

    assert event["event"] == "nobody reads stdout"
    assert code == 0


async def test_a_log_that_nobody_reads_does_not_end_the_node(stack):
    async with running("serve", *config(stack), *phrase(stack)) as node:
        url = (await node.line()).removeprefix("ready ")
        await node.process.stderr.aclose()
        for _ in range(3):
            async with connect(url, identity=read_key(stack / "operator.key")) as client:
                await client.call(Ping())
        node.process.send_signal(signal.SIGTERM)
        with trio.fail_after(10):
            code = await node.process.wait()

    assert code == 0


async def test_the_phrase_is_neither_in_the_arguments_nor_in_the_environment(stack):
    async with running("serve", *config(stack), *phrase(stack)) as node:
        await node.line()
        process = trio.Path(f"/proc/{node.process.pid}")
        seen = await (process / "cmdline").read_bytes() + await (process / "environ").read_bytes()

    assert b"abandon" not in seen
    assert stat.S_IMODE((stack / "phrase").stat().st_mode) == 0o600
