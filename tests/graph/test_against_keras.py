"""Models of graphs beside Keras's: outputs, their form, gradients, names."""

from typing import Any

import numpy as np
import pytest

import rnn_engine
from tests.graph.graphs import GRAPHS
from tests.graph.sides import data_like, flat, make_twins

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")


def form(structure: Any) -> Any:
    """Return a nest with shapes and types in place of arrays."""
    if isinstance(structure, dict):
        return {key: form(entry) for key, entry in structure.items()}
    if isinstance(structure, list | tuple):
        return [form(entry) for entry in structure]
    array = np.asarray(structure)
    return array.shape, array.dtype.name


def close(ours: Any, theirs: Any, where: str) -> None:
    scale = max(float(np.max(np.abs(theirs), initial=0)), 1e-3)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=5e-6 * scale, err_msg=where)


@pytest.mark.parametrize("name", GRAPHS)
def test_outputs_and_gradients(name: str) -> None:
    ours, theirs = make_twins(name, rnn_engine, keras)
    rng = np.random.default_rng(1)
    x = data_like(theirs.input, 4, rng)
    y, expected = ours(x), theirs(x)
    assert form(y) == form(expected)
    for i, (a, b) in enumerate(zip(flat(y), flat(expected), strict=True)):
        close(a, b, f"output {i}")
    assert (ours.input_shape, ours.output_shape) == (theirs.input_shape, theirs.output_shape)
    assert ours.output_names == theirs.output_names
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    assert [v.path for v in ours.weights] == [v.path for v in theirs.weights]
    # The sum of the outputs times fixed numbers, and the penalties: any gradient there is.
    slopes = [rng.normal(size=a.shape).astype(a.dtype) for a in flat(expected)]
    with tf.GradientTape() as tape:
        outputs = tf.nest.flatten(theirs(x, training=True))
        total = sum(
            tf.cast(tf.reduce_sum(s * o), "float32") for s, o in zip(slopes, outputs, strict=True)
        )
        total += sum(theirs.losses)
    gradients = tape.gradient(total, theirs.trainable_variables)
    inputs, _ = ours.bind(x)
    inputs = ours.convert(inputs)
    _, _, saved = ours.forward_with_mask(inputs, True)
    for variable in ours.trainable_variables:
        variable.clear_gradient()
    ours.regularization(saved)
    ours.backward(slopes[0] if len(slopes) == 1 else slopes, saved)
    for variable, gradient in zip(ours.trainable_variables, gradients, strict=True):
        if gradient is None:
            assert not variable.grad.any(), variable.path
            continue
        expected = tf.convert_to_tensor(gradient).numpy()
        assert expected.any(), variable.path
        close(variable.grad, expected, variable.path)
