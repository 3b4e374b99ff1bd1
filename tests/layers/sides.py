"""One recurrent layer on both sides, and a forward and backward pass through it.

A side is a namespace of layers: ours or Keras's, each with a cell of a user's own,
`TwoStates`, that has two states of different sizes and an output of the second's.
"""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import rnn_engine
from reference import compare
from tests import tolerances

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")


class TwoStates(rnn_engine.layers.Layer):
    """a' = tanh(x·W + a·R + b·P), b' = b/2 + a'·Q, output b'."""

    def __init__(self, sizes: tuple[int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.state_size = list(sizes)
        self.output_size = sizes[1]

    def create_weights(self, input_shape: Any) -> None:
        self.make_weights(input_shape[-1])

    def make_weights(self, features: int) -> None:
        u, v = self.state_size
        shapes = {"w": (features, u), "r": (u, u), "p": (v, u), "q": (u, v)}
        for name, shape in shapes.items():
            setattr(self, name, self.add_weight(shape, "glorot_uniform", name=name))

    def forward(self, x: Any, states: Any, training: bool = False) -> Any:
        a, b = states
        new_a = np.tanh(x @ self.w.value + a @ self.r.value + b @ self.p.value)
        new_b = b / 2 + new_a @ self.q.value
        return new_b, [new_a, new_b], (x, a, b, new_a)

    def backward(self, doutput: Any, dstates: Any, saved: Any) -> Any:
        x, a, b, new_a = saved
        db = doutput + dstates[1]
        da = dstates[0] + db @ self.q.value.T
        dz = da * (1 - new_a**2)
        for weight, left, right in (
            (self.w, x, dz), (self.r, a, dz), (self.p, b, dz), (self.q, new_a, db)
        ):  # fmt: skip
            weight.grad[...] += left.T @ right
        before = [dz @ self.r.value.T, db / 2 + dz @ self.p.value.T]
        return dz @ self.w.value.T, before

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "sizes": tuple(self.state_size)}


class KerasTwoStates(keras.layers.Layer):
    """The same in Keras."""

    def __init__(self, sizes: tuple[int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes = tuple(sizes)
        self.state_size = list(sizes)
        self.output_size = sizes[1]

    def build(self, input_shape: Any) -> None:
        TwoStates.make_weights(self, input_shape[-1])
        self.built = True

    def call(self, x: Any, states: Any, training: bool = False) -> Any:
        a, b = states
        a = tf.tanh(x @ self.w + a @ self.r + b @ self.p)
        b = b / 2 + a @ self.q
        return b, [a, b]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "sizes": self.sizes}


OURS = SimpleNamespace(
    **{name: getattr(rnn_engine.layers, name) for name in dir(rnn_engine.layers)}
)
OURS.TwoStates = TwoStates
THEIRS = SimpleNamespace(
    **{name: getattr(keras.layers, name) for name in dir(keras.layers) if name[0].isupper()}
)
THEIRS.TwoStates = KerasTwoStates


def flat(nest: Any) -> list[Any]:
    """Return the leaves of a nest of lists and tuples; None counts as a leaf."""
    if isinstance(nest, list | tuple):
        return [leaf for part in nest for leaf in flat(part)]
    return [nest]


def nested(size: Any, arrays: Any) -> Any:
    """Return the arrays of an iterator in the nest of a cell's `state_size`."""
    if isinstance(size, list | tuple):
        return [nested(part, arrays) for part in size]
    return next(arrays)


def form(nest: Any) -> Any:
    """Return the shapes of a nest, in its form."""
    if isinstance(nest, list | tuple):
        return [form(part) for part in nest]
    return tuple(nest.shape)


@dataclass
class Pass:
    """What a pass through a layer finds, each a list of arrays."""

    outputs: list[np.ndarray]
    form: Any
    parameters: list[np.ndarray]
    inputs: list[np.ndarray]
    states: list[np.ndarray]


def our_pass(
    layer: Any, x: Any, dys: Any, states: Any = None, mask: Any = None, training: bool = True
) -> Pass:
    """Run one of our layers forward, and back from `dys`, a gradient for every output."""
    named = {} if states is None else {"initial_state": states}
    if layer.saves_on_demand:
        named["keep"] = True
    x = layer.convert(x)
    y, saved = layer.forward(x, training, mask, **named)
    for variable in layer.trainable_weights:
        variable.grad.fill(0)
    several = isinstance(y, tuple)
    dx = layer.backward(tuple(dys) if several else dys[0], saved)
    dx, *dstates = dx if isinstance(dx, tuple) else (dx,)
    return Pass(
        [np.array(part) for part in flat(y)],
        form(y),
        [v.grad.copy() for v in layer.trainable_weights],
        [np.array(dx)],
        [np.array(d) for d in dstates],
    )


def their_pass(
    layer: Any, x: Any, dys: Any, states: Any = None, mask: Any = None, training: bool = True
) -> Pass:
    """Run a Keras layer forward and back."""
    x = tf.constant(x)
    starts = [] if states is None else [tf.constant(s) for s in states]
    call: dict[str, Any] = {"training": training}
    two_ways = hasattr(layer, "forward_layer")
    if states is not None:
        halves = [layer.forward_layer, layer.backward_layer] if two_ways else [layer]
        arrays = iter(starts)
        call["initial_state"] = [s for half in halves for s in nested(half.state_size, arrays)]
    if mask is not None:
        call["mask"] = tf.constant(mask)
    with tf.GradientTape() as tape:
        tape.watch([x, *starts])
        y = layer(x, **call)
        total = tf.add_n([tf.reduce_sum(a * b) for a, b in zip(flat(y), dys, strict=True)])
    sources = [*(v.value for v in layer.trainable_variables), x, *starts]
    grads = tape.gradient(total, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    arrays, count = [np.asarray(g) for g in grads], len(layer.trainable_variables)
    outputs = [np.asarray(part) for part in flat(y)]
    return Pass(outputs, form(y), arrays[:count], [arrays[count]], arrays[count + 1 :])


# Both sides round in their own order: by the largest of an array, with room for what
# a few steps of recurrence amplify.
ALLOWED = {"float32": 2e-4, "float64": 1e-11}


def agree(ours: Pass, theirs: Pass, dtype: str) -> None:
    """Compare everything two passes found."""
    for name in ("outputs", "parameters", "inputs", "states"):
        found, wanted = getattr(ours, name), getattr(theirs, name)
        assert len(found) == len(wanted), name
        for i, (a, b) in enumerate(zip(found, wanted, strict=True)):
            size = np.abs(b[np.isfinite(b)]).max(initial=1e-3)
            error = compare.relative_error(a, b, dtype, np.full(b.shape, size))
            assert error <= ALLOWED[dtype], f"{name} {i}: {error}"
            assert a.dtype == dtype


def share(ours: Any, theirs: Any, rng: np.random.Generator) -> None:
    """Give both layers the same weights: none zero, none symmetric."""
    values = []
    for weight in ours.get_weights():
        scale = weight.shape[0] ** -0.5 if weight.ndim > 1 else 0.4
        values.append(rng.normal(0, scale, weight.shape).astype(weight.dtype))
    ours.set_weights(values)
    theirs.set_weights(values)


def slopes(layer: Any, x: Any, dys: Any, states: Any, mask: Any, seed: int) -> None:
    """Compare every gradient with a central difference along a drawn direction."""
    found = our_pass(layer, x, dys, states, mask)
    rng = np.random.default_rng(seed)
    before = layer.get_weights()

    def total(weights: Any, x: Any, states: Any) -> float:
        layer.set_weights(weights)
        named = {} if states is None else {"initial_state": states}
        y, _ = layer.forward(x, False, mask, **named)
        return float(sum(np.sum(a * b) for a, b in zip(flat(y), dys, strict=True)))

    step = tolerances.DIFFERENCE_STEP
    count = len(before)
    points = [*before, x, *(states or [])]
    grads = [*found.parameters, *found.inputs, *found.states]
    assert len(points) == len(grads)
    for position, grad in enumerate(grads):
        way = rng.normal(size=grad.shape)
        ends = []
        for sign in (step, -step):
            moved = [p + sign * way if i == position else p for i, p in enumerate(points)]
            given = None if states is None else moved[count + 1 :]
            ends.append(total(moved[:count], moved[count], given))
        slope, wanted = (ends[0] - ends[1]) / (2 * step), np.sum(grad * way)
        size = np.sum(np.abs(grad * way)) + 1
        assert abs(slope - wanted) <= tolerances.FINITE_DIFFERENCE * size, position
    layer.set_weights(before)
