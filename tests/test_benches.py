"""The benchmark harness: what it measures, what it says, and how it exits."""

import json

import pytest

from benches.__main__ import main
from benches.harness import ROWS, Measured, NotTheSameError, Pair, measured_row, row


@pytest.fixture
def declared():
    """Rows that a test declares go when it ends."""
    yield
    ROWS[:] = [row for row in ROWS if not row.name.startswith("test_")]


def spin(turns):
    def work():
        for _ in range(turns):
            pass

    return work


@pytest.mark.usefixtures("declared")
def test_a_row_is_timed_on_both_sides_and_written_as_json(tmp_path, capsys):
    @row("test_spin", peer="ten times the work", goal=2)
    def test_spin():
        return Pair(ours=spin(1000), peer=spin(10_000), divisor=10, same=lambda: True)

    file = tmp_path / "figures.json"
    status = main(["test_spin", "--quick", "--check", "--json", str(file)])

    assert status == 0
    figures = json.loads(file.read_text())
    assert list(figures) == ["test_spin"]
    figure = figures["test_spin"]
    assert figure.keys() == {"ours_us", "peer", "peer_us", "ratio", "goal"}
    assert (figure["peer"], figure["goal"]) == ("ten times the work", 2)
    assert figure["ratio"] == figure["peer_us"] / figure["ours_us"] > 2
    assert "met" in capsys.readouterr().out


@pytest.mark.usefixtures("declared")
def test_a_row_that_measures_itself_gives_its_figures_and_may_name_its_peer(tmp_path):
    @measured_row("test_measured", peer="one or another", goal=1)
    def test_measured(pace):
        return Measured(ours_us=2.0, peer_us=3.0 * pace.rounds / pace.rounds, peer_name="another")

    file = tmp_path / "figures.json"
    main(["test_measured", "--quick", "--json", str(file)])

    assert json.loads(file.read_text()) == {
        "test_measured": {
            "ours_us": 2.0,
            "peer": "another",
            "peer_us": 3.0,
            "ratio": 1.5,
            "goal": 1,
        }
    }


@pytest.mark.usefixtures("declared")
@pytest.mark.parametrize(("arguments", "status"), [([], 0), (["--check"], 1)])
def test_a_missed_goal_is_said_and_fails_only_a_check(arguments, status, capsys):
    @measured_row("test_missed", peer="faster", goal=3)
    def run(pace):
        return Measured(ours_us=1.0, peer_us=2.0 if pace.rounds else 1.0)

    assert main(["test_missed", "--quick", *arguments]) == status
    assert "missed" in capsys.readouterr().out


@pytest.mark.usefixtures("declared")
def test_a_peer_that_is_not_installed_costs_its_row_only(tmp_path, capsys):
    @row("test_lonely", peer="nobody", goal=1)
    def test_lonely():
        import no_such_peer  # noqa: F401

        raise AssertionError

    file = tmp_path / "figures.json"

    assert main(["test_lonely", "--quick", "--check", "--json", str(file)]) == 0
    assert "peer not installed" in capsys.readouterr().out
    assert json.loads(file.read_text()) == {}


@pytest.mark.usefixtures("declared")
def test_two_sides_that_differ_are_not_compared():
    @row("test_unequal", peer="another answer", goal=1)
    def test_unequal():
        return Pair(ours=spin(1), peer=spin(1), same=lambda: False)

    with pytest.raises(NotTheSameError, match=r"^test_unequal: ours and the peer do not give"):
        main(["test_unequal", "--quick"])


def test_a_name_that_no_row_has_is_a_usage_error(capsys):
    assert main(["no_such_row"]) == 2
    assert "no row is called no_such_row" in capsys.readouterr().err


def test_the_rows_of_the_codec_do_the_same_work_as_their_peers(capsys):
    assert main(["envelope", "--quick"]) == 0
    assert "envelope_frames" in capsys.readouterr().out
