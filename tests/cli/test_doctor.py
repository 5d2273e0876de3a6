"""`alknet doctor`: what could trouble a node is found, and how to mend it is said."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alknet import Settings, open_node
from alknet.cli.doctor import files, machine
from alknet.cli.doctor.finding import State
from alknet.keys import Keyring, ssh_fingerprint
from alknet.settings import TlsSettings

from ..people import PHRASE, node_key, node_settings
from .command import alknet, environment

FINE, WARNING, BAD = State


async def doctor(folder, *arguments, **changes):
    """Run it in *folder*; return its exit code and its findings by what was looked at."""
    done = await alknet("doctor", "--json", *arguments, cwd=folder, env=environment(**changes))
    assert done.stderr == ""
    found = {}
    for each in done.json:
        found.setdefault(each["check"], []).append((each["state"], each["what"], each["mend"]))
    return done.code, found


def worst(findings):
    return max((state for state, _, _ in findings), key=list(State).index)


async def test_a_new_node_is_well(stack):
    code, found = await doctor(stack)

    assert code == 0
    assert list(found) == ["settings", "files", "ports", "disk", "clock", "mlock", "core dumps"]
    assert worst(found["settings"]) == worst(found["files"]) == worst(found["ports"]) == "fine"
    assert all(mend for of in found.values() for state, _, mend in of if state == "bad")


async def test_a_person_gets_a_table(stack):
    done = await alknet("doctor", cwd=stack)

    title, *lines = done.stdout.splitlines()
    assert title.split()[:2] == ["check", "state"]
    assert any(line.split()[:2] == ["settings", "fine"] for line in lines)


async def test_settings_with_a_fault_are_named_with_their_line(stack):
    path = stack / "stack.toml"
    path.write_text(path.read_text() + "\n[nodes]\n")
    code, found = await doctor(stack)

    assert code == 1
    ((state, what, _),) = found["settings"]
    assert state == "bad"
    assert what.startswith(f"stack.toml:{len(path.read_text().splitlines())}: nodes: there is no")
    assert "disk" in found


@pytest.mark.parametrize(
    ("name", "mode", "mend"),
    [
        ("stack.toml", 0o620, "chmod go-w stack.toml"),
        ("operator.key", 0o640, "chmod go-rwx operator.key"),
        ("alknet.db", 0o604, "chmod go-rwx alknet.db"),
    ],
)
async def test_a_file_that_others_can_use_is_found(stack, name, mode, mend):
    (stack / name).touch()
    (stack / name).chmod(mode)
    code, found = await doctor(stack)

    assert code == 1
    assert [each[2] for each in found["files"] if each[0] == "bad"] == [mend]


async def test_a_folder_in_which_others_can_replace_files_is_found(stack):
    stack.chmod(0o777)
    code, found = await doctor(stack)
    stack.chmod(0o700)

    assert (code, worst(found["files"])) == (0, "warning")


async def test_a_database_whose_folder_is_missing_is_found(stack):
    code, found = await doctor(stack, ALKNET__STORAGE__PATH="nowhere/alknet.db")

    assert code == 1
    assert "mkdir -p nowhere" in next(each for each in found["files"] if each[0] == "bad")[2]
    assert worst(found["disk"]) == "bad"


async def test_an_address_that_is_taken_or_not_of_this_machine_is_found(stack, keyring):
    async with open_node(node_settings(), keyring=keyring) as node:
        listen = f'["{node.url}", "tcp://192.0.2.1:1", "ws://0.0.0.0:0", "wss://127.0.0.1:0"]'
        code, found = await doctor(stack, ALKNET__NODE__LISTEN=listen)

    assert code == 1
    taken, foreign, clear, fine = found["ports"]
    assert (taken[0], "is in use already" in taken[1]) == ("warning", True)
    assert (foreign[0], "cannot listen at tcp://192.0.2.1:1" in foreign[1]) == ("bad", True)
    assert (clear[0], "others on the network can read" in clear[1]) == ("warning", True)
    assert fine[0] == "fine"


async def test_nodes_that_this_one_needs_are_dialled(stack, keyring):
    pin = ssh_fingerprint(node_key(keyring))
    made = node_settings(listen=("ws://127.0.0.1:0", "tls://127.0.0.1:0"))
    strict = Settings(
        node=made.node, services=made.services, tls=TlsSettings(client_certificates=True)
    )
    async with open_node(made, keyring=keyring) as node:
        ws, tls = node.urls
        wrong = "SHA256:" + "A" * 43
        joins = (
            f'[{{urls = ["{ws}", "{tls}"], expect = "{pin}"}}, '
            f'{{urls = ["{ws}"], expect = "{wrong}"}}, {{urls = ["tls://127.0.0.1:1"]}}]'
        )
        changes = {"ALKNET__NODE__JOINS": joins, "ALKNET__AUTH__REMOTE": tls}
        code, found = await doctor(stack, **changes)
    async with open_node(strict, keyring=Keyring.from_mnemonic(PHRASE)) as node:
        joins = f'[{{urls = ["{node.urls[1]}"], expect = "{pin}"}}]'
        _, shy = await doctor(stack, ALKNET__NODE__JOINS=joins)

    assert code == 1
    by_ws, by_tls, other, nowhere, unpinned = found["nodes"]
    assert by_ws == ("fine", f"'head' answers at {ws} (a head of this node)", "")
    assert by_tls[0] == "fine"
    assert (other[0], f"should hold the key {wrong}" in other[1]) == ("bad", True)
    assert (nowhere[0], "cannot reach tls://127.0.0.1:1" in nowhere[1]) == ("warning", True)
    assert (unpinned[0], "which [auth] asks" in unpinned[1]) == ("bad", True)
    assert [each[0] for each in shy["nodes"]] == ["fine"]
    assert "wants a certificate" in shy["nodes"][0][1]


async def test_a_certificate_that_cannot_be_used_is_found(stack):
    (stack / "chain.pem").write_text("nonsense")
    (stack / "key.pem").touch(0o600)
    pair = '{certificates = [{chain = "chain.pem", key = "key.pem"}]}'
    code, found = await doctor(stack, ALKNET__TLS=pair)

    assert (code, worst(found["tls"])) == (1, "bad")


# What depends on the machine, as a table.

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("begins", "ends", "state", "words"),
    [
        (-10, 90, FINE, "is valid for 90 days"),
        (-10, 10, WARNING, "is valid for 10 days"),
        (-10, -3, BAD, "expired 3 days ago"),
        (1, 90, BAD, "is not valid yet"),
    ],
)
def test_what_the_time_of_a_certificate_means(begins, ends, state, words):
    times = [(NOW + timedelta(days=days)).timestamp() for days in (begins, ends)]
    found = files.judge_certificate(Path("chain.pem"), *times, now=NOW.timestamp())

    assert (found.state, words in found.what) == (state, True)
    assert bool(found.mend) is (state is not FINE)


@pytest.mark.parametrize(("free", "state"), [(5000, FINE), (500, WARNING), (63, BAD), (0, BAD)])
def test_what_the_room_on_a_disk_means(free, state):
    assert files.judge_disk(Path(), free).state is state


@pytest.mark.parametrize(("returned", "state"), [(0, FINE), (1, FINE), (5, WARNING), (-1, WARNING)])
def test_what_the_kernel_says_of_the_clock(returned, state):
    assert machine.judge_clock(returned).state is state


@pytest.mark.parametrize(
    ("locked", "has_swap", "state"),
    [(True, True, FINE), (True, False, FINE), (False, False, WARNING), (False, True, BAD)],
)
def test_secrets_that_could_be_swapped_are_a_reason_not_to_start(locked, has_swap, state):
    found = machine.judge_memory(locked, "no permission", 65536, has_swap=has_swap)

    assert found.state is state
    assert ("64 KiB" in found.what) is locked
    assert ("no permission" in found.what) is not locked


@pytest.mark.parametrize(("limit", "state"), [(0, FINE), (-1, WARNING), (1024, WARNING)])
def test_what_a_limit_on_cores_means(limit, state):
    assert machine.judge_core_dumps(limit).state is state
