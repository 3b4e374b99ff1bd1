"""Models that are exported, and the C program that runs one."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rnn_engine import Input, Model, Sequential
from rnn_engine.layers import (
    ELU,
    GRU,
    LSTM,
    Activation,
    Add,
    BatchNormalization,
    Concatenate,
    Conv1D,
    Dense,
    Dropout,
    GaussianNoise,
    LayerNormalization,
    LeakyReLU,
    Multiply,
    PReLU,
    ReLU,
    Rescaling,
    SimpleRNN,
    Softmax,
    Subtract,
    TimeDistributed,
)

HERE = Path(__file__).parent
STRICT = ["-Wall", "-Wextra", "-Werror", "-pedantic"]

# Features of the input, and the layers. Sizes that fill registers and such that do not.
MODELS: dict[str, tuple[int, Callable[[], list[Any]]]] = {
    "simple": (3, lambda: [SimpleRNN(7, return_sequences=True)]),
    "simple_last": (2, lambda: [SimpleRNN(16, activation="relu"), Dense(3)]),
    "lstm": (1, lambda: [LSTM(20, return_sequences=True), Dense(1)]),
    "lstm_last": (5, lambda: [LSTM(33)]),
    "lstm_wide": (
        3,
        lambda: [
            LSTM(70, return_sequences=True, recurrent_activation="hard_sigmoid", use_bias=False)
        ],
    ),
    "gru": (2, lambda: [GRU(32, return_sequences=True), Dense(2, activation="tanh")]),
    "gru_last": (2, lambda: [GRU(9), Dense(2)]),
    "gru_before": (2, lambda: [GRU(19, return_sequences=True, reset_after=False)]),
    "gru_before_last": (1, lambda: [GRU(8, reset_after=False, activation="softsign")]),
    "long_sums": (270, lambda: [SimpleRNN(300, return_sequences=True), Dense(2)]),
    "stack": (
        4,
        lambda: [
            GRU(8, return_sequences=True),
            Dropout(0.5),
            LSTM(5, return_sequences=True),
            SimpleRNN(9),
            Dense(6, activation="relu"),
            Dense(5, activation="softmax"),
        ],
    ),
    "between": (
        6,
        lambda: [
            Rescaling(0.3, offset=0.1),
            LayerNormalization(),
            TimeDistributed(Dense(20, activation="gelu")),
            BatchNormalization(),
            GaussianNoise(0.3),
            PReLU(shared_axes=[1], alpha_initializer="glorot_uniform"),
            Sequential([Dense(21), Activation("silu"), LSTM(6, return_sequences=True)]),
            TimeDistributed(Sequential([Dense(18, activation="softmax"), Dense(5)])),
        ],
    ),
    "pointwise": (
        6,
        lambda: [
            Activation("tanh"),
            Rescaling([1.0, 2.0, 3.0, -1.0, 0.5, 0.25]),
            LeakyReLU(0.1),
            Dense(4),
            ReLU(1.0, 0.2),
            ELU(),
            Dense(37),
            Softmax(),
        ],
    ),
    "convolutions": (
        4,
        lambda: [
            Conv1D(6, 3, padding="causal", activation="relu"),
            Conv1D(8, 3, padding="causal", dilation_rate=20, groups=2, activation="tanh"),
            Conv1D(3, 1),
            GRU(5, return_sequences=True),
            Conv1D(2, 4, padding="causal", use_bias=False, activation="softmax"),
        ],
    ),
}


def _skipped() -> Model:
    """Return a network beside which its input goes on, as effects have it."""
    x = Input((None, 1))
    return Model(x, Add()([x, Dense(1)(LSTM(16, return_sequences=True)(x))]))


def _branched() -> Model:
    """Return a graph whose branches are joined in all ways, before the last step and behind it."""
    x = Input((None, 3))
    a, b = Dense(5, activation="tanh")(x), GRU(5, return_sequences=True)(x)
    joined = Concatenate()([Add()([a, b, a]), Multiply()([a, b]), Subtract()([b, a]), x])
    last = LSTM(6)(Dropout(0.2)(joined))
    c, d = Dense(4)(last), Sequential([Dense(7), Dense(4, activation="relu")])(last)
    return Model(x, Concatenate()([Add()([d, c]), last]))


GRAPHS = {"skipped": (1, _skipped), "branched": (3, _branched)}


def made(name: str) -> Any:
    """Return a model with weights that are always the same, none of them zero."""
    features, make = {**MODELS, **GRAPHS}[name]
    model = make() if name in GRAPHS else Sequential([Input((None, features)), *make()])
    rng = np.random.default_rng(sum(map(ord, name)))
    for variable in model.weights:
        new = rng.normal(size=variable.shape) / np.sqrt(variable.shape[0])
        variable.assign(np.abs(new) if "variance" in variable.path else new)
    return model


def inputs(name: str, batch: int, steps: int) -> np.ndarray:
    """Return inputs (batch, steps, features), some of them denormal, some zero."""
    rng = np.random.default_rng(batch + steps)
    x = rng.normal(size=(batch, steps, {**MODELS, **GRAPHS}[name][0])).astype(np.float32)
    x[rng.random(x.shape) < 0.05] = 1e-41
    x[rng.random(x.shape) < 0.05] = 0.0
    return x


def predicted(model: Any, x: np.ndarray) -> np.ndarray:
    return np.asarray(model.predict(x, verbose=0))


class Program:
    """A model as a C program."""

    def __init__(self, model: Any, folder: Path, **options: Any) -> None:
        model.export(folder, format="c", name="net", **options)
        self.outputs = model.output_shape[-1]
        self.path = compiled(folder, HERE / "drive.c", "libnet.a")

    def run(self, x: np.ndarray, *arguments: Any) -> np.ndarray:
        """Return what it prints, as rows."""
        command = [str(self.path), *map(str, arguments)]
        done = subprocess.run(command, input=x.tobytes(), capture_output=True, check=True)
        return np.frombuffer(done.stdout, np.float32).reshape(-1, self.outputs)


def compiled(folder: Path, source: Path, *libraries: str) -> Path:
    """Compile a program beside the libraries in a folder; return where it is."""
    target = folder / source.stem
    command = ["cc", "-std=c99", *STRICT, f"-I{folder}", str(source), *libraries, "-o", str(target)]
    subprocess.run(command, cwd=folder, check=True)
    return target


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether all numbers are the same, zeros with their sign."""
    return a.shape == b.shape and bool(np.array_equal(a.view(np.uint32), b.view(np.uint32)))
