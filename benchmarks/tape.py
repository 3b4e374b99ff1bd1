"""What an op of the record costs in training, besides its arithmetic.

python -m benchmarks.tape [--ops 50] [--rounds 15]

A layer with `call` does an op that many times on a (2, 4) array; `train_on_batch` is timed with
that many and with one, in turn, and the difference is divided by the ops. Needs the extra
`autograd`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

import rnn_engine
from benchmarks.timing import interleave, timed_block

OPS: dict[str, Callable[[Any, Any], Any]] = {
    "tanh(x)": lambda x, w: rnn_engine.ops.tanh(x),
    "x * 0.5": lambda x, w: x * 0.5,
    "x + w, w (4,)": lambda x, w: x + w,
    "x @ w, w (4, 4)": lambda x, w: rnn_engine.ops.matmul(x, w),
}


class Ops(rnn_engine.layers.Layer):
    """A layer that does one op so many times."""

    def __init__(self, op: str, count: int) -> None:
        super().__init__()
        self.op, self.count = op, count

    def build(self, input_shape: Any) -> None:
        """Make the weight, where there is one."""
        self.w = self.add_weight((4, 4) if "@" in self.op else (4,), "zeros", name="w")

    def call(self, x: Any) -> Any:
        """Do the op again and again."""
        for _ in range(self.count):
            x = OPS[self.op](x, self.w)
        return x


def side(op: str, count: int) -> Any:
    """Return a call of `train_on_batch` of a model with so many ops."""
    model = rnn_engine.Sequential([rnn_engine.layers.Input((4,)), Ops(op, count)])
    model.compile("sgd", "mse")
    x = np.ones((2, 4), np.float32)
    return lambda: model.train_on_batch(x, x)


def main() -> None:
    """Print the table."""
    made = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    made.add_argument("--ops", type=int, default=50)
    made.add_argument("--rounds", type=int, default=15)
    given = made.parse_args()
    print(f"| op | train_on_batch, one op | with {1 + given.ops} | an op |\n|---|---:|---:|---:|")
    for op in OPS:
        calls = {"one": side(op, 1), "many": side(op, 1 + given.ops)}
        sides = {name: (lambda s, c=call: timed_block(c, s)) for name, call in calls.items()}
        found = interleave(sides, rounds=given.rounds, seconds=0.05)
        one, many = (min(found[name]) * 1e6 for name in calls)
        print(f"| {op} | {one:.0f} µs | {many:.0f} µs | {(many - one) / given.ops:.1f} µs |")


if __name__ == "__main__":
    main()
