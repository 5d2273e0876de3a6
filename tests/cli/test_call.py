"""`alknet call` and `alknet watch`, against a node of this process."""

import signal

import pytest
import trio

from alknet import Operation, OperationSpec
from alknet.keys import ssh_fingerprint

from ..people import STRANGER_KEY, WORKER_KEY, node_key
from .command import alknet, environment, running, shell


async def test_the_output_is_json_on_one_line(ask):
    done = await ask("call", "/head/echo/say", '{"text": "grüß dich"}')

    assert done == (0, '"grüß dich"\n', "")


@pytest.mark.parametrize("path", ["/head/echo/say", "head/echo/say", "echo/say", "echo.say"])
async def test_a_path_may_be_short(ask, path):
    done = await ask("call", path, '{"text": "here"}')

    assert done == (0, '"here"\n', "")


async def test_the_input_may_come_from_stdin_or_from_a_file(ask, tmp_path):
    (tmp_path / "input.json").write_text('{"text": "from a file"}')

    from_stdin = await ask("call", "echo/say", "-", stdin=b'{"text": "from stdin"}')
    from_file = await ask("call", "echo/say", "@input.json")

    assert from_stdin == (0, '"from stdin"\n', "")
    assert from_file == (0, '"from a file"\n', "")


async def test_a_call_goes_on_to_a_worker(ask, worker):
    done = await ask("call", "/worker-1/echo/say", '{"text": "far"}')

    assert done == (0, '"far"\n', "")


