"""What hypothesis draws: sizes, values, layouts, masks, whole problems.

Arrays are drawn as a seed, from which NumPy fills them: hypothesis then spends its
effort on shapes and options, and a failing example is short to print.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from reference.case import Case, bias_shape, dense
from reference.cases import ACTIVATIONS
from reference.cases import CELLS as CELL_SPECS
from reference.oracle import CELLS, recurrent_options
from reference.oracle_recurrent import Recurrent
from tests.tolerances import PER_KERAS_PROPERTY

# Different lists, so that two axes have the same size only when both are 1 or by a
# rare chance: swapped axes must not fit.
BATCHES = (1, 2, 3, 5, 9, 14)
STEPS = (1, 4, 6, 7, 13, 21)
FEATURES = (1, 2, 3, 8, 10, 15)
UNITS = (1, 4, 5, 7, 11, 16, 17, 33)

VALUES = ("normal", "small", "large", "denormal", "saturated", "mixed")
LAYOUTS = ("plain", "fortran", "strided", "reversed", "transposed", "read-only", "big-endian")
GATE_ACTIVATIONS = ("sigmoid", "sigmoid", "hard_sigmoid", "tanh")
MASKS = (None, "right", "left", "holes", "empty rows", "all")


def seeds() -> st.SearchStrategy[int]:
    """Draw the seed of a problem's arrays."""
    return st.integers(0, 2**32 - 1)


def dtypes() -> st.SearchStrategy[str]:
    """Draw one of the two float types."""
    return st.sampled_from(["float32", "float64"])


def values(rng: np.random.Generator, shape: tuple[int, ...], kind: str, dtype: str) -> np.ndarray:
    """Return an array of one of `VALUES`; of tiny numbers, some are zero."""
    x = rng.normal(size=shape)
    if kind == "small":
        x *= 1e-4
    elif kind == "large":
        x *= 1e3
    elif kind == "denormal":
        x *= float(np.finfo(dtype).tiny) / 4
    elif kind == "saturated":
        x = 25 * np.sign(x)
    elif kind == "mixed":
        x *= 10.0 ** rng.uniform(-6, 2, shape)
    return x.astype(dtype)


def laid_out(x: np.ndarray, layout: str) -> np.ndarray:
    """Return an array equal to `x` that lies otherwise in memory."""
    if layout == "fortran":
        return np.asfortranarray(x)
    if layout == "strided":
        wide = np.full((*x.shape[:-1], 2 * x.shape[-1]), np.nan, x.dtype)
        wide[..., ::2] = x
        return wide[..., ::2]
    if layout == "reversed":
        return np.ascontiguousarray(x[:, ::-1])[:, ::-1]
    if layout == "transposed":
        return np.ascontiguousarray(np.moveaxis(x, 0, -1)).transpose(x.ndim - 1, *range(x.ndim - 1))
    if layout == "read-only":
        x = x.copy()
        x.flags.writeable = False
    if layout == "big-endian":
        return x.astype(x.dtype.newbyteorder(">"))
    return x


def a_mask(rng: np.random.Generator, kind: str | None, batch: int, steps: int) -> np.ndarray | None:
    """Return a boolean mask (batch, steps) of one of `MASKS`."""
    if kind is None:
        return None
    lengths = rng.integers(0, steps + 1, batch)[:, None]
    if kind == "right":
        return np.arange(steps) < lengths
    if kind == "left":
        return np.arange(steps) >= lengths
    mask = rng.random((batch, steps)) > 0.4
    if kind == "empty rows":
        mask[rng.integers(batch)] = False
    return np.ones_like(mask) if kind == "all" else mask


@dataclass(frozen=True)
class RnnProblem:
    """One recurrent layer with its data and the gradients that arrive from above.

    States are arrays, or lists of them where the cell has several.
    """

    dtype: str
    options: dict[str, Any]
    weights: list[np.ndarray]
    x: np.ndarray
    dy: np.ndarray
    dstate: Any
    initial_state: Any
    mask: np.ndarray | None
    layout: str
    cell: str = "SimpleRNN"

    def oracle(self) -> Recurrent:
        """Return the oracle of the layer."""
        bias = self.weights[2] if self.options["use_bias"] else None
        wide = [None if w is None else w.astype(np.float64) for w in (*self.weights[:2], bias)]
        options = recurrent_options(self.cell, self.options)
        return CELLS[self.cell](*wide, activation=self.options["activation"], **options)

    def names(self) -> list[str]:
        """Names of the weights, in their order."""
        return ["kernel", "recurrent_kernel", "bias"][: len(self.weights)]


