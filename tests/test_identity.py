"""Identities: what is granted, and what is left when one speaks for another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alknet.identity import AccessRule, Identity

WORDS = st.sampled_from(["a", "a:b", "a:c", "b", "b:c", "ab"])
GRANTS = st.frozensets(WORDS | st.sampled_from(["*", "a*", "a:*", "a:b*", "b:*"]), max_size=4)
RESOURCES = st.dictionaries(
    st.sampled_from(["disk:1", "disk:2", "net:1"]),
    st.frozensets(st.sampled_from(["read", "write"]), max_size=2),
    max_size=3,
)
IDENTITIES = st.builds(
    Identity,
    st.sampled_from(["ann", "bob"]),
    GRANTS,
    RESOURCES,
    denied=st.frozensets(st.sampled_from(["a:*", "a:b", "b", "b:c*"]), max_size=1),
)


def may(identity, resource, action):
    """Whether the identity may do the action with the resource, as the access check has it."""
    return identity.has("*") or action in identity.resources.get(resource, ())


@pytest.mark.parametrize(
    ("granted", "scope", "is_held"),
    [
        ("secrets:derive", "secrets:derive", True),
        ("secrets:derive", "secrets:derived", False),
        ("secrets:*", "secrets:derive", True),
        ("secrets:*", "secrets:*", True),
        ("secrets:*", "secrets", False),
        ("secrets:*", "secretsx:derive", False),
        ("secrets:de*", "secrets:*", False),
        ("secrets:*", "secrets:de*", True),
        ("*", "anything at all", True),
        ("*", "*", True),
        ("a*b", "axb", False),
        ("", "", True),
    ],
)
def test_a_granted_scope_covers_itself_and_under_a_star_what_begins_so(granted, scope, is_held):
    assert Identity("x", frozenset({granted})).has(scope) is is_held


@pytest.mark.parametrize(
    ("denied", "scope", "is_held"),
    [
        ("secrets:derive", "secrets:derive", False),
        ("secrets:derive", "secrets:sign", True),
        ("secrets:d*", "secrets:derive", False),
        # Who asks for all of them asks for the denied one too.
        ("secrets:derive", "secrets:*", False),
        ("secrets:derive", "*", False),
        ("secrets:derive", "storage:*", True),
    ],
)
def test_a_denied_scope_is_not_held_whatever_is_granted(denied, scope, is_held):
    for granted in ({"*"}, {"*", "secrets:derive", scope}):
        identity = Identity("x", frozenset(granted), denied=frozenset({denied}))
        assert identity.has(scope) is is_held


def test_nobody_holds_a_scope_that_was_not_granted():
    assert not Identity("x").has("a")
    assert not Identity("x").has("*")


@given(IDENTITIES, IDENTITIES, WORDS)
def test_narrowed_holds_a_scope_if_and_only_if_both_do(ann, bob, scope):
    assert ann.narrowed_to(bob).has(scope) == (ann.has(scope) and bob.has(scope))


@given(
    IDENTITIES,
    IDENTITIES,
    st.sampled_from(["disk:1", "disk:2"]),
    st.sampled_from(["read", "write"]),
)
def test_narrowed_may_use_a_resource_if_and_only_if_both_may(ann, bob, resource, action):
    narrowed = ann.narrowed_to(bob)

    assert may(narrowed, resource, action) == (
        may(ann, resource, action) and may(bob, resource, action)
    )


@given(IDENTITIES, IDENTITIES, WORDS)
def test_narrowing_is_named_after_the_other_and_repeating_it_changes_nothing(ann, bob, scope):
    narrowed = ann.narrowed_to(bob)

    assert narrowed.id == bob.id
    assert ann.narrowed_to(narrowed).has(scope) == narrowed.has(scope)
    assert bob.narrowed_to(ann).has(scope) == narrowed.has(scope)


@given(IDENTITIES, WORDS)
def test_narrowing_by_oneself_keeps_everything_and_by_nobody_nothing(ann, scope):
    assert ann.narrowed_to(ann).has(scope) == ann.has(scope)
    assert not ann.narrowed_to(Identity("nobody")).has(scope)
    assert not Identity("nobody").narrowed_to(ann).has(scope)


@pytest.mark.parametrize(
    ("rule", "is_open"),
    [
        (AccessRule(), True),
        (AccessRule(all_of=("a",)), False),
        (AccessRule(any_of=("a",)), False),
        (AccessRule(resource_type="disk", resource_action="read"), False),
    ],
)
def test_a_rule_is_open_only_if_it_asks_nothing(rule, is_open):
    assert rule.is_open is is_open


@pytest.mark.parametrize(
    ("own", "others", "both"),
    [
        (None, None, None),
        ({"a/b"}, None, {"a/b"}),
        (None, {"a/b"}, {"a/b"}),
        ({"a/b", "a/c"}, {"a/c", "a/d"}, {"a/c"}),
        ({"a/b"}, {"a/c"}, set()),
    ],
)
@pytest.mark.parametrize("tenant", ["", "t"])
def test_what_either_is_held_to_holds_for_both(own, others, both, tenant):
    def held(name, only, tenant=""):
        only = None if only is None else frozenset(only)
        return Identity(name, frozenset({"*"}), tenant=tenant, only=only, forwards=only)

    narrowed = held("head", own, tenant).narrowed_to(held("ann", others))

    assert narrowed.only == narrowed.forwards == (None if both is None else frozenset(both))
