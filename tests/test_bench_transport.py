"""`python -m benches transport`: that it measures every road, not how fast they are."""

import json

import pytest

from benches.__main__ import main
from benches.transport import FORWARD, OURS, Figures


def test_each_road_has_every_figure(tmp_path, capsys):
    others = ["raw QUIC", "aioquic", "asyncssh", "websockets.trio", "trio-websocket"]
    roads = ["raw TCP", FORWARD, *OURS, *others]
    file = tmp_path / "figures.json"

    assert main(["transport", "--quick", "--json", str(file)]) == 0

    figures = json.loads(file.read_text())
    assert list(figures) == roads
    for each in figures.values():
        assert set(each) == set(Figures.__struct_fields__)
        assert each["requests_a_second"] > 0
        assert each["requests_a_second_64"] > 0
        assert each["mb_a_second"] > 0
        assert each["p50_us"] <= each["p99_us"]
    printed = capsys.readouterr().out
    assert all(road in printed for road in roads)
    assert "…" not in printed


def test_a_road_that_there_is_not_is_told_with_those_that_there_are(capsys):
    with pytest.raises(SystemExit):
        main(["transport", "carrier pigeon"])
    assert (
        "there is no road carrier pigeon; there are raw TCP, forward, tcp"
        in capsys.readouterr().err
    )