# Every cell with the settings that make another of it.
ALL_CELLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("SimpleRNN", {}),
    ("LSTM", {}),
    ("GRU", {"reset_after": True}),
    ("GRU", {"reset_after": False}),
)
SIMPLE = ALL_CELLS[:1]


def weights_of(
    rng: np.random.Generator, cell: str, features: int, options: dict[str, Any]
) -> list[np.ndarray]:
    """Draw the weights of a layer: asymmetric, no bias zero."""
    u = options["units"]
    width = CELLS[cell].gates * u
    weights = [rng.normal(0, n**-0.5, (n, width)) for n in (features, u)]
    if options["use_bias"]:
        shape = bias_shape(cell, options, width)
        weights.append(rng.uniform(0.1, 0.6, shape) * rng.choice([-1.0, 1.0], shape))
    return weights


@st.composite
def rnn_problems(
    draw: Callable[..., Any],
    kinds: tuple[str, ...] = VALUES,
    cells: tuple[tuple[str, dict[str, Any]], ...] = SIMPLE,
) -> RnnProblem:
    """Draw a recurrent layer with every option crossed with the others."""
    cell, own = draw(st.sampled_from(cells))
    options = {
        "activation": draw(st.sampled_from(ACTIVATIONS)),
        "use_bias": draw(st.booleans()),
        "return_sequences": draw(st.booleans()),
        "return_state": draw(st.booleans()),
        "go_backwards": draw(st.booleans()),
        "zero_output_for_mask": draw(st.booleans()),
        **own,
    }
    if cell != "SimpleRNN":
        options["recurrent_activation"] = draw(st.sampled_from(GATE_ACTIVATIONS))
    dtype, kind = draw(dtypes()), draw(st.sampled_from(kinds))
    b, t = draw(st.sampled_from(BATCHES)), draw(st.sampled_from(STEPS))
    f, u = draw(st.sampled_from(FEATURES)), draw(st.sampled_from(UNITS))
    options["units"] = u
    mask, with_state = draw(st.sampled_from(MASKS)), draw(st.booleans())
    rng = np.random.default_rng(draw(seeds()))
    weights = weights_of(rng, cell, f, options)
    count = CELLS[cell].states

    def states(kind: str) -> Any:
        arrays = [values(rng, (b, u), kind, dtype) for _ in range(count)]
        return arrays if count > 1 else arrays[0]

    return RnnProblem(
        dtype=dtype,
        options=options,
        weights=[w.astype(dtype) for w in weights],
        x=values(rng, (b, t, f), kind, dtype),
        dy=rng.normal(size=(b, t, u) if options["return_sequences"] else (b, u)).astype(dtype),
        dstate=states("normal"),
        initial_state=states(kind) if with_state else None,
        mask=a_mask(rng, mask, b, t),
        layout=draw(st.sampled_from(LAYOUTS)),
        cell=cell,
    )


@st.composite
def cases(draw: Callable[..., Any]) -> Case:
    """Draw a model: up to three recurrent layers of any cell, with or without a Dense after."""
    depth = draw(st.integers(1, 3))
    in_time = draw(st.booleans())
    cells = st.sampled_from(list(CELL_SPECS.values()))
    layers = [
        draw(cells)(
            draw(st.sampled_from(UNITS)),
            activation=draw(st.sampled_from(ACTIVATIONS)),
            use_bias=draw(st.booleans()),
            go_backwards=draw(st.booleans()),
            return_sequences=in_time or position < depth - 1,
        )
        for position in range(depth)
    ]
    if draw(st.booleans()):
        activation = draw(st.sampled_from(["linear", "tanh", "sigmoid"]))
        units, use_bias = draw(st.integers(1, 6)), draw(st.booleans())
        layers.append(dense(units, activation=activation, use_bias=use_bias))
    sizes = tuple(draw(st.sampled_from(axis)) for axis in (BATCHES, STEPS, FEATURES))
    return Case(
        "drawn",
        layers,
        sizes,
        seed=draw(seeds()),
        optimizer="sgd",
        value_scale=draw(st.sampled_from([1.0, 1e-3, 20.0])),
        weight_scale=draw(st.sampled_from([1.0, 0.4])),
    )


def keras_examples() -> int:
    """Return how many examples a property takes that runs TensorFlow in each."""
    return max(1, int(settings().max_examples * PER_KERAS_PROPERTY))
