"""How long Ctrl-C waits during `fit`, and whether it leaves the weights of a whole step.

python -m benchmarks.interrupt [--size 128x128x256x1024] [--times 10]

Interrupts a training at random moments; the weights it leaves must be those of a number of
whole steps, which a second training is stopped after.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import threading
import time
from typing import Any

import numpy as np

import rnn_engine
from benchmarks.cases import Size, parse_size


def make(size: Size) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return a compiled model and one batch, always the same."""
    batch, steps, features, units = size
    rng = np.random.default_rng(0)
    rnn_engine.utils.set_random_seed(0)
    model = rnn_engine.Sequential(
        [
            rnn_engine.layers.Input((steps, features)),
            rnn_engine.layers.SimpleRNN(units),
            rnn_engine.layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    x = rng.normal(size=(batch, steps, features)).astype(np.float32)
    return model, x, rng.normal(size=(batch, 1)).astype(np.float32)


def interrupted(size: Size, after: float) -> tuple[float, Any]:
    """Train, interrupt after so many seconds; return the wait for the end, and the model."""
    model, x, y = make(size)
    sent = []

    def interrupt() -> None:
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(after, interrupt)
    timer.start()
    try:
        model.fit(x, y, batch_size=len(x), epochs=10**6, verbose=0)
    except KeyboardInterrupt:
        return time.perf_counter() - sent[0], model
    raise SystemExit("the training ended by itself")


def whole_steps(size: Size, found: Any) -> bool:
    """Whether the weights of a model are those after some number of whole steps."""
    model, x, y = make(size)
    done = int(found.optimizer.iterations.value)
    if done:
        model.fit(x, y, batch_size=len(x), epochs=done, verbose=0)
    pairs = zip(model.get_weights(), found.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def main() -> int:
    """Print the waits and the verdict."""
    parser = argparse.ArgumentParser(description="How long Ctrl-C waits during fit.")
    parser.add_argument("--size", type=parse_size, default=parse_size("128x128x256x1024"))
    parser.add_argument("--times", type=int, default=10)
    options = parser.parse_args()
    model, x, y = make(options.size)
    begin = time.perf_counter()
    model.fit(x, y, batch_size=len(x), epochs=2, verbose=0)
    step = (time.perf_counter() - begin) / 2
    draw = random.Random(0)
    waits, right = [], True
    for _ in range(options.times):
        wait, found = interrupted(options.size, draw.uniform(1.0, 4.0) * max(step, 0.05))
        waits.append(wait)
        right = right and whole_steps(options.size, found)
    worst = max(waits)
    print(f"a step lasts {1e3 * step:.0f} ms; {len(waits)} interrupts")
    print(f"wait: worst {1e3 * worst:.0f} ms, mean {1e3 * sum(waits) / len(waits):.0f} ms")
    print(f"weights of whole steps: {'yes' if right else 'NO'}")
    return 0 if right and worst <= 0.2 else 1


if __name__ == "__main__":
    sys.exit(main())
