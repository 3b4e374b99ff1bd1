"""Random compositions of ops, layers and losses: values and gradients beside Keras's."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rnn_engine
from rnn_engine import GradientTape, ops
from tests.tolerances import PER_KERAS_PROPERTY

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

# Steps of tensors (B, T, F) that keep the shape; `o` has the ops, `w` is a weight (F, F).
STEPS = {
    "tanh": lambda o, x, w: o.tanh(x),
    "matmul": lambda o, x, w: o.matmul(x, w),
    "einsum": lambda o, x, w: o.einsum("btf,fg->btg", x, w),
    "softmax": lambda o, x, w: o.softmax(x, axis=1),
    "norm": lambda o, x, w: x / (1.0 + o.norm(x, axis=-1, keepdims=True)),
    "gate": lambda o, x, w: x * o.sigmoid(o.matmul(x, w)),
    "center": lambda o, x, w: x - o.mean(x, axis=(0, 1), keepdims=True),
    "roll": lambda o, x, w: o.concatenate([x[:, 1:], x[:, :1]], axis=1),
    "power": lambda o, x, w: (x**2 + 1.0) ** 0.5,
    "where": lambda o, x, w: o.where(x > 0.1, x, 0.5 * x),
    "attend": lambda o, x, w: o.matmul(o.softmax(o.matmul(x, o.transpose(x, (0, 2, 1)))), x),
    "maximum": lambda o, x, w: o.maximum(x, 0.3 * w[0]),
    "flip": lambda o, x, w: o.flip(x, axis=1) + o.cumsum(x, axis=1),
}
LOSSES = ("mse", "mae", "huber", "log_cosh", "cosine_similarity")


@settings(max_examples=max(5, int(settings().max_examples * PER_KERAS_PROPERTY)))
@given(
    steps=st.lists(st.sampled_from([*STEPS, "dense", "rnn"]), min_size=1, max_size=5),
    loss=st.sampled_from(LOSSES),
    seed=st.integers(0, 2**16),
)
def test_a_composition(steps: list[str], loss: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    b, t, f = (int(n) for n in rng.integers(2, 5, 3))
    x, target = (rng.normal(size=(b, t, f)).astype("float32") for _ in range(2))
    weight = (0.5 * rng.normal(size=(f, f))).astype("float32")
    kept: list[Any] = []

    def run(kit: Any, tape_of: Any, tensor: Any, variable: Any) -> Any:
        made = []
        with tape_of() as tape:
            tape.watch(tensor)
            y = tensor
            for place, step in enumerate(steps):
                if step in STEPS:
                    y = STEPS[step](kit.ops, y, variable)
                    continue
                dense = step == "dense"
                layer = (
                    kit.layers.Dense(f, activation="gelu")
                    if dense
                    else kit.layers.SimpleRNN(f, return_sequences=True)
                )
                layer.build((b, t, f))
                if kit is keras:
                    kept.append((place, layer.get_weights()))
                else:
                    layer.set_weights(dict(kept)[place])
                made += layer.trainable_variables
                y = layer(y)
            value = kit.losses.get(loss)(target, y)
            total = kit.ops.mean(value) + 0.1 * kit.ops.sum(kit.ops.square(variable))
        sources = [tensor, variable, *made]
        return y, total, tape.gradient(total, sources)

    theirs = run(keras, tf.GradientTape, tf.constant(x), keras.Variable(weight))
    ours = run(rnn_engine, GradientTape, ops.convert_to_tensor(x), rnn_engine.Variable(weight))
    pairs = [(ours[0], theirs[0]), (ours[1], theirs[1]), *zip(ours[2], theirs[2], strict=True)]
    for mine, other in pairs:
        expected = np.asarray(other)
        scale = max(1e-2, float(np.abs(expected).max()))
        np.testing.assert_allclose(np.asarray(mine), expected, rtol=0, atol=5e-5 * scale)
