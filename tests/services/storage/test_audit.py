"""What is done to types and graphs is noted with who did it, and the note holds."""

import pytest

from alknet.errors import Conflict
from alknet.protocol.storage import (
    CreateGraph,
    DefineType,
    DeleteGraph,
    DeleteType,
    GraphLine,
    Import,
    ListAudit,
    UpdateGraph,
    VerifyAudit,
)

from .conftest import SOCIAL


async def test_each_deed_is_noted_once_with_its_doer(friends):
    await friends.call(DefineType(SOCIAL))  # which changes nothing
    with pytest.raises(Conflict):
        await friends.call(CreateGraph("friends", "social"))
    await friends.call(UpdateGraph("friends", status="draft"))
    await friends.upload(Import(), [GraphLine("more", "social")])
    await friends.call(DeleteGraph("more"))
    await friends.call(DeleteGraph("friends", cascade=True))
    await friends.call(DeleteType("social"))

    entries = (await friends.call(ListAudit())).entries
    assert [(entry.action, entry.subject) for entry in entries] == [
        ("define-type", "social"),
        ("create-graph", "friends"),
        ("update-graph", "friends"),
        ("import-graph", "more"),
        ("delete-graph", "more"),
        ("delete-graph", "friends"),
        ("delete-type", "social"),
    ]
    assert {entry.actor for entry in entries} == {"head"}
    report = await friends.call(VerifyAudit())
    assert (report.is_intact, report.head.sequence) == (True, 7)
    assert (await friends.call(VerifyAudit(noted=report.head))).is_intact
