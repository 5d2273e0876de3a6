"""The forwarding policy: the first rule that matches decides, and says why."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alknet.errors import InvalidInput
from alknet.protocol.forwarding import Decision, ForwardingPolicy, ForwardingRule, decide


def allows(target, host, port, **asked):
    """Whether a single rule that allows *target* lets *host* and *port* through."""
    return decide(ForwardingPolicy("deny", (ForwardingRule(target, "allow"),)), host, port, **asked)


@pytest.mark.parametrize(
    "target",
    [
        "db.internal:5432",
        "*:*",
        "*.internal:80",
        "a*b:1-65535",
        "10.0.0.1:22",
        "10.0.0.0/8:*",
        "[::1]:80",
        "[2001:db8::]/32:443",
        "host_name:8000-8999",
    ],
)
def test_a_target_that_can_be_matched_against_is_taken(target):
    assert ForwardingRule(target, "allow").target == target


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("", "should read host:port"),
        ("host", "should read host:port"),
        ("host:", "should read host:port"),
        (":80", "should read host:port"),
        ("host:http", "should read host:port"),
        ("::1:80", "should read host:port"),
        ("host:80:81", "should read host:port"),
        ("a*b*c:80", "has a bad host name; one '*' may stand for any part of it"),
        ("ho st:80", "has a bad host name"),
        ("10.0.0.0/33:80", "has a bad block of addresses"),
        ("10.0.0.1/8:80", "has a bad block of addresses"),
        ("[nonsense]:80", "has a bad block of addresses"),
        ("10.0.*:80", "has neither a name nor an address; a block is written as in"),
        ("10.0.0.256:80", "has neither a name nor an address"),
        ("*1:80", "has neither a name nor an address"),
        ("host:0", "has ports out of order or above 65535"),
        ("host:65536", "has ports out of order or above 65535"),
        ("host:90-80", "has ports out of order or above 65535"),
        ("host:0-80", "has ports out of order or above 65535"),
    ],
)
def test_a_target_that_could_not_is_refused_and_says_why(target, words):
    with pytest.raises(InvalidInput) as caught:
        ForwardingRule(target, "allow")
    assert str(caught.value).startswith(f"the target {target!r} {words}")


@pytest.mark.parametrize(
    ("target", "host", "port", "address", "matches"),
    [
        # Names.
        ("db.internal:5432", "db.internal", 5432, "10.0.0.1", True),
        ("db.internal:5432", "DB.Internal.", 5432, "10.0.0.1", True),
        ("db.internal:5432", "db.internal", 5433, "10.0.0.1", False),
        ("db.internal:5432", "xdb.internal", 5432, "10.0.0.1", False),
        ("db.internal:5432", "db.internal.evil.example", 5432, "10.0.0.1", False),
        ("*.internal:80", "a.b.internal", 80, "10.0.0.1", True),
        ("*.internal:80", "internal", 80, "10.0.0.1", False),
        ("a*b:80", "ab", 80, "10.0.0.1", True),
        ("aba*aba:80", "aba", 80, "10.0.0.1", False),
        ("*:80", "anything.at.all", 80, None, True),
        ("*:80", "10.0.0.1", 80, None, True),
        ("*:80", "::1", 80, None, True),
        # A star within a name never stands for an address.
        ("f*:80", "fd00::1", 80, None, False),
        ("f*:80", "fd00", 80, "fd00::1", True),
        # Addresses, however they are written.
        ("10.0.0.1:22", "10.0.0.1", 22, None, True),
        ("10.0.0.1:22", "::ffff:10.0.0.1", 22, None, True),
        ("10.0.0.1:22", "64:ff9b::a00:1", 22, None, True),
        ("10.0.0.1:22", "10.0.0.2", 22, None, False),
        ("[::1]:22", "0:0:0:0:0:0:0:1", 22, None, True),
        ("[::1]:22", "[::1]", 22, None, True),
        ("[fe80::]/10:22", "fe80::1%eth0", 22, None, True),
        ("10.0.0.0/8:*", "10.255.255.255", 1, None, True),
        ("10.0.0.0/8:*", "11.0.0.0", 1, None, False),
        ("10.0.0.0/8:*", "::1", 1, None, False),
        # A block is compared with what a name leads to.
        ("10.0.0.0/8:*", "db.example", 5432, "10.1.2.3", True),
        ("10.0.0.0/8:*", "db.example", 5432, "192.0.2.1", False),
        ("10.0.0.0/8:*", "db.example", 5432, "::ffff:10.1.2.3", True),
        # inet_aton would take this for 127.0.0.1; it is a name until a resolver has said so.
        ("127.0.0.0/8:*", "127.1", 80, "127.0.0.1", True),
        # Ports.
        ("a:8000-8999", "a", 8000, "10.0.0.1", True),
        ("a:8000-8999", "a", 8999, "10.0.0.1", True),
        ("a:8000-8999", "a", 7999, "10.0.0.1", False),
        ("a:8000-8999", "a", 9000, "10.0.0.1", False),
        ("a:*", "a", 65535, "10.0.0.1", True),
    ],
)
def test_what_a_target_means(target, host, port, address, matches):
    assert allows(target, host, port, address=address).allowed is matches


POLICY = ForwardingPolicy(
    "deny",
    (
        ForwardingRule("169.254.0.0/16:*", "deny"),
        ForwardingRule("*.internal:443", "allow", principals=("worker-1",)),
        ForwardingRule("*.internal:443", "allow", transports=("quic", "ssh")),
        ForwardingRule("10.0.0.0/8:22", "allow"),
    ),
)


@pytest.mark.parametrize(
    ("asked", "decision"),
    [
        (
            {"host": "a.internal", "address": "10.0.0.1", "principal": "worker-1"},
            Decision(
                True, "rule 2 (*.internal:443) says allow to a.internal:443 at 10.0.0.1", rule=2
            ),
        ),
        (
            {"host": "a.internal", "address": "10.0.0.1", "transport": "ssh"},
            Decision(
                True, "rule 3 (*.internal:443) says allow to a.internal:443 at 10.0.0.1", rule=3
            ),
        ),
        (
            {"host": "a.internal", "address": "10.0.0.1", "principal": "worker-2"},
            Decision(False, "no rule matches a.internal:443 at 10.0.0.1, and the default is deny"),
        ),
        (
            {"host": "a.internal", "address": "169.254.169.254", "principal": "worker-1"},
            Decision(
                False, "rule 1 (169.254.0.0/16:*) says deny to a.internal:443 at 169.254.169.254", 1
            ),
        ),
        (
            {"host": "a.internal", "principal": "worker-1"},
            Decision(
                False,
                "rule 1 (169.254.0.0/16:*) asks for the address of 'a.internal': resolve it",
                unresolved=True,
            ),
        ),
        (
            {"host": "10.1.1.1", "port": 22},
            Decision(True, "rule 4 (10.0.0.0/8:22) says allow to 10.1.1.1:22", 4),
        ),
    ],
)
def test_the_first_rule_that_matches_decides_and_says_why(asked, decision):
    assert decide(POLICY, **{"port": 443, **asked}) == decision


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"host": "a", "port": 0}, "0 is no port"),
        ({"host": "a", "port": 65536}, "65536 is no port"),
        ({"host": "", "port": 1}, "a host is missing"),
        ({"host": ".", "port": 1}, "a host is missing"),
        ({"host": "a", "port": 1, "address": "b"}, "'b' is no IP address"),
        (
            {"host": "10.0.0.1", "port": 1, "address": "10.0.0.2"},
            "'10.0.0.1' is an address and does not resolve to '10.0.0.2'",
        ),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(asked, words):
    with pytest.raises(InvalidInput, match=words):
        decide(POLICY, **asked)


# Against another way of saying the same.

ADDRESSES = st.one_of(
    st.ip_addresses(network="10.0.0.0/14"), st.ip_addresses(network="fd00::/126")
).map(str)
NAMES = st.sampled_from(["a", "b", "a.x", "b.x", "a.b.x"])
PRINCIPALS = st.sampled_from(["ann", "bob"])
TRANSPORTS = st.sampled_from(["ws", "ssh"])
BLOCKS = st.sampled_from(["10.0.0.0/15", "10.2.0.0/16", "[fd00::]/127", "[fd00::2]"])
HOSTS = st.one_of(NAMES, BLOCKS, st.sampled_from(["*", "*.x", "a*", "a*x"]))
PORTS = st.tuples(st.integers(1, 5), st.integers(0, 3)).map(lambda pair: (pair[0], sum(pair)))
RULES = st.builds(
    lambda host, ports, *rest: (host, ports, *rest),
    HOSTS,
    PORTS,
    st.sampled_from(["allow", "deny"]),
    st.lists(PRINCIPALS, max_size=1),
    st.lists(TRANSPORTS, max_size=1),
)


def means(host, ports, principals, transports, asked):
    """Whether a rule matches, told without regular expressions or parsing."""
    name, address, port, principal, transport = asked
    if port not in range(ports[0], ports[1] + 1):
        return False
    if (principals and principal not in principals) or (transports and transport not in transports):
        return False
    if host[0] in "1[":
        block = ipaddress.ip_network(host.replace("[", "").replace("]", ""))
        at = ipaddress.ip_address(address)
        return at.version == block.version and block[0] <= at <= block[-1]
    if "*" not in host:
        return name == host
    if host == "*":
        return True
    if name is None:
        return False
    before, after = host.split("*")
    return any(
        name == before + name[len(before) : end] + after
        for end in range(len(before), len(name) + 1)
    )


@given(
    st.lists(RULES, max_size=6),
    st.sampled_from(["allow", "deny"]),
    st.one_of(st.none(), NAMES),
    ADDRESSES,
    st.integers(1, 8),
    PRINCIPALS,
    TRANSPORTS,
)
def test_the_decision_is_that_of_the_first_rule_that_matches(
    rules, default, name, address, port, principal, transport
):
    policy = ForwardingPolicy(
        default,
        tuple(
            ForwardingRule(f"{host}:{first}-{last}", action, tuple(who), tuple(by))
            for host, (first, last), action, who, by in rules
        ),
    )
    asked = (name, address, port, principal, transport)
    matching = [
        (number, action)
        for number, (host, ports, action, who, by) in enumerate(rules, start=1)
        if means(host, ports, who, by, asked)
    ]
    number, action = matching[0] if matching else (None, default)

    decision = decide(
        policy, name or address, port, address=address, principal=principal, transport=transport
    )
    assert (decision.allowed, decision.rule) == (action == "allow", number)
    assert decision.why

    unresolved = decide(policy, name or address, port, principal=principal, transport=transport)
    if unresolved != decision:
        # Without an address the answer is the same where it does not depend on it, or else no.
        assert not unresolved.allowed or unresolved.rule == number
