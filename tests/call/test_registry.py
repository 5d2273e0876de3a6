"""The registry: all or nothing, each name once."""

import pytest

from alknet.call.operation import OperationSpec
from alknet.call.payload import PayloadType
from alknet.call.registry import Entry, Registry
from alknet.errors import NotFound

from ..echo import Echo, Say, Shout
from ..linked import running


def entry(name, request_type=None):
    spec = OperationSpec(name=name, kind="query")
    anything = PayloadType(object)
    return Entry(spec, None, input=anything, output=anything, request_type=request_type)


def test_an_operation_is_found_by_name_and_by_type():
    registry = Registry()
    say = entry("echo/say", Say)
    registry.add([say])

    assert registry.find("echo/say") is say
    assert registry.find_type(Say) is say
    assert registry.get("echo/say") is say
    assert registry.get("echo/nope") is None


def test_what_is_not_there_is_not_found_and_the_message_says_where_to_look():
    words = "there is no operation 'echo/shout' here; services/list names those you may call"

    with pytest.raises(NotFound) as caught:
        Registry().find("echo/shout")
    assert str(caught.value) == words
    with pytest.raises(NotFound) as caught:
        Registry().find_type(Shout)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    "names", [["a/1", "a/2", "a/1"], ["a/1", "taken/1"]], ids=["twice in one", "taken"]
)
def test_of_entries_that_cannot_all_be_registered_none_is(names):
    registry = Registry()
    registry.add([entry("taken/1")])

    with pytest.raises(ValueError, match="is registered already"):
        registry.add(entry(name) for name in names)
    assert [each.spec.name for each in registry] == ["taken/1"]


def test_what_was_removed_is_gone_and_its_name_is_free():
    registry = Registry()
    registry.add([entry("echo/say", Say), entry("echo/shout", Shout)])
    registry.remove(["echo/say", "echo/nope"])

    assert len(registry) == 1
    with pytest.raises(NotFound):
        registry.find_type(Say)
    registry.add([entry("echo/say", Say)])
    assert registry.find_type(Say)


def test_iteration_is_in_the_order_of_names():
    registry = Registry()
    registry.add(entry(name) for name in ("b/2", "a/1", "b/1"))

    assert [each.spec.name for each in registry] == ["a/1", "b/1", "b/2"]


async def test_a_service_registers_every_handler_it_has():
    async with running(Echo()) as dispatcher:
        names = {each.spec.name for each in dispatcher.registry}

    assert names == {handler.request_type.__operation__.name for handler in Echo.handlers}
