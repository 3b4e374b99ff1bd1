"""What is compared: named cases, and random ones."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from reference.case import Case, LayerSpec, dense, gru, lstm, rnn

ACTIVATIONS = ("tanh", "relu", "linear", "sigmoid")

TUTORIAL: tuple[Case, ...] = (
    Case("tutorial: rnn 5, dense 1", [rnn(5), dense(1)], (2, 4, 1), training_steps=53),
    Case("tutorial: rnn 10, dense 1", [rnn(10), dense(1)], (7, 5, 1), seed=1, training_steps=53),
    Case("tutorial: rnn 20, dense 2", [rnn(20), dense(2)], (9, 10, 3), seed=2, training_steps=53),
)


def option_cases() -> Iterator[Case]:
    """Yield a case for each activation and option."""
    for i, activation in enumerate(ACTIVATIONS):
        layers = [rnn(7, activation=activation), dense(3)]
        yield Case(f"activation {activation}", layers, (5, 9, 4), seed=10 + i)
    in_time = [rnn(6, return_sequences=True), dense(2, activation="tanh")]
    backwards = [rnn(6, go_backwards=True, return_sequences=True)]
    no_bias = [rnn(6, use_bias=False), dense(2, use_bias=False)]
    stack = [rnn(9, return_sequences=True), rnn(5, return_sequences=True), rnn(4), dense(2)]
    yield Case("return_sequences, dense in time", in_time, (3, 8, 5), seed=20)
    yield Case("go_backwards", [rnn(6, go_backwards=True), dense(2)], (3, 8, 5), seed=21)
    yield Case("go_backwards, return_sequences", backwards, (3, 8, 5), seed=22)
    yield Case("no bias", no_bias, (4, 6, 3), seed=23)
    yield Case("stack of three", stack, (4, 7, 3), seed=24)
    yield Case("dense only", [dense(6, activation="relu"), dense(3)], (4, 5, 7), seed=34)


def size_cases() -> Iterator[Case]:
    """Yield small, odd and large sizes, and values at the ends of the range."""
    yield Case("one of everything", [rnn(1), dense(1)], (1, 1, 1), seed=25)
    yield Case("one step", [rnn(8), dense(2)], (6, 1, 3), seed=26)
    yield Case("one sample", [rnn(33), dense(1)], (1, 11, 2), seed=27)
    yield Case("odd sizes", [rnn(97), dense(3)], (17, 13, 29), seed=28)
    yield Case("long", [rnn(16), dense(1)], (2, 512, 3), seed=32)
    yield Case("wide batch", [rnn(32), dense(1)], (65, 12, 8), seed=33)
    layers, sizes = [rnn(12), dense(2)], (5, 6, 4)
    # Adam divides by the size of a gradient, so it would show nothing but the noise
    # of those that saturation makes tiny.
    large: dict[str, Any] = {"value_scale": 30.0, "weight_scale": 4.0, "optimizer": "sgd"}
    yield Case("saturated", layers, sizes, seed=29, **large)
    yield Case("small values", layers, sizes, seed=30, value_scale=1e-4)
    yield Case("denormal input", layers, sizes, seed=31, value_scale=1e-40)


def loss_cases() -> Iterator[Case]:
    """Yield a case for each loss, with the optimizers shared out among them."""
    binary = [rnn(6), dense(1, activation="sigmoid")]
    classes = [rnn(6), dense(4, activation="softmax")]
    in_time = [rnn(6, return_sequences=True), dense(4, activation="softmax")]
    cross = "categorical_crossentropy"
    absolute = Case("mean absolute error", [rnn(6), dense(3)], (5, 6, 2), seed=35)
    yield replace(absolute, loss="mean_absolute_error", optimizer="sgd")
    sigmoid = Case("sigmoid", binary, (6, 5, 2), seed=36)
    yield replace(sigmoid, loss="binary_crossentropy", optimizer="rmsprop")
    yield Case("softmax", classes, (6, 5, 2), seed=37, loss=cross)
    yield Case("softmax in time", in_time, (3, 5, 2), seed=38, loss=f"sparse_{cross}")


def gru_before(units: int, **options: Any) -> LayerSpec:
    """Return the spec of a GRU that resets the state before its product."""
    return gru(units, reset_after=False, **options)


# The cells, by the names that their cases have and that tests are called by.
CELLS: dict[str, Callable[..., LayerSpec]] = {
    "SimpleRNN": rnn,
    "LSTM": lstm,
    "GRU": gru,
    "GRU before": gru_before,
}


def cell_cases(name: str, seed: int) -> Iterator[Case]:
    """Yield the cases of one gated cell: options, sizes, values."""
    cell = CELLS[name]

    def case(label: str, layers: list[LayerSpec], sizes: tuple[int, int, int], **more: Any) -> Case:
        nonlocal seed
        seed += 1
        return Case(f"{name}: {label}", layers, sizes, seed=seed, **more)

    small, sizes = [cell(7), dense(3)], (5, 9, 4)
    relu = cell(7, activation="relu", recurrent_activation="hard_sigmoid")
    backwards = cell(6, go_backwards=True, return_sequences=True)
    stack = [cell(9, return_sequences=True), cell(5, return_sequences=True), cell(4), dense(2)]
    large: dict[str, Any] = {"value_scale": 30.0, "weight_scale": 4.0, "optimizer": "sgd"}
    yield case("tutorial", [cell(10), dense(1)], (7, 5, 1), training_steps=53)
    yield case("relu, hard_sigmoid", [relu, dense(3)], sizes)
    yield case("in time", [cell(6, return_sequences=True), dense(2, activation="tanh")], (3, 8, 5))
    yield case("go_backwards", [backwards], (3, 8, 5))
    yield case("no bias", [cell(6, use_bias=False), dense(2, use_bias=False)], (4, 6, 3))
    yield case("stack of three", stack, (4, 7, 3))
    yield case("one of everything", [cell(1), dense(1)], (1, 1, 1))
    yield case("one sample", [cell(17), dense(1)], (1, 11, 2))
    yield case("odd sizes", [cell(41), dense(3)], (17, 13, 29))
    yield case("long", [cell(16), dense(1)], (2, 256, 3))
    yield case("saturated", small, sizes, training_steps=3, **large)
    yield case("small values", small, sizes, value_scale=1e-4)
    yield case("softmax in time", [cell(6, return_sequences=True), dense(4, activation="softmax")],
               (3, 5, 2), loss="sparse_categorical_crossentropy", optimizer="rmsprop")  # fmt: skip


def mixed_case() -> Case:
    """Return a case with every cell in one stack."""
    layers = [
        lstm(6, return_sequences=True),
        gru(5, return_sequences=True, go_backwards=True),
        rnn(4, return_sequences=True),
        gru_before(7),
        dense(2),
    ]
    return Case("every cell in one stack", layers, (5, 6, 3), seed=90)


def fixed_cases() -> list[Case]:
    """Return the named cases of the table, the tutorial's models first."""
    gated = [
        case
        for number, name in enumerate(CELLS)
        if name != "SimpleRNN"
        for case in cell_cases(name, 200 * number)
    ]
    return [*TUTORIAL, *option_cases(), *size_cases(), *loss_cases(), *gated, mixed_case()]


