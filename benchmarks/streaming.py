"""Steps and blocks of a stream, beside ONNX Runtime with state in and out.

python -m benchmarks.streaming [--units 32] [--features 1] [--block 64] [--steps 100000]

One sequence on one thread. Both sides are timed in turn within one run, and the
ratio is that of their best rounds; ONNX Runtime is left out where it is not installed. Its outputs
are compared with ours before the clock starts. Then many steps are made one by one, with what was
slowest among them and what is left in memory.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

import rnn_engine
from benchmarks.timing import interleave, timed_block

CELLS = "SimpleRNN", "LSTM", "GRU"
# Columns of Keras's gates in ONNX's order.
_GATES = {"SimpleRNN": [0], "LSTM": [0, 3, 1, 2], "GRU": [0, 1, 2]}
_OPERATORS = {"SimpleRNN": "RNN", "LSTM": "LSTM", "GRU": "GRU"}


def make(cell: str, units: int, features: int = 1) -> Any:
    """Return a model of one layer, with biases that are not zero."""
    rnn_engine.utils.set_random_seed(0)
    layer = getattr(rnn_engine.layers, cell)(units, return_sequences=True)
    model = rnn_engine.Sequential([rnn_engine.layers.Input((None, features)), layer])
    bias = layer.bias
    bias.assign(np.random.default_rng(0).normal(size=bias.shape) * 0.1)
    return model


def onnx_side(model: Any, cell: str, steps: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return what takes x (1, T, F) to (1, T, U) in ONNX Runtime, from state to state."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    layer = model.layers[0]
    units, order = layer.units, _GATES[cell]
    kernel, recurrent, bias = (np.asarray(w) for w in layer.get_weights())
    biases = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])

    def gates(array: np.ndarray) -> np.ndarray:
        parts = array.reshape(len(array), -1, units)[:, order]
        return np.ascontiguousarray(parts.reshape(len(array), -1).T)

    arrays = {
        "W": gates(kernel)[None],
        "R": gates(recurrent)[None],
        "B": np.concatenate([gates(row[None])[:, 0] for row in biases])[None],
    }
    states = ["h", "c"] if cell == "LSTM" else ["h"]
    node = helper.make_node(
        _OPERATORS[cell],
        ["x", "W", "R", "B", "", *states],
        ["y", *(f"{name}_last" for name in states)],
        hidden_size=units,
        **({"linear_before_reset": 1} if cell == "GRU" else {}),
    )
    shape, features = [1, 1, units], len(kernel)
    describe, kind = helper.make_tensor_value_info, TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        "stream",
        [describe("x", kind, [steps, 1, features]), *(describe(s, kind, shape) for s in states)],
        [describe("y", kind, [steps, *shape]),
         *(describe(f"{s}_last", kind, shape) for s in states)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        made.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feed = {name: np.zeros(shape, np.float32) for name in states}

    def run(x: np.ndarray) -> np.ndarray:
        feed["x"] = x.reshape(steps, 1, features)
        y, *last = session.run(None, feed)
        feed.update(zip(states, last, strict=True))
        return y.reshape(1, steps, units)

    return run


def measure(cell: str, units: int, features: int, block: int, rounds: int) -> str:
    """Return a row of the table."""
    model = make(cell, units, features)
    session = model.stream()
    x = np.random.default_rng(1).normal(size=(1, block, features)).astype(np.float32)
    x_t = np.ascontiguousarray(x[:, 0])
    out, outs = session.step(x_t), session.process(x)
    calls: dict[str, Callable[[], Any]] = {
        "step": lambda: session.step(x_t),
        "out": lambda: session.step(x_t, out=out),
        "block": lambda: session.process(x, out=outs),
    }
    if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnx"):
        single, many = onnx_side(model, cell, 1), onnx_side(model, cell, block)
        session.reset()
        for _ in range(3):
            np.testing.assert_allclose(many(x), session.process(x), atol=1e-5)
        calls |= {"onnx step": lambda: single(x_t), "onnx block": lambda: many(x)}
    sides = {name: (lambda s, c=call: timed_block(c, s)) for name, call in calls.items()}
    best = {k: min(v) * 1e6 for k, v in interleave(sides, rounds=rounds, seconds=0.02).items()}
    row = f"| {cell} | {best['step']:.2f} | {best['out']:.2f} | {best['block']:.1f} |"
    if "onnx step" not in best:
        return row + " - | - | - | - |"
    ratios = best["onnx step"] / best["step"], best["onnx block"] / best["block"]
    row += f" {best['onnx step']:.1f} | {best['onnx block']:.1f} |"
    return row + f" {ratios[0]:.1f} | {ratios[1]:.1f} |"


def endure(cell: str, units: int, steps: int) -> str:
    """Return how long the slowest of many steps took, and what they leave behind.

    The clock is the wall's, then in as many steps again the thread's own, which stands still while
    the machine lets somebody else compute. Collections of garbage are counted in both.
    """
    session = make(cell, units).stream()
    x = np.ones((1, 1), np.float32)
    out, step = session.step(x), session.step
    durations = np.empty(steps, np.int64)
    for _ in range(1000):
        step(x, out)
    gc.collect()
    collections: list[str] = []

    def count(phase: str, info: dict[str, int]) -> None:
        collections.append(phase)

    def walk(clock: Callable[[], int]) -> None:
        for i in range(steps):
            begin = clock()
            step(x, out)
            durations[i] = clock() - begin

    gc.callbacks.append(count)
    try:
        walk(time.perf_counter_ns)
        shares = np.quantile(durations, [0.5, 0.999]) / 1000
        slowest = durations.max() / 1000
        walk(time.thread_time_ns)
    finally:
        gc.callbacks.remove(count)
    tracemalloc.start()
    step(x, out)
    first = tracemalloc.get_traced_memory()[0]
    for _ in range(min(steps, 1_000_000)):
        step(x, out)
    grown = tracemalloc.get_traced_memory()[0] - first
    tracemalloc.stop()
    return (
        f"| {cell} | {steps:,} | {shares[0]:.2f} | {shares[1]:.2f} | {slowest:.0f} "
        f"| {durations.max() / 1000:.0f} | {collections.count('start')} | {grown} |"
    )


def main() -> None:
    """Print both tables."""
    made = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    made.add_argument("--units", type=int, default=32)
    made.add_argument("--features", type=int, default=1, help="of a sample, in the first table")
    made.add_argument("--block", type=int, default=64, help="samples of a call of process")
    made.add_argument("--steps", type=int, default=100_000, help="steps of the second table")
    made.add_argument("--rounds", type=int, default=15)
    given = made.parse_args()
    sizes = given.units, given.features, given.block
    print("U = {}, F = {}, B = 1, blocks of {}; microseconds a call, ".format(*sizes), end="")
    print(f"best of {given.rounds} rounds\n")
    print("| cell | step | step, out= | process | ONNX step | ONNX process | ratio | ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for cell in CELLS:
        print(measure(cell, *sizes, given.rounds), flush=True)
    print("\n| cell | steps | median µs | 99.9% | slowest | own time | collections | bytes left |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for cell in CELLS:
        print(endure(cell, given.units, given.steps), flush=True)


if __name__ == "__main__":
    main()
