"""What follows from the figures."""

import json

import pytest

from benchmarks import goals
from benchmarks.cases import Case
from benchmarks.results import Row, Side, from_json, to_json


def test_fastest_and_ratios(run):
    row = run.find("forward/32x100x32x64")
    assert row.fastest_peer() == "jax"
    assert row.fastest_peer(("keras-graph", "torch")) == "torch"
    assert row.ratio("jax") == pytest.approx(2.0)
    assert row.ratio("keras-graph") == pytest.approx(8.0)
    low, high = row.ratio_range("jax")
    assert low == pytest.approx(2.0)
    assert high == pytest.approx(2.0)
    assert row.ratio("openvino") is None
    assert row.ratio(None) is None


def test_ratios_are_taken_round_by_round():
    sides = {"engine": Side(samples=[1.0, 2.0, 4.0]), "jax": Side(samples=[3.0, 6.0, 12.0])}
    row = Row(Case("forward", 1, 1, 1, 1), sides)
    assert row.ratio_range("jax") == (3.0, 3.0)


def test_what_has_no_figure_is_not_the_fastest(run):
    row = run.rows[0]
    assert row.sides["openvino"].status == "disagrees"
    assert row.value("openvino") is None
    assert row.fastest_peer() == "jax"
    # Numba is on the list of imports to compare with; it is no peer.
    assert run.find("import").fastest_peer() == "torch"


def test_rates_and_shares(run):
    row = run.find("forward/64x128x64x128")
    flops = 2 * 64 * 128 * 128 * 192
    assert row.rate("engine") == pytest.approx(flops / 1e-3)
    assert run.share(row, "engine") == pytest.approx(flops / 1e-3 / 2e11)
    assert run.find("fit/32x50x8x32").samples_per_second("engine") == pytest.approx(40960)
    # The median of what was measured over the run counts, not the best.
    row.peak = 4e11
    assert run.share(row, "engine") == pytest.approx(flops / 1e-3 / 3e11)


def test_limits(run):
    arithmetic = run.limit(run.find("forward/64x128x64x128"))
    assert arithmetic.bound == "FMA"
    assert arithmetic.seconds == pytest.approx(2 * 64 * 128 * 128 * 192 / 2e11)
    stream = run.limit(run.find("forward/1x1000x64x256"))
    assert stream.bound == "L2 bandwidth"
    assert stream.seconds == pytest.approx(1000 * 256 * 256 * 4 / 2e11)  # half of them each
    back = run.limit(Row(Case("gradients", 1, 1000, 64, 256), {}))
    assert back.seconds == pytest.approx(2 * 1000 * 256 * 256 * 4 / 1e11)
    assert run.limit(run.find("forward/2x4x1x5")) is None
    assert run.limit(run.find("cold_start")) is None


def test_growth(run):
    assert run.growth() == {"forward in time": pytest.approx(1.0)}


def test_json_round_trip(run):
    data = json.loads(json.dumps(to_json(run)))
    again = from_json(data)
    assert again == run
    assert to_json(again) == to_json(run)
    first = data["cases"][0]
    assert first["fastest_peer"] == "jax"
    assert first["ratio_to_fastest"] == pytest.approx(2.0)
    with pytest.raises(ValueError, match="schema"):
        from_json({**data, "schema": 0})


def test_disagreements_are_told(run):
    assert run.disagreements() == [("forward/2x4x1x5", "openvino", "h is off by 2.0e-01")]


def test_goals_have_the_worst_figure(run):
    found = {goal.text: goal for goal in goals.evaluate(run)}
    every = found["forward, every size: times the fastest peer"]
    assert every.met
    assert every.figure == pytest.approx(2.0)
    assert not found["gradients, U ≤ 128: times the fastest peer"].met
    assert found["fit, U ≤ 32, B = 32: times Keras"].figure == pytest.approx(20.0)
    assert found["predict of one sample: times Keras"].met
    assert found["import: times `import numba`"].figure == pytest.approx(1.2)
    assert found["memory of training: Keras's over ours"].figure == pytest.approx(6.0)
    cliff = found["forward, odd sizes: rate over that of the next round size"]
    odd, even = Case("forward", 17, 73, 13, 97), Case("forward", 24, 80, 16, 112)
    assert cliff.figure == pytest.approx(odd.flops / even.flops)
    # A single slower case is what the goal shows.
    run.find("forward/2x4x1x5").sides["jax"].samples = [0.5e-3] * 3
    worst = {goal.text: goal for goal in goals.evaluate(run)}[every.text]
    assert worst.figure == pytest.approx(0.5)
    assert worst.where == "forward/2x4x1x5, jax"
    assert not worst.met