_ODD_SIZES = (1, 2, 3, 5, 7, 8, 11, 16, 17, 31, 33)


def random_case(rng: np.random.Generator, number: int) -> Case:
    """Draw a stack of one to three layers with random options, sizes and scales."""
    depth = int(rng.integers(1, 4))
    keep_time = bool(rng.integers(2))
    layers: list[LayerSpec] = []
    for position in range(depth):
        last_rnn = position == depth - 1
        cell = CELLS[str(rng.choice(list(CELLS)))]
        layers.append(
            cell(
                int(rng.choice(_ODD_SIZES)),
                activation=str(rng.choice(ACTIVATIONS, p=[0.5, 0.15, 0.1, 0.25])),
                use_bias=bool(rng.integers(4)),
                go_backwards=bool(rng.integers(2)),
                return_sequences=keep_time or not last_rnn,
            )
        )
    if rng.integers(4):
        activation = str(rng.choice(["linear", "tanh", "sigmoid"]))
        layers.append(dense(int(rng.integers(1, 6)), activation=activation))
    batch, steps, features = (int(n) for n in rng.choice(_ODD_SIZES, 3))
    return Case(
        f"random {number}",
        layers,
        (batch, steps, features),
        optimizer="sgd",
        seed=int(rng.integers(2**31)),
        value_scale=float(10.0 ** rng.uniform(-3, 1.5)),
        weight_scale=float(rng.choice([0.3, 1.0, 1.5])),
        training_steps=3,
    )


def random_cases(count: int, seed: int) -> Iterator[Case]:
    """Draw `count` cases, the same for the same seed."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        yield random_case(rng, number)
