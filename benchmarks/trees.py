"""Small calls of two checkouts beside each other: ``python -m benchmarks.trees OLD NEW``.

Each checkout runs in fresh processes, alternately; the table gives the median over the
processes of the best of several repeats, and the ratio of the new checkout to the old.
"""

import json
import os
import statistics
import subprocess
import sys

PROCESSES = 4
CHILD = r"""
import json, time
import numpy as np
import rnn_engine
from rnn_engine import layers
draw = np.random.default_rng(0).standard_normal
x, y = draw((2, 4, 1)).astype("f4"), np.ones((2, 1), "f4")
layer = layers.SimpleRNN(5)
model = rnn_engine.Sequential([rnn_engine.Input((4, 1)), layers.SimpleRNN(5), layers.Dense(1)])
model.compile("adam", "mse")
wide, wide_layer = draw((32, 100, 32)).astype("f4"), layers.SimpleRNN(64)
calls = {
    "layer(x)": (lambda: layer(x), 2000),
    "model(x)": (lambda: model(x), 1000),
    "predict_on_batch": (lambda: model.predict_on_batch(x), 1000),
    "predict": (lambda: model.predict(x[:1], verbose=0), 300),
    "train_on_batch": (lambda: model.train_on_batch(x, y), 300),
    "layer(x), 32 x 100 x 32 x 64": (lambda: wide_layer(wide), 100),
}
best = {}
for name, (call, times) in calls.items():
    call()
    found = []
    for _ in range(15):
        start = time.perf_counter()
        for _ in range(times):
            call()
        found.append((time.perf_counter() - start) / times * 1e6)
    best[name] = min(found)
print(json.dumps(best))
"""


def measure(tree: str) -> dict[str, float]:
    """Return microseconds by call, of one fresh process on the checkout at `tree`."""
    environment = dict(os.environ, PYTHONPATH=os.path.abspath(tree))
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        env=environment, cwd=tree, check=True, capture_output=True, text=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(old: str, new: str) -> None:
    """Print the table of `new` beside `old`."""
    pairs = [(measure(old), measure(new)) for _ in range(PROCESSES)]
    print("| call | old µs | new µs | new ÷ old |\n| --- | ---: | ---: | ---: |")
    for name in pairs[0][0]:
        before, after = (statistics.median(pair[side][name] for pair in pairs) for side in (0, 1))
        print(f"| {name} | {before:.2f} | {after:.2f} | {after / before:.2f} |")


if __name__ == "__main__":
    main(*sys.argv[1:3])
