"""Request types: one line names the operation, and a line that cannot be right is refused."""

import pickle

import msgspec
import pytest

from alknet.protocol import auth, config, directory, secret
from alknet.protocol.request import (
    AnyRequest,
    Duplex,
    Request,
    Subscription,
    Upload,
    operation,
    signature,
)


class Ask(Request[int], frozen=True):
    """Ask."""

    disk: str = ""


class Listen(Subscription[str], frozen=True):
    """Listen."""


class Put(Upload[bytes, int], frozen=True):
    """Put."""


class Talk(Duplex[str, bytes], frozen=True):
    """Talk."""


@pytest.mark.parametrize(
    ("request_type", "shape", "types"),
    [
        (Ask, Request, (int,)),
        (Listen, Subscription, (str,)),
        (Put, Upload, (bytes, int)),
        (Talk, Duplex, (str, bytes)),
    ],
)
def test_the_base_says_what_goes_and_what_comes(request_type, shape, types):
    assert signature(request_type) == (shape, types)


@pytest.mark.parametrize(
    ("request_type", "kind", "is_idempotent"),
    [
        (Ask, "query", True),
        (Listen, "subscription", False),
        (Put, "upload", False),
        (Talk, "duplex", False),
    ],
)
def test_the_kind_follows_from_the_shape(request_type, kind, is_idempotent):
    declared = operation("disk/do")(request_type).__operation__

    assert declared.name == "disk/do"
    assert declared.namespace == "disk"
    assert declared.kind == kind
    assert declared.idempotent is is_idempotent
    assert declared.access.is_open


def test_a_mutation_is_idempotent_only_if_it_says_so():
    assert not operation("disk/do", kind="mutation")(Ask).__operation__.idempotent
    assert operation("disk/do", kind="mutation", idempotent=True)(Ask).__operation__.idempotent


@pytest.mark.parametrize(
    ("request_type", "options", "words"),
    [
        (Ask, {"kind": "subscription"}, "Ask is a Request, which is a query or mutation, not a"),
        (Listen, {"kind": "query"}, "Listen is a Subscription, which is a subscription, not a"),
        (Ask, {"name": "disk"}, "operation 'disk' must read namespace/verb"),
        (Ask, {"name": "/do"}, "operation '/do' must read namespace/verb"),
        (Ask, {"name": "disk/"}, "operation 'disk/' must read namespace/verb"),
        (Ask, {"name": ""}, "operation '' must read namespace/verb"),
        (Ask, {"resource": ("disk", "read")}, "give both `resource` and `resource_id`, or neither"),
        (Ask, {"resource_id": "/disk"}, "give both `resource` and `resource_id`, or neither"),
        (
            Ask,
            {"resource": ("disk", "read"), "resource_id": "/dsik"},
            "Ask: `resource_id` '/dsik' should be '/' and one of its fields: disk",
        ),
        (
            Ask,
            {"resource": ("disk", "read"), "resource_id": "disk"},
            "Ask: `resource_id` 'disk' should be '/' and one of its fields: disk",
        ),
    ],
)
def test_a_declaration_that_cannot_be_right_is_refused(request_type, options, words):
    with pytest.raises(TypeError) as caught:
        operation(**{"name": "disk/do", **options})(request_type)
    assert words in str(caught.value)


def test_a_type_of_no_shape_is_refused():
    class Bare(Request, frozen=True):
        """No reply type."""

    for request_type in (Bare, AnyRequest):
        with pytest.raises(TypeError, match=r"must derive from Request\[Reply\], Subscription"):
            operation("disk/do")(request_type)


# The requests of the project itself.

REQUESTS = [
    value
    for module in (auth, config, directory, secret)
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, AnyRequest) and "__operation__" in vars(value)
]


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (
            secret,
            "DeriveEd25519 DeriveEncryptionKey DeriveEthereumKey DerivePassword Encrypt Decrypt "
            "Lock Unlock",
        ),
        (auth, "VerifyPubkey VerifyToken ReloadKeys CheckAccess"),
        (config, "GetForwardingPolicy GetRateLimits ReloadForwarding ReloadRateLimits"),
    ],
)
def test_every_variant_of_the_mission_is_there(module, expected):
    for name in expected.split():
        assert getattr(module, name) in REQUESTS


@pytest.mark.parametrize("request_type", REQUESTS, ids=lambda each: each.__name__)
def test_every_request_is_documented_named_and_strict(request_type):
    declared = request_type.__operation__

    assert request_type.__doc__
    assert declared.name == declared.name.lower()
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({"no such field": 1}, request_type, strict=True)


def test_no_two_requests_have_one_name():
    names = [request_type.__operation__.name for request_type in REQUESTS]

    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize(
    "value",
    [
        secret.Unlock(phrase="hunter2 hunter2", passphrase="hunter2"),
        secret.Encrypt(data=b"hunter2"),
        secret.Plaintext(data=b"hunter2"),
        secret.Password(password="hunter2"),
        auth.VerifyToken(token="hunter2"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_holds_a_secret_prints_none(value):
    for text in (repr(value), str(value), f"{value}", repr([value]), repr({"request": value})):
        assert "hunter2" not in text


@pytest.mark.parametrize("request_type", [secret.Unlock, secret.DerivePassword, auth.VerifyToken])
def test_what_carries_a_secret_is_confidential(request_type):
    assert request_type.__operation__.confidential


def test_no_request_brings_a_private_key_out():
    assert not [name for name in vars(secret) if "private" in name.lower()]


def test_a_request_is_a_value():
    one = secret.DeriveEd25519("m/0'")

    assert one == secret.DeriveEd25519("m/0'")
    assert hash(one) == hash(secret.DeriveEd25519("m/0'"))
    assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(AttributeError):
        one.path = "m/1'"
