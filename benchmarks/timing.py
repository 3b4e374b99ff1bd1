"""How time is taken: blocks of calls, sides in turn, medians and spread.

Clocks of shared machines drift, so no side is timed in one go: a round gives
every side one short block, in an order that changes, and what is compared are
medians over rounds. A block starts with untimed calls, which bring the side's
code, data and sleeping threads back before the clock starts.
"""

from __future__ import annotations

import gc
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Block = Callable[[float], float]


@dataclass(frozen=True)
class Summary:
    """Median, quartiles, best and count of samples (seconds for one call)."""

    median: float
    low: float
    high: float
    best: float
    count: int

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles, over the median."""
        return 0.5 * (self.high - self.low) / self.median if self.median else 0.0


def quantile(samples: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the samples lie, by linear interpolation.

    Raises
    ------
    ValueError
        If there is no sample or `share` is outside 0 to 1.
    """
    if not samples:
        raise ValueError("quantile of no samples.")
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share must be between 0 and 1, got {share}.")
    ordered = sorted(samples)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def summarise(samples: Sequence[float]) -> Summary:
    """Return the summary of one side's samples."""
    return Summary(
        median=quantile(samples, 0.5),
        low=quantile(samples, 0.25),
        high=quantile(samples, 0.75),
        best=min(samples),
        count=len(samples),
    )


def slope(sizes: Sequence[float], times: Sequence[float]) -> float:
    """Return the exponent p of the best fit ``time ~ size**p`` (least squares in logs).

    Raises
    ------
    ValueError
        If there are fewer than two points, or one of them is not above zero.
    """
    if len(sizes) != len(times) or len(sizes) < 2:
        raise ValueError(f"slope needs two or more pairs, got {len(sizes)} and {len(times)}.")
    if min(*sizes, *times) <= 0:
        raise ValueError("slope needs sizes and times above zero.")
    xs, ys = [math.log(s) for s in sizes], [math.log(t) for t in times]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    rise = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    return rise / sum((x - mean_x) ** 2 for x in xs)


def timed_block(call: Callable[[], Any], seconds: float, expected: float = 0.0) -> float:
    """Return the mean seconds of a call over a block of about `seconds`.

    At least one call is timed. The untimed calls before it last a fifth of the
    block and tell how many calls fill it; where one call is `expected` to last
    several blocks there are none, as what they would warm up is soon forgotten.
    """
    count = 1
    if expected < 4.0 * seconds:
        begin, warm, spent = time.perf_counter(), 0, 0.0
        while warm == 0 or spent < 0.2 * seconds:
            call()
            warm += 1
            spent = time.perf_counter() - begin
        count = max(1, round(seconds * warm / max(spent, 1e-9)))
    enabled = gc.isenabled()
    gc.disable()
    try:
        begin = time.perf_counter()
        for _ in range(count):
            call()
        return (time.perf_counter() - begin) / count
    finally:
        if enabled:
            gc.enable()


def interleave(
    sides: Mapping[str, Block],
    *,
    rounds: int,
    seconds: float,
    budget: float = math.inf,
    pause: float = 0.0,
    seed: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Time all sides in turn and return each one's samples, one for each round.

    Parameters
    ----------
    sides : mapping of name to block
        A block is told how long to run and returns the seconds of one call.
    rounds : int
        Rounds wanted; fewer are run when `budget` runs out, never fewer than one.
        A round is always finished, so that all sides have the same count.
    seconds : float
        Length of a block.
    budget : float
        Seconds for everything.
    pause : float
        Seconds of rest before each block, in which the threads of the side before,
        many of which spin for a while, fall asleep.
    seed : int
        Seed of the order within rounds.
    """
    samples: dict[str, list[float]] = {name: [] for name in sides}
    order, shuffler, begin = list(sides), random.Random(seed), clock()
    for done in range(rounds):
        spent = clock() - begin
        # Stop where one more round, as long as those before, would not fit.
        if done and spent + spent / done > budget:
            break
        shuffler.shuffle(order)
        for name in order:
            time.sleep(pause)
            samples[name].append(sides[name](seconds))
    return samples
