"""The access check: one function, compared with an oracle that spells the rules out."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alknet import Operation, Operations, Request, Service, handler, operation
from alknet.call.access import refusal, unknown
from alknet.call.operation import OperationSpec
from alknet.errors import Forbidden, NotFound, Unauthenticated
from alknet.identity import AccessRule, Identity
from alknet.protocol.auth import CheckAccess
from alknet.protocol.directory import ListOperations, Schema
from alknet.services.directory import DirectoryService
from alknet.testing import node as run

from .. import orphans
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

    def names(words, scope):
        return any(
            word == scope or (word[-1:] == "*" and scope[: len(word) - 1] == word[:-1])
            for word in words
        )

    def holds(scope):
        return names(identity.scopes, scope) and not names(identity.denied, scope)

    allowed = (
        all(map(holds, rule.all_of))
        and (not rule.any_of or any(map(holds, rule.any_of)))
        and (
            rule.resource_type is None
            or ("*" in identity.scopes and not identity.denied)
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

    orphans.run(main)


@st.composite
def _offers(draw):
    """Operations with any rule, each with a name of its own."""
    specs = draw(st.lists(SPECS, min_size=1, max_size=5))
    return [
        msgspec.structs.replace(
            spec,
            name=f"made/{number}",
            kind=draw(st.sampled_from(["query", "subscription"])),
            resource_id=None if spec.access.resource_type is None else "/disk",
        )
        for number, spec in enumerate(specs)
    ]


class Makers:
    """Who made a disk may do anything with it."""

    def __init__(self, makers):
        self.makers = makers

    def owns(self, identity, kind, resource, action):
        return self.makers.get(resource) == identity.id

    def owns_any(self, identity, kind, action):
        return identity.id in self.makers.values()


async def answer_once(input):
    yield "item"


def made(spec):
    streams = spec.kind == "subscription"
    return Operation(spec, answer_once if streams else lambda input: "answer")


async def invoke(client, spec, **input):
    if spec.kind == "query":
        await client.invoke(f"/{spec.name}", input)
        return
    async with client.invoke_stream(f"/{spec.name}", input) as items:
        await anext(items)


@settings(deadline=None)  # the first node of a process takes its time
@given(
    _offers(),
    st.none() | IDENTITIES,
    st.booleans(),
    st.dictionaries(st.sampled_from(["1", "2"]), st.sampled_from(["ann", "bob"])),
)
def test_any_operation_is_listed_described_and_affirmed_if_and_only_if_it_could_be_called(
    specs, identity, is_private, makers
):
    """Whatever its rule and whoever asks: near, far, and asked about by somebody else."""

    async def main():
        async with run([Operations("made", map(made, specs))]) as node:
            home = node.dispatcher
            home.ownership.provide("disk", Makers(makers))
            async with linked(home, identity=identity, is_confidential=is_private) as link:
                for client in (link.client, home.client(identity)):
                    listed = {
                        each.name for each in (await client.call(ListOperations())).operations
                    }
                    for spec in specs:
                        could = [
                            await allowed(invoke(client, spec, disk=disk)) for disk in ("1", "2")
                        ]
                        assert (spec.name in listed) == any(could)
                        assert await allowed(client.call(Schema(spec.name))) == any(could)
                        if identity is None or client is not link.client or not is_private:
                            continue
                        question = CheckAccess(identity, spec.name)
                        assert (await node.client.call(question)).allowed == any(could)
                        for disk, may in zip(("1", "2"), could, strict=True):
                            about = msgspec.structs.replace(question, resource=disk)
                            decision = await node.client.call(about)
                            assert (decision.allowed, decision.why is None) == (may, may)

    orphans.run(main)


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
