"""The access check: one function, compared with an oracle that spells the rules out."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from alknet import Request, Service, handler, operation
from alknet.call.access import refusal, unknown
from alknet.call.operation import OperationSpec
from alknet.errors import Forbidden, NotFound, Unauthenticated
from alknet.identity import AccessRule, Identity
from alknet.protocol.auth import CheckAccess
from alknet.protocol.directory import ListOperations, Schema
from alknet.services.directory import DirectoryService

from ..linked import linked, running
from ..test_identity import IDENTITIES, WORDS

SPECS = st.builds(
    OperationSpec,
    name=st.just("disk/read"),
    kind=st.just("query"),
    visibility=st.sampled_from(["external", "internal"]),
    confidential=st.booleans(),
    access=st.builds(
        AccessRule,
        st.lists(WORDS, max_size=2).map(tuple),
        st.lists(WORDS, max_size=2).map(tuple),
        st.sampled_from([None, "disk"]),
        st.sampled_from(["read", "write"]),
    ),
)


def oracle(spec, identity, *, from_outside, is_private, resource):
    """What the answer has to be, spelt out."""
    rule = spec.access
    if from_outside and spec.visibility == "internal":
        return NotFound
    if spec.confidential and not is_private:
        return Forbidden
    if not rule.all_of and not rule.any_of and rule.resource_type is None:
        return type(None)
    if identity is None:
        return Unauthenticated

    def holds(scope):
        return any(
            granted == scope or (granted[-1:] == "*" and scope[: len(granted) - 1] == granted[:-1])
            for granted in identity.scopes
        )

    allowed = (
        all(map(holds, rule.all_of))
        and (not rule.any_of or any(map(holds, rule.any_of)))
        and (
            rule.resource_type is None
            or "*" in identity.scopes
            or (
                resource is not None
                and rule.resource_action
                in identity.resources.get(f"{rule.resource_type}:{resource}", ())
            )
        )
    )
    return type(None) if allowed else Forbidden


@given(
    SPECS,
    st.none() | IDENTITIES,
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, "1", "2"]),
)
def test_the_check_says_what_the_rules_say(spec, identity, from_outside, is_private, resource):
    given_ = {"from_outside": from_outside, "is_private": is_private, "resource": resource}

    found = refusal(spec, identity, **given_)
    assert type(found) is oracle(spec, identity, **given_)


@given(SPECS, IDENTITIES)
def test_any_resource_will_do_if_and_only_if_there_is_one_that_would(spec, identity):
    some = refusal(spec, identity, some_resource=True)
    each = [refusal(spec, identity, resource=resource) for resource in ("1", "2")]

    assert (some is None) == (None in each)


@given(SPECS, IDENTITIES, st.frozensets(WORDS, max_size=2))
def test_one_more_scope_never_takes_a_right_away(spec, identity, more):
    richer = Identity(identity.id, identity.scopes | more, identity.resources)

    if refusal(spec, identity, resource="1") is None:
        assert refusal(spec, richer, resource="1") is None


@pytest.mark.parametrize(
    ("rule", "identity", "words"),
    [
        (
            AccessRule(all_of=("a", "b")),
            Identity("ann", frozenset({"a"})),
            "'ann' may not call disk/read: the scope 'b' is missing",
        ),
        (
            AccessRule(any_of=("a", "b")),
            Identity("ann"),
            "'ann' may not call disk/read: one of the scopes 'a', 'b' is missing",
        ),
        (
            AccessRule(resource_type="disk", resource_action="read"),
            Identity("ann", frozenset(), {"disk:2": frozenset({"read"})}),
            "'ann' may not call disk/read: the right to 'read' on 'disk:1' is missing",
        ),
        (
            AccessRule(all_of=("a",)),
            None,
            "disk/read wants to know who calls: authenticate first",
        ),
    ],
)
def test_a_refusal_names_the_first_thing_that_is_missing(rule, identity, words):
    spec = OperationSpec(name="disk/read", kind="query", access=rule)

    assert str(refusal(spec, identity, resource="1")) == words


def test_an_internal_operation_and_none_at_all_are_told_apart_by_nothing():
    spec = OperationSpec(name="disk/read", kind="query", visibility="internal")
    hidden, missing = refusal(spec, Identity("ann", frozenset({"*"}))), unknown("disk/read")

    assert (type(hidden), str(hidden), hidden.details) == (
        type(missing),
        str(missing),
        missing.details,
    )


# Discovery and dispatch agree.


@operation("disk/open")
class Open(Request[None], frozen=True):
    """Anybody may."""


@operation("disk/hidden", visibility="internal")
class Hidden(Request[None], frozen=True):
    """Nobody from outside may."""


@operation("disk/both", scopes=("a", "b"))
class Both(Request[None], frozen=True):
    """Who holds a and b may."""


@operation("disk/either", any_scopes=("a:b", "b:c"))
class Either(Request[None], frozen=True):
    """Who holds one of two may."""


@operation("disk/private", confidential=True)
class Private(Request[None], frozen=True):
    """Who cannot be overheard may."""


@operation("disk/write", scopes=("a",), resource=("disk", "write"), resource_id="/disk")
class Write(Request[None], frozen=True):
    """Who holds a and may write to that disk may."""

    disk: str = "1"


REQUESTS = (Open, Hidden, Both, Either, Private, Write)


class Disk(Service, namespace="disk"):
    @handler
    async def open(self, _: Open) -> None: ...

    @handler(concurrent=True)
    def hidden(self, _: Hidden) -> None: ...

    @handler
    async def both(self, _: Both) -> None: ...

    @handler(concurrent=True)
    async def either(self, _: Either) -> None: ...

    @handler
    def private(self, _: Private) -> None: ...

    @handler
    async def write(self, _: Write) -> None: ...


async def allowed(call):
    """Whether the call is let in; anything else than a refusal is."""
    try:
        await call
    except (NotFound, Forbidden, Unauthenticated):
        return False
    return True


@given(st.none() | IDENTITIES, st.booleans())
def test_an_operation_is_listed_if_and_only_if_it_could_be_called(identity, is_private):
    async def main():
        async with running(Disk()) as dispatcher:
            directory = DirectoryService(dispatcher)
            async with running(directory) as other:
                dispatcher.registry.add(other.registry)
                async with linked(
                    dispatcher, identity=identity, is_confidential=is_private
                ) as link:
                    listed = {
                        each.name
                        for each in (await link.client.call(ListOperations())).operations
                        if each.namespace == "disk"
                    }
                    described = {
                        request.__operation__.name
                        for request in REQUESTS
                        if await allowed(link.client.call(Schema(request.__operation__.name)))
                    }
                    callable_ = {
                        request.__operation__.name
                        for request in REQUESTS
                        if await allowed(link.client.invoke(f"/{request.__operation__.name}"))
                    }
                    # Some disk that the caller may write to is enough to be shown the operation.
                    if await allowed(link.client.invoke("/disk/write", {"disk": "2"})):
                        callable_.add("disk/write")

                    assert listed == callable_
                    assert described == callable_

    trio.run(main)


async def test_a_question_about_somebody_else_gets_the_same_answer(node):
    """CheckAccess goes through the same check as the call it asks about."""
    client = node.client
    for scopes in (frozenset(), frozenset({"echo:shout"}), frozenset({"echo:*"})):
        identity = Identity("ann", scopes)
        for name in ("echo/shout", "echo/say", "echo/secret"):
            decision = await client.call(CheckAccess(identity, name))
            spec = node.dispatcher.registry.find(name).spec
            assert decision.allowed == (refusal(spec, identity) is None)
            assert (decision.why is None) == decision.allowed
