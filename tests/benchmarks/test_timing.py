"""Statistics and the order of blocks; nothing here looks at a clock's reading."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.timing import interleave, quantile, slope, summarise, timed_block

positive = st.floats(1e-9, 1e3)


def test_quantile_interpolates():
    assert quantile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.5
    assert quantile([10.0, 20.0, 30.0], 0.25) == 15.0
    assert quantile([7.0], 0.9) == 7.0


@pytest.mark.parametrize(("samples", "share"), [([], 0.5), ([1.0], -0.1), ([1.0], 1.5)])
def test_quantile_refuses(samples, share):
    with pytest.raises(ValueError, match=r"quantile|share"):
        quantile(samples, share)


@given(st.lists(positive, min_size=1, max_size=30))
def test_summary_is_ordered(samples):
    found = summarise(samples)
    assert min(samples) == found.best <= found.low <= found.median <= found.high <= max(samples)
    assert found.count == len(samples)
    assert found.spread >= 0.0


@given(st.floats(-2.0, 3.0), positive, st.lists(positive, min_size=2, max_size=9, unique=True))
def test_slope_of_a_power(power, factor, sizes):
    if max(sizes) / min(sizes) < 2.0:
        sizes = [*sizes, 4.0 * max(sizes)]
    times = [factor * size**power for size in sizes]
    assert slope(sizes, times) == pytest.approx(power, abs=1e-6)


@pytest.mark.parametrize(("sizes", "times"), [([1], [1]), ([1, 2], [1]), ([1, 2], [0.0, 1.0])])
def test_slope_refuses(sizes, times):
    with pytest.raises(ValueError, match="slope"):
        slope(sizes, times)


def test_every_round_visits_every_side():
    seen = []
    sides = {name: (lambda s, n=name: seen.append((n, s)) or float(len(seen))) for name in "abc"}
    samples = interleave(sides, rounds=6, seconds=0.25)
    assert [len(samples[name]) for name in "abc"] == [6, 6, 6]
    rounds = [tuple(n for n, _ in seen[i : i + 3]) for i in range(0, 18, 3)]
    assert all(sorted(order) == ["a", "b", "c"] for order in rounds)
    assert len(set(rounds)) > 1, "the order has to change between rounds"
    assert {s for _, s in seen} == {0.25}
    assert sorted(x for v in samples.values() for x in v) == [float(i) for i in range(1, 19)]


@pytest.mark.parametrize(("budget", "expected"), [(0.0, 1), (5.0, 5), (5.5, 5), (1e9, 8)])
def test_the_budget_cuts_rounds_not_sides(budget, expected):
    now = [0.0]

    def block(seconds):
        now[0] += 0.5
        return 1.0

    sides = {"a": block, "b": block}
    samples = interleave(sides, rounds=8, seconds=0.5, budget=budget, clock=lambda: now[0])
    assert [len(values) for values in samples.values()] == [expected, expected]


def test_a_long_call_is_timed_once_without_warm_up():
    calls = []
    assert timed_block(lambda: calls.append(1), 0.001, expected=math.inf) >= 0.0
    assert len(calls) == 1
    calls.clear()
    timed_block(lambda: calls.append(1), 1e-4)
    assert len(calls) >= 2
