"""Lines of authorized_keys: every option is honoured or refused, none is passed over."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alknet.errors import BadKey
from alknet.services.auth.authorized_keys import AuthorizedKey, read_file
from alknet.services.auth.sources import Sources

from ..people import ALICE_KEY, WORKER_KEY
from .keys import line_of

LINE = line_of(ALICE_KEY, "")
VECTORS = Path(__file__).parent.parent / "vectors" / "ssh_certificates.json"
AUTHORITIES = json.loads(VECTORS.read_text())["authorities"]


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ("", {}),
        ("no-pty ", {}),
        ("no-pty,no-X11-forwarding,No-Agent-Forwarding,no-user-rc ", {}),
        ('command="/head/secrets/derive" ', {"command": "secrets/derive"}),
        ('command="secrets/derive" ', {"command": "secrets/derive"}),
        ('COMMAND="/worker-1/echo/say"\t', {"command": "echo/say"}),
        (
            'from="10.0.0.0/8,!10.1.*,::1" ',
            {"sources": Sources(("10.0.0.0/8", "::1"), ("10.1.*",))},
        ),
        (
            'expiry-time="20300101Z" ',
            {"expires": datetime(2030, 1, 1, tzinfo=UTC).timestamp()},
        ),
        (
            'expiry-time="20300101123456Z" ',
            {"expires": datetime(2030, 1, 1, 12, 34, 56, tzinfo=UTC).timestamp()},
        ),
        (
            'expiry-time="203001011234" ',
            {"expires": time.mktime((2030, 1, 1, 12, 34, 0, 0, 0, -1))},
        ),
        ("cert-authority ", {"is_authority": True}),
        ("no-port-forwarding ", {"may_forward": False}),
        ("restrict ", {"may_forward": False}),
        ("restrict,port-forwarding ", {}),
        (
            'permitopen="db:5432",permitopen="10.0.0.1:*" ',
            {"permitted": frozenset({"db:5432", "10.0.0.1:*"})},
        ),
        (
            'permitopen="db:5432",restrict ',
            {"may_forward": False, "permitted": frozenset({"db:5432"})},
        ),
        (
            'principals="ops, dev",cert-authority ',
            {"is_authority": True, "principals": frozenset({"ops", "dev"})},
        ),
    ],
)
def test_an_option_is_honoured(options, fields):
    key = AuthorizedKey.parse(f"{options}{LINE} a comment, with words")

    assert key == AuthorizedKey(**{"blob": key.blob, **fields})
    assert key.public_key == ALICE_KEY.public_key


@pytest.mark.parametrize(
    ("options", "forwards"),
    [
        ("", None),
        ("no-port-forwarding ", set()),
        ('permitopen="db:5432" ', {"db:5432"}),
        ('restrict,permitopen="db:5432" ', set()),
        ('restrict,port-forwarding,permitopen="db:5432" ', {"db:5432"}),
    ],
)
def test_a_line_says_where_connections_may_be_forwarded(options, forwards):
    assert AuthorizedKey.parse(options + LINE).forwards == forwards


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"no-pty,pty {LINE}", "the option 'pty' cannot be honoured here"),
        (f'permitopen="nowhere" {LINE}', "permitopen: the target 'nowhere' should read host:port"),
        (f"restrict,restrict {LINE}", "the option 'restrict' stands twice"),
        (f'environment="A=1" {LINE}', "the option 'environment' cannot be honoured"),
        (f"no-touch-required {LINE}", "the option 'no-touch-required' cannot be honoured"),
        (f"frobnicate {LINE}", "the option 'frobnicate' cannot be honoured"),
        (f'no-pty="yes" {LINE}', "the option 'no-pty' cannot be honoured"),
        (f"command {LINE}", "the option 'command' cannot be honoured"),
        (f'command="/bin/sh -c \\"rm\\"" {LINE}', "is no operation: a key can be held to one"),
        (f'command="" {LINE}', "is no operation"),
        (f'from="" {LINE}', "'' is no address"),
        (f'from="*.example.com" {LINE}', "names are not looked up"),
        (f'from="10.0.0.1/8" {LINE}', "'10.0.0.1/8' is no address, CIDR block or pattern"),
        (f'expiry-time="soon" {LINE}', "should read YYYYMMDD"),
        (f'expiry-time="20301301" {LINE}', "should read YYYYMMDD"),
        (f'expiry-time="20300101123" {LINE}', "should read YYYYMMDD"),
        (f'principals="ops" {LINE}', "needs cert-authority beside it"),
        (f'cert-authority,principals="a,,b" {LINE}', "lists an empty name"),
        (f"no-pty,no-pty {LINE}", "the option 'no-pty' stands twice"),
        (f"no-pty , no-user-rc {LINE}", "no ssh key follows the options"),
        ('command="unclosed ssh-ed25519 AAAA', "this is no line of authorized_keys"),
        ("no-pty", "this is no line of authorized_keys"),
        (f'command="/bin/sh" {LINE}', "is no operation"),
        ("", "this is no line of authorized_keys"),
        ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB", "a peer's key is an ssh-ed25519 key, and this is"),
        (AUTHORITIES["ec"], "a peer's key is an ssh-ed25519 key"),
        ("cert-authority ssh-rsa AAAA", "the key of the authority, ssh-rsa, cannot be read"),
        ("cert-authority ssh-rsa", "the key of the authority, ssh-rsa, cannot be read"),
        ("cert-authority ssh-dss AAAA", "the key of the authority, ssh-dss, cannot be read or is"),
    ],
)
def test_what_cannot_be_honoured_is_refused(line, words):
    with pytest.raises(BadKey) as caught:
        AuthorizedKey.parse(line)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", AUTHORITIES)
def test_an_authority_may_have_a_key_of_another_kind(name):
    key = AuthorizedKey.parse(f"cert-authority {AUTHORITIES[name]}")

    assert key.is_authority
    assert key.blob[4:].startswith((b"ssh-ed25519", b"ssh-rsa", b"ecdsa-sha2-nistp256"))


def test_a_file_may_have_blank_lines_and_comments(tmp_path):
    path = tmp_path / "authorized_keys"
    path.write_text(f"# ops\n\n  {LINE}\n\t# end\nno-pty {line_of(WORKER_KEY)}\n")

    keys = [key.public_key for key in read_file(path)]
    assert keys == [ALICE_KEY.public_key, WORKER_KEY.public_key]


@pytest.mark.parametrize(
    ("patterns", "address", "is_in"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.0/8", "10.9.9.9", True),
        ("10.0.*", "10.0.3.4", True),
        ("10.0.?.1", "10.0.3.1", True),
        ("10.0.?.1", "10.0.33.1", False),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("2001:DB8::/32", "2001:db8::1", True),
        ("2001:DB8:*", "2001:db8::1", True),
        ("fe80::/10", "fe80::1%eth0", True),
        ("10.0.0.0/8,!10.1.0.0/16", "10.1.0.1", False),
        ("!10.1.0.0/16,10.0.0.0/8", "10.1.0.1", False),
        ("!10.1.0.0/16", "192.0.2.1", False),
        ("*", "192.0.2.1", True),
        ("*", None, False),
        ("*", "memory", False),
        ("*", "", False),
    ],
)
def test_which_addresses_a_list_is_of(patterns, address, is_in):
    assert Sources.parse(patterns).include(address) is is_in


@pytest.mark.parametrize("text", ["!10.0.0.1", "10.0.*", "10.0.0.1/8", "", "10.0.0.1,"])
def test_a_list_of_blocks_has_no_patterns(text):
    with pytest.raises(BadKey):
        Sources.parse(text, are_blocks=True)