async def test_an_operation_made_by_hand_is_called_watched_and_described(ask, node):
    async def names(input):
        yield {"name": "Ann"}

    for function, kind in (
        (lambda input: {"got": input["name"]}, "query"),
        (names, "subscription"),
    ):
        spec = OperationSpec(
            name=f"pets/{kind}",
            kind=kind,
            input_schema={"required": ["name"], "properties": {"name": {"type": "string"}}},
        )
        node.register(Operation(spec, function))

    assert await ask("call", "pets/query", '{"name": "Tom"}') == (0, '{"got":"Tom"}\n', "")
    assert await ask("watch", "pets/subscription", '{"name": "x"}') == (0, '{"name":"Ann"}\n', "")
    wrong = await ask("call", "pets/query", '{"name": 7}')
    assert (wrong.code, wrong.stdout) == (1, "")
    assert "`name`: expected string" in wrong.stderr
    described = await ask("schema", "pets/query")
    assert described.json["input_schema"]["required"] == ["name"]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["echo/say", "{"], 2, "this is not JSON"),
        (["echo/say", b'{"text": "\xff"}'], 2, "this is not JSON"),
        (["echo/say", "@missing.json"], 2, "cannot read @missing.json: no such file"),
        (["echo/say"], 1, "object missing required field `text`"),
        (["echo/say", '{"text": 7}'], 1, "`text`: expected `str`, got `int`"),
        (["echo/say", '{"text": "x", "size": 1}'], 1, "unknown field `size`"),
        (["echo/nothing"], 1, "there is no operation 'echo/nothing' here"),
        (["echo/secret"], 1, "there is no operation 'echo/secret' here"),
        (["nowhere"], 1, "'nowhere' names no operation"),
        (["/worker-9/echo/say"], 1, "no peer called 'worker-9' is connected"),
        (["echo/ticks"], 1, "echo/ticks is a subscription"),
        (["echo/fail"], 1, "there is no such thing"),
        (
            ["echo/fail", '{"badly": true}'],
            1,
            "echo/fail failed; the log of its node has",
        ),
        (["echo/hold", "--timeout", "0.01"], 1, "gave no answer within 0.01 s"),
        (["secrets/derive", '{"path": "m/x"}'], 1, "bad derivation path at character 2"),
        ([], 2, "missing argument 'PATH'"),
        (["echo/say", "{}", "{}"], 2, "unexpected extra argument"),
    ],
    ids=str,
)
async def test_what_does_not_work_is_said_in_one_sentence(ask, arguments, code, sentence):
    done = await ask("call", *arguments)

    assert done.code == code
    assert sentence in done.stderr
    assert done.stderr.startswith("alknet: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert "hunter2" not in done.stderr


async def test_who_lacks_a_scope_is_denied(node, worker, tmp_path):
    key = tmp_path / "worker.key"
    key.touch(0o600)
    key.write_text(WORKER_KEY.to_openssh())

    done = await alknet("call", "secrets/status", "--node", node.url, "--identity", key)

    assert done.code == 4
    assert done.stderr == (
        "alknet: 'worker-1' may not call secrets/status: the scope 'secrets:status' is missing\n"
    )


async def test_a_locked_vault_has_an_exit_code_of_its_own(ask, node):
    node.vault.lock()

    done = await ask("call", "secrets/derive", """{"path": "m/0'"}""")

    assert done.code == 5
    assert done.stderr.startswith("alknet: the vault is locked: unlock it")


async def test_an_unlisted_key_is_denied(node, tmp_path):
    key = tmp_path / "stranger.key"
    key.touch(0o600)
    key.write_text(STRANGER_KEY.to_openssh())

    done = await alknet("call", "services/ping", "--node", node.url, "--identity", key)

    assert done.code == 4
    fingerprint = ssh_fingerprint(STRANGER_KEY.public_key)
    assert done.stderr == f"alknet: the key {fingerprint} is not listed here\n"


async def test_a_node_that_is_not_there_is_no_connection(alice_key):
    with trio.socket.socket() as unused:
        await unused.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{unused.getsockname()[1]}"

        done = await alknet("call", "services/ping", "--node", url, "--identity", alice_key)

    assert done == (3, "", f"alknet: cannot reach {url}: connection refused\n")


async def test_a_node_with_another_key_than_expected_is_denied(ask, node, keyring):
    here = ssh_fingerprint(node_key(keyring))
    there = ssh_fingerprint(STRANGER_KEY.public_key)

    right = await ask("call", "echo/whoami", "--expect", here)
    wrong = await ask("call", "echo/whoami", "--expect", there)

    assert right == (0, '"alice"\n', "")
    assert wrong.code == 4
    assert f"should hold the key {there} and shows {here}" in wrong.stderr


async def test_a_link_that_is_lost_in_mid_call_is_no_connection(node, alice_key):
    async with running("call", "echo/hold", "--node", node.url, "--identity", alice_key) as command:
        await _until(lambda: node.sessions and any(each.inbound for each in node.sessions))
        for session in list(node.sessions):
            session.cancel("the test cuts it")

        done = await command.end()

    assert done.code == 3
    assert done.stderr.startswith("alknet: the link to 127.0.0.1")


async def test_a_stream_is_printed_an_item_a_line(ask):
    done = await ask("watch", "echo/count", '{"to": 5}')

    assert done == (0, "0\n1\n2\n3\n4\n", "")


async def test_watch_refuses_what_is_no_stream(ask):
    done = await ask("watch", "echo/say", '{"text": "once"}')

    assert done.code == 1
    assert "echo/say is a query" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_watching_ends_well_when_interrupted(node, alice_key, number):
    arguments = ("watch", "echo/ticks", "--node", node.url, "--identity", alice_key)
    async with running(*arguments) as command:
        assert await command.line() == "0"

        done = await command.end(number)

    assert done == (0, "", "")


async def test_watching_ends_well_when_its_reader_leaves(node, alice_key):
    arguments = ("watch", "echo/ticks", "--node", node.url, "--identity", alice_key)
    async with running(*arguments) as command:
        assert await command.line() == "0"
        await command.process.stdout.aclose()

        with trio.fail_after(10):
            code = await command.process.wait()
            said = await command.process.stderr.receive_some()

    assert (code, said) == (0, b"")


async def test_watching_a_long_stream_ends_well_when_its_reader_leaves(node, alice_key):
    arguments = ("watch", "echo/count", '{"to": 1000000}')
    async with running(*arguments, "--node", node.url, "--identity", alice_key) as command:
        assert await command.line() == "0"
        await command.process.stdout.aclose()

        with trio.fail_after(10):
            code = await command.process.wait()
            said = await command.process.stderr.receive_some()

    assert (code, said) == (0, b"")


async def test_watching_can_be_interrupted_while_nobody_reads(node, alice_key):
    arguments = ("watch", "echo/count", '{"to": 1000000}')
    async with running(*arguments, "--node", node.url, "--identity", alice_key) as command:
        assert await command.line() == "0"
        command.process.send_signal(signal.SIGINT)

        with trio.fail_after(10):
            code = await command.process.wait()

    assert code == 0


async def test_a_stream_whose_link_is_lost_is_no_connection(node, alice_key):
    arguments = ("watch", "echo/ticks", "--node", node.url, "--identity", alice_key)
    async with running(*arguments) as command:
        assert await command.line() == "0"
        for session in list(node.sessions):
            session.cancel("the test cuts it")

        done = await command.end()

    assert done.code == 3
    assert done.stderr.startswith("alknet: the link to 127.0.0.1")


async def test_an_answer_that_cannot_be_written_is_a_failure(node, alice_key):
    arguments = ("call", "echo/whoami", "--node", node.url, "--identity", alice_key)

    done = await shell('"$@" > /dev/full', *arguments)

    assert done == (1, "", "alknet: no space left on device\n")


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
async def test_closed_standard_descriptors_do_no_harm(node, alice_key, closed):
    arguments = ("call", "echo/whoami", "--node", node.url, "--identity", alice_key)

    done = await shell(f'"$@" {closed}', *arguments)

    assert done == (0, "" if "1>" in closed else '"alice"\n', "")


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "POSIX", "de_DE.ISO-8859-1"])
async def test_the_locale_changes_neither_input_nor_output(ask, locale):
    env = environment(LC_ALL=locale, PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")

    done = await ask("call", "echo/say", '{"text": "grüß dich"}', env=env)

    assert done.code == 0
    assert done.json == "grüß dich"


async def test_nothing_that_a_terminal_would_obey_is_printed(ask):
    done = await ask("call", "echo/say", r'{"text": "\u001b[2J\u009b2J"}')

    assert done == (0, '"\\u001b[2J\\u009b2J"\n', "")


async def _until(is_true):
    with trio.fail_after(10):
        while not is_true():
            await trio.lowlevel.checkpoint()
