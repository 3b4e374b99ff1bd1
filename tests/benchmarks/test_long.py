"""`benchmarks.long`: its goal, and that its sides are what they say."""

import pytest

from benchmarks import long


@pytest.mark.parametrize("cell", long.CELLS)
def test_both_sides_end_with_the_same_weights(cell):
    plain, kept = (long.measure(cell, 20, 7001, steps, 1) for steps in (None, "auto"))
    assert plain["weights"] == kept["weights"]


def test_a_million_steps_within_512_mb():
    """LSTM keeps most: without checkpoints these are 1.6 GB."""
    found = long.in_a_process("LSTM", 64, 1_000_000, "auto", 1)
    assert found["all"] < 512 * 10**6


def test_a_row(monkeypatch):
    made = {
        None: {"all": 2**30, "added": 2**29, "seconds": 0.5, "weights": "a"},
        "auto": {"all": 2**28, "added": 2**20, "seconds": 0.75, "weights": "a"},
    }
    monkeypatch.setattr(long, "in_a_process", lambda *given: dict(made[given[3]]))
    line = long.row("GRU", 64, 10_000, "auto", 2, 1)
    assert line == "| GRU | 10,000 | 1,024 | 256 | 512 | 1 | 0.5 | 0.75 | 1.50 |"
    made["auto"]["weights"] = "b"
    with pytest.raises(SystemExit, match="the weights differ"):
        long.row("GRU", 64, 10_000, "auto", 1, 1)


def test_wrong_numbers():
    with pytest.raises(SystemExit):
        long.main(["--lengths", "0"])
