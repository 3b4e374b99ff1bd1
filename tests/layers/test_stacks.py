"""Random stacks of all these layers around recurrent ones, in one Sequential, against Keras."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_engine import Sequential, config, layers, optimizers, regularizers
from tests import strategies, tolerances

LayerSpec = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Stack:
    """A model by its layers, with a batch for it."""

    specs: list[LayerSpec]
    x: np.ndarray
    y: np.ndarray
    loss: str
    optimizer: str
    seed: int

    def make(self, dtype: str) -> Sequential:
        """Return the compiled model with weights drawn from the seed."""
        before = config.floatx()
        config.set_floatx(dtype)
        try:
            model = Sequential([getattr(layers, n)(**options) for n, options in self.specs])
        finally:
            config.set_floatx(before)
        model.build((None, *self.x.shape[1:]))
        rng = np.random.default_rng(self.seed)
        for v in model.weights:
            if v.name in ("gamma", "moving_variance"):
                value = rng.uniform(0.5, 1.5, v.shape)
            else:
                value = rng.normal(size=v.shape) * max(v.shape[0], 1) ** -0.5
            v.assign(value.astype(np.float32))
        rates = {"sgd": optimizers.SGD(0.05), "adam": optimizers.Adam(0.01)}
        model.compile(rates[self.optimizer], self.loss)
        return model


def _regularizer(draw: Any) -> Any:
    # Keras passes factors through float32, so these are numbers it holds.
    choice = draw(st.sampled_from([None, None, regularizers.L1, regularizers.L2]))
    return choice and choice(2.0**-6)


def _middle(draw: Any, features: int) -> tuple[LayerSpec, int]:
    """Draw a layer that keeps a sequence one, and the features behind it."""
    kind = draw(st.sampled_from([
        "SimpleRNN", "LSTM", "GRU", "LayerNormalization", "BatchNormalization",
        "ActivityRegularization", "Rescaling", "Dropout", "GaussianNoise", "Dense",
    ]))  # fmt: skip
    options: dict[str, Any] = {"trainable": draw(st.sampled_from([True, True, True, False]))}
    if kind in ("SimpleRNN", "LSTM", "GRU"):
        features = draw(st.sampled_from([1, 3, 6]))
        options |= {
            "units": features,
            "return_sequences": True,
            "go_backwards": draw(st.booleans()),
            "zero_output_for_mask": draw(st.booleans()),
            "activity_regularizer": _regularizer(draw),
            "kernel_regularizer": _regularizer(draw),
        }
    elif kind == "Dense":
        features = draw(st.sampled_from([2, 5]))
        options |= {"units": features, "activity_regularizer": _regularizer(draw)}
    elif kind == "LayerNormalization":
        options |= {"epsilon": 0.05, "beta_regularizer": _regularizer(draw)}
    elif kind == "BatchNormalization":
        options |= {"epsilon": 0.05, "momentum": 0.7, "gamma_regularizer": _regularizer(draw)}
    elif kind == "ActivityRegularization":
        options |= {"l1": 2.0**-6, "l2": 2.0**-5}
    elif kind == "Rescaling":
        options |= {"scale": 0.75, "offset": 0.125}
    else:  # what is drawn differs between the two, so nothing is
        options |= {"rate" if kind == "Dropout" else "stddev": 0.0}
    return (kind, options), features


def _end(draw: Any, steps: int, features: int, masked: bool) -> list[LayerSpec]:
    """Draw the layers that make the output."""
    kind = draw(st.sampled_from(["last", "mean", "max", "flat", "repeat", "reshape", "sequence"]))
    dense: LayerSpec = ("Dense", {"units": 2})
    if kind == "mean":
        return [("GlobalAveragePooling1D", {"keepdims": draw(st.booleans())}), dense]
    if kind == "max" and not masked:
        return [("GlobalMaxPooling1D", {}), dense]
    if kind == "flat" and not masked:
        return [("Permute", {"dims": (2, 1)}), ("Flatten", {}), dense]
    if kind == "reshape" and not masked:
        return [("Reshape", {"target_shape": (-1, steps)}), ("SimpleRNN", {"units": 2})]
    if kind == "sequence":
        return [dense]
    last: LayerSpec = (
        draw(st.sampled_from(["SimpleRNN", "LSTM", "GRU"])),
        {"units": 3, "activity_regularizer": _regularizer(draw)},
    )
    if kind == "repeat":
        normalization: LayerSpec = ("BatchNormalization", {"epsilon": 0.05})
        return [last, ("RepeatVector", {"n": 3}), normalization, dense]
    return [last, ("LayerNormalization", {"epsilon": 0.05}), dense]


@st.composite
def stacks(draw: Callable[..., Any]) -> Stack:
    batch, steps = draw(st.sampled_from([3, 5, 9])), draw(st.sampled_from([1, 4, 7]))
    rng = np.random.default_rng(seed := draw(strategies.seeds()))
    start = draw(st.sampled_from(["Embedding", "Embedding, masked", "Masking", "plain"]))
    specs: list[LayerSpec] = []
    features = draw(st.sampled_from([2, 3, 8]))
    masked = start in ("Embedding, masked", "Masking")
    # Keras's mean of no step is NaN: every row has one open step.
    is_open = rng.random((batch, steps)) > 0.4
    is_open[np.arange(batch), rng.integers(0, steps, batch)] = True
    if start.startswith("Embedding"):
        x = np.where(is_open, rng.integers(1, 6, (batch, steps)), 0)
        options = {"input_dim": 6, "output_dim": features, "mask_zero": masked}
        specs.append(("Embedding", {**options, "embeddings_regularizer": _regularizer(draw)}))
        if draw(st.booleans()):
            specs.append(("SpatialDropout1D", {"rate": 0.0}))
    else:
        x = rng.normal(size=(batch, steps, features)).astype(np.float32)
        if masked:
            x[~is_open] = 0
            specs.append(("Masking", {}))
    for _ in range(draw(st.integers(0, 3))):
        spec, features = _middle(draw, features)
        specs.append(spec)
    specs += _end(draw, steps, features, masked)
    shape = Sequential([getattr(layers, n)(**o) for n, o in specs]).compute_output_shape(x.shape)
    y = rng.normal(size=shape).astype(np.float32)
    loss = draw(st.sampled_from(["mean_squared_error", "huber"]))
    return Stack(specs, x, y, loss, draw(st.sampled_from(["sgd", "adam"])), seed)


def error(found: Any, wanted: Any, dtype: str, least: float = 1e-3) -> float:
    """Return the largest error by the largest element, or by `least` if that is more.

    Bias before a normalization has a gradient of zero, to which rounding errors of
    the rest are no measure.
    """
    wanted = np.asarray(wanted, np.float64)
    size = np.full(wanted.shape, max(least, np.abs(wanted).max(initial=0)))
    return tolerances.relative_error(found, wanted, dtype, size)


@settings(max_examples=strategies.keras_examples())
@given(stacks())
def test_forward_gradients_and_training_agree_with_keras(stack: Stack) -> None:
    keras_twin = pytest.importorskip("reference.keras_twin")
    model, single = stack.make("float64"), stack.make("float32")
    if not model.trainable_variables:
        return
    twin = keras_twin.twin_of(model)
    with keras_twin.floatx("float64"):
        loss = keras_twin.keras_loss(stack.loss, "float64")
        found = keras_twin.gradients(
            twin, stack.x if stack.x.dtype.kind == "i" else stack.x.astype(np.float64),
            stack.y.astype(np.float64), loss, "eager", training=True,
        )  # fmt: skip
        twin.set_weights(model.get_weights())  # the moving statistics have moved
        for one, dtype in ((model, "float64"), (single, "float32")):
            grads = one.gradients(stack.x, stack.y, inputs=True)
            one.set_weights(twin.get_weights())
            # The stack amplifies rounding errors: normalizations by 1/sqrt(0.05) each.
            allowed = max(500 * tolerances.roundoff(dtype), 10 * tolerances.GRADIENTS_64)
            assert error(grads.loss, found["loss"], dtype) <= allowed
            for a, b in zip(grads.arrays, found["parameters"], strict=True):
                assert error(a, b, dtype) <= allowed
            if found["inputs"] is not None:
                assert error(grads.inputs, found["inputs"], dtype) <= allowed
            assert error(one.predict(stack.x, verbose=0), twin(stack.x), dtype) <= allowed
        twin.compile(keras_twin.keras_optimizer(model.optimizer), loss)
        for _ in range(3):
            mine = model.train_on_batch(stack.x, stack.y)
            theirs = float(twin.train_on_batch(stack.x, stack.y))
            assert mine == pytest.approx(theirs, rel=tolerances.TRAINING["float32"])
    allowed = tolerances.TRAINING["float32"]  # the dtype of Keras's learning rate
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        assert error(a, b, "float64", 0.1) <= allowed


@settings(max_examples=5)
@given(stacks())
def test_a_config_rebuilds_the_stack(stack: Stack) -> None:
    model = stack.make("float32")
    again = Sequential.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again(stack.x), model(stack.x))
    np.testing.assert_array_equal(model.predict(stack.x, verbose=0), model(stack.x))


@settings(max_examples=5)
@given(stacks())
def test_training_repeats_to_the_bit(stack: Stack) -> None:
    results = []
    for _ in range(2):
        model = stack.make("float32")
        if not model.trainable_variables:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.fit(stack.x, stack.y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
