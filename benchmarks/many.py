"""Many small models, each of its own data: ``python -m benchmarks.many``.

A model is SimpleRNN(16) and Dense(1), trained with Adam on 128 windows of 24 steps of its own, in
batches of 32, for 5 epochs. Every side makes and trains models one after another, but for one that
has a thread for each core, and `fit_many`. The sides of a round run in turn, the best round counts.

Keras is measured as a loop is written (a new model each, whose graph is traced anew) and as one
model that is given new weights and a new optimizer state for each data set; PyTorch where it is
installed. Both have one thread, as more only cost time at this size. They train fewer models
(``--peer-models``), and what 1,000 would take is reckoned.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

import rnn_engine
from rnn_engine.random import own_stream

UNITS, STEPS, WINDOWS, BATCH, EPOCHS = 16, 24, 128, 32, 5

Data = list[tuple[np.ndarray, np.ndarray]]
Side = Callable[[Data], list[float]]


def make_data(count: int) -> Data:
    """Return windows of noisy waves, each data set with a period and a phase of its own."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        period, phase = rng.uniform(5, 20), rng.uniform(0, 6)
        series = np.sin(np.arange(WINDOWS + STEPS) / period + phase)
        series = (series + rng.normal(0, 0.1, len(series))).astype(np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(series, STEPS + 1).copy()
        found.append((windows[:, :-1, None], windows[:, -1:]))
    return found


def build() -> Any:
    """Return a model of this library's."""
    layers = [
        rnn_engine.layers.SimpleRNN(UNITS, input_shape=(STEPS, 1)),
        rnn_engine.layers.Dense(1),
    ]
    model = rnn_engine.Sequential(layers)
    model.compile("adam", "mse")
    return model


def in_turn(data: Data) -> list[float]:
    """Train this library's models one after another; return their last losses."""
    models = rnn_engine.fit_many(build, data, epochs=EPOCHS, batch_size=BATCH, workers=1)
    return [model.history.history["loss"][-1] for model in models]


def in_threads(data: Data) -> list[float]:
    """Train them in a thread for each core, to the same bits."""

    def train(job: Any) -> float:
        seed, (x, y) = job
        with own_stream(seed):
            history = build().fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0)
        return float(history.history["loss"][-1])

    before = rnn_engine.get_num_threads()
    rnn_engine.set_num_threads(1)
    try:
        with ThreadPoolExecutor(before) as pool:
            return list(pool.map(train, enumerate(data)))
    finally:
        rnn_engine.set_num_threads(before)


def in_processes(data: Data) -> list[float]:
    """Train them on all cores."""
    models = rnn_engine.fit_many(build, data, epochs=EPOCHS, batch_size=BATCH)
    return [model.history.history["loss"][-1] for model in models]


def keras_side() -> dict[str, Side]:
    """Return Keras's two loops; none where it is not installed."""
    try:
        import keras
    except ImportError:
        return {}

    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(1)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)

    def build_theirs() -> Any:
        layers = [keras.layers.SimpleRNN(UNITS), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((STEPS, 1)), *layers])
        model.compile("adam", "mse")
        return model

    def fit(model: Any, x: np.ndarray, y: np.ndarray) -> float:
        history = model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0)
        return float(history.history["loss"][-1])

    def anew(data: Data) -> list[float]:
        found = []
        for x, y in data:
            found.append(fit(build_theirs(), x, y))
            keras.backend.clear_session()
        return found

    kept: list[Any] = []

    def again(data: Data) -> list[float]:
        if not kept:
            kept.append(build_theirs())
            fit(kept[0], *data[0])
        (model,) = kept
        found = []
        for x, y in data:
            fresh = build_theirs()
            model.set_weights(fresh.get_weights())
            for variable in model.optimizer.variables[2:]:  # after iterations and learning rate
                variable.assign(np.zeros(variable.shape))
            model.optimizer.iterations.assign(0)
            found.append(fit(model, x, y))
        return found

    return {"Keras, a model each": anew, "Keras, one model anew": again}


def torch_side() -> dict[str, Side]:
    """Return PyTorch's loop; none where it is not installed."""
    try:
        import torch
    except ImportError:
        return {}

    torch.set_num_threads(1)

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = torch.nn.RNN(1, UNITS, batch_first=True)
            self.head = torch.nn.Linear(UNITS, 1)

        def forward(self, x: Any) -> Any:
            return self.head(self.cell(x)[0][:, -1])

    def loop(data: Data) -> list[float]:
        found = []
        for x, y in data:
            network = Network()
            optimizer = torch.optim.Adam(network.parameters())
            inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
            for _ in range(EPOCHS):
                total = 0.0
                for rows in torch.randperm(WINDOWS).split(BATCH):
                    optimizer.zero_grad()
                    loss = torch.nn.functional.mse_loss(network(inputs[rows]), targets[rows])
                    loss.backward()
                    optimizer.step()
                    total += loss.item() * len(rows)
            found.append(total / WINDOWS)
        return found

    return {"PyTorch": loop}


def processor_time() -> float:
    """Return the processor time of this process and of its children that have ended, seconds."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    usages = [resource.getrusage(who) for who in whose]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure(
    sides: dict[str, tuple[Side, int]], data: Data, rounds: int
) -> Iterator[tuple[str, int, float, float, float]]:
    """Yield name, models, seconds and processor seconds a model (best round), and median loss."""
    for function, _ in sides.values():
        function(data[:1])  # compiles, starts up
    best: dict[str, list[float]] = {}
    losses: dict[str, float] = {}
    for _ in range(rounds):
        for name, (function, count) in sides.items():
            begin, used = time.perf_counter(), processor_time()
            found = function(data[:count])
            passed = [time.perf_counter() - begin, processor_time() - used]
            old = best.get(name, passed)
            best[name] = [min(a, b / count) if name in best else b / count
                          for a, b in zip(old, passed, strict=True)]  # fmt: skip
            losses[name] = float(np.median(found))
    for name, (_, count) in sides.items():
        yield name, count, best[name][0], best[name][1], losses[name]


def main(arguments: list[str] | None = None) -> int:
    """Print the table; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many", description=__doc__)
    parser.add_argument("--models", type=int, default=1000, help="of this library (1000)")
    parser.add_argument("--peer-models", type=int, default=10, help="of each peer (10)")
    parser.add_argument("--rounds", type=int, default=3, help="the best one counts (3)")
    parser.add_argument("--no-peers", action="store_true", help="this library only")
    chosen = parser.parse_args(arguments)
    if min(chosen.models, chosen.peer_models, chosen.rounds) < 1:
        parser.error("--models, --peer-models and --rounds must be above zero.")
    data = make_data(max(chosen.models, chosen.peer_models))
    sides: dict[str, tuple[Side, int]] = {"rnn_engine, in turn": (in_turn, chosen.models),
             "rnn_engine, threads": (in_threads, chosen.models),
             "rnn_engine, fit_many": (in_processes, chosen.models)}  # fmt: skip
    for of in () if chosen.no_peers else (keras_side, torch_side):
        theirs = of()
        sides |= {name: (function, chosen.peer_models) for name, function in theirs.items()}
        if not theirs:
            print(f"{of.__name__}: not installed, left out", file=sys.stderr)
    print("| side | models | ms a model | ms of processor | 1,000 models | median loss |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, count, passed, used, loss in measure(sides, data, chosen.rounds):
        whole = f"{1000 * passed:.1f} s" + ("" if count >= 1000 else " (reckoned)")
        print(
            f"| {name} | {count} | {1e3 * passed:.2f} | {1e3 * used:.2f} | {whole} | {loss:.3f} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
