"""New files appear all or none, and take the place of nothing."""

import os
from pathlib import Path

import pytest

from alknet.cli.failure import Failure
from alknet.cli.publish import publish


def contents(directory):
    return {path.name: path.read_text() for path in directory.iterdir()}


def test_all_files_appear(tmp_path):
    publish({tmp_path / "a": "1", tmp_path / "deep" / "b": "2"}, overwrites=False)

    assert (tmp_path / "a").read_text() == "1"
    assert (tmp_path / "deep" / "b").read_text() == "2"


@pytest.mark.parametrize("blocked", ["a", "b"])
def test_none_appears_if_one_is_there_already(tmp_path, blocked):
    (tmp_path / blocked).write_text("mine")

    with pytest.raises(Failure, match=f"{blocked} is there already"):
        publish({tmp_path / "a": "1", tmp_path / "b": "2"}, overwrites=False)

    assert contents(tmp_path) == {blocked: "mine"}


def test_a_dangling_link_is_something_that_is_there(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(Failure, match="is there already"):
        publish({tmp_path / "a": "1"}, overwrites=False)

    assert not (tmp_path / "elsewhere").exists()


def test_none_appears_if_one_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(Failure, match="nothing was made"):
        publish({tmp_path / "a": "1", tmp_path / "file" / "b": "2"}, overwrites=False)

    assert contents(tmp_path) == {"file": ""}


def test_a_file_made_meanwhile_is_kept(tmp_path, monkeypatch):
    link = os.link

    def race(source, target):
        if Path(target).name == "b":
            Path(target).write_text("mine")
        link(source, target)

    monkeypatch.setattr(os, "link", race)

    with pytest.raises(Failure, match="file exists; nothing was made"):
        publish({tmp_path / "a": "1", tmp_path / "b": "2"}, overwrites=False)

    assert contents(tmp_path) == {"b": "mine"}


def test_what_may_be_overwritten_is_and_what_stands_alone_is_not(tmp_path):
    (tmp_path / "a").write_text("mine")
    publish({tmp_path / "a": "1"}, overwrites=True, alone={tmp_path / "phrase": "2"})

    with pytest.raises(Failure, match="phrase is there already"):
        publish({tmp_path / "a": "3"}, overwrites=True, alone={tmp_path / "phrase": "4"})

    assert contents(tmp_path) == {"a": "1", "phrase": "2"}
