"""honker is in our own library and works on the host's SQLite, in the caller's transaction."""

import json

import pytest

from alknet.store.database import open_database


@pytest.fixture
async def database(tmp_path):
    async with open_database(tmp_path / "test.db") as database:
        yield database


async def test_a_published_row_is_part_of_the_transaction_that_published_it(database):
    def publish(connection, *, fail=False):
        offset = connection.execute("select honker_stream_publish('t', 'k', '{}')").get
        if fail:
            raise KeyError
        return offset

    with pytest.raises(KeyError):
        await database.write(lambda c: publish(c, fail=True))
    assert await database.write(publish) == 1

    read = await database.write(
        lambda c: c.execute("select honker_stream_read_since('t', 0, 10)").get
    )
    assert [(event["offset"], event["key"]) for event in json.loads(read)] == [(1, "k")]
    assert database.rows("select topic, payload from _honker_stream") == [("t", "{}")]


async def test_a_mistake_in_a_call_is_an_error_and_not_the_end_of_the_process(database):
    with pytest.raises(Exception, match="Invalid function parameter type"):
        await database.write(lambda c: c.execute("select honker_claim_batch(x'00', 'w', 1, 1)").get)
    assert await database.write(lambda c: c.execute("select 1").get) == 1
