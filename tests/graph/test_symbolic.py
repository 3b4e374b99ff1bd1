"""Symbolic tensors, nodes and what models are told of their graph."""

import copy
import pickle
from typing import Any

import keras
import numpy as np
import pytest

import rnn_engine
from rnn_engine import Input, KerasTensor, Model, Operation, Sequential, layers


class Halve(Operation):
    def compute_output_spec(self, x: Any) -> Any:
        return KerasTensor(x.shape, x.dtype)

    def forward(self, x: Any) -> Any:
        return x / 2, None

    def backward(self, dy: Any, saved: Any) -> Any:
        return dy / 2


class Pair(Operation):
    """Two outputs of two tensors, one of which is in a keyword."""

    def compute_output_spec(self, x: Any, *, other: Any) -> Any:
        return KerasTensor(x.shape, x.dtype), KerasTensor(x.shape, x.dtype)

    def forward(self, x: Any, *, other: Any) -> Any:
        return (x * other, x + other), (x, other)

    def backward(self, dy: Any, saved: Any) -> Any:
        (dproduct, dsum), (x, other) = dy, saved
        dproduct = np.zeros_like(x) if dproduct is None else dproduct
        dsum = np.zeros_like(x) if dsum is None else dsum
        return [dproduct * other + dsum, dproduct * x + dsum]


def test_input_is_a_tensor() -> None:
    x = Input((5, 3), name="x")
    assert isinstance(x, KerasTensor)
    assert (x.shape, x.dtype, x.ndim, x.name) == ((None, 5, 3), "float32", 3, "x")
    assert Input(batch_shape=(2, None), dtype="int32").dtype == "int32"
    assert x._keras_history.operation.name == "x"
    for convert, error in ((np.asarray, ValueError), (float, ValueError), (bool, TypeError)):
        with pytest.raises(error, match="symbolic"):
            convert(x)
    with pytest.raises(NotImplementedError, match="Iterating"):
        iter(x)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "You must pass a `shape` argument"),
        ({"shape": (2,), "batch_shape": (1, 2)}, "both `shape` and `batch_shape`"),
        ({"batch_size": 3, "batch_shape": (1, 2)}, "both `batch_size` and `batch_shape`"),
        ({"shape": (-2,)}, "Negative dimensions"),
        ({"shape": (2.5,)}, "invalid dimension"),
        ({"shape": 3}, "Cannot convert '3' to a shape"),
        ({"shape": (3,), "dtype": "floating"}, "Invalid dtype"),
    ],
)
def test_wrong_inputs(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Input(**arguments)


def test_input_layer_of_old_programs_warns() -> None:
    with pytest.warns(UserWarning, match="`input_shape` is deprecated"):
        assert layers.InputLayer(input_shape=(4, 2)).batch_shape == (None, 4, 2)


def test_layers_tell_shapes() -> None:
    x = Input((5, 3))
    y, state = layers.SimpleRNN(4, return_sequences=True, return_state=True)(x)
    assert (y.shape, state.shape) == ((None, 5, 4), (None, 4))
    both = layers.Bidirectional(layers.SimpleRNN(4, return_state=True))
    assert [t.shape for t in both(x)] == [(None, 8), (None, 4), (None, 4)]
    stacked = layers.RNN([layers.SimpleRNNCell(2), layers.SimpleRNNCell(4)], return_state=True)
    y, first, second = stacked(x)
    assert [y.shape, first[0].shape, second[0].shape] == [(None, 4), (None, 2), (None, 4)]
    with pytest.raises(ValueError, match="incompatible"):
        both(Input((5, 2)))


def test_layers_know_their_tensors() -> None:
    x = Input((3,))
    dense = layers.Dense(2)
    with pytest.raises(AttributeError, match="has never been called"):
        _ = dense.output
    y = dense(x)
    dense(y := layers.Dense(3)(y))
    assert dense.input is x
    assert dense.output.shape == (None, 2)
    model = Sequential([layers.SimpleRNN(4, input_shape=(5, 3)), layers.Dense(2)])
    assert model.inputs[0] is model.layers[0].input
    assert model.outputs[0] is model.layers[1].output is model.output
    with pytest.raises(AttributeError, match="no defined inputs yet"):
        _ = Sequential([layers.Dense(2)]).inputs


def test_a_sequential_goes_on_with_its_chain() -> None:
    model = Sequential([Input((4,)), layers.Dense(3)])
    first = model.layers[0].output
    model.add(layers.Dense(2))
    assert model.layers[1].input is first
    assert model.output_shape == (None, 2)
    model.pop()
    assert model.outputs == [first]
    with pytest.raises(ValueError, match="already been configured to use input shape"):
        model.add(layers.InputLayer((4,)))
    with pytest.raises(ValueError, match="cannot build it with input_shape"):
        Sequential([Input((4,)), layers.Dense(3)], name="s").create_weights((None, 5))


def test_what_is_no_graph() -> None:
    x, other = Input((3,)), Input((3,), name="other")
    with pytest.raises(ValueError, match="is not connected to `inputs`"):
        Model(x, layers.Dense(2)(other))
    with pytest.raises(ValueError, match="must be KerasTensors"):
        Model(x, [layers.Dense(2)(x), 3])
    with pytest.raises(ValueError, match="cannot be empty"):
        Model([], [])
    with pytest.raises(ValueError, match="is used 2 times"):
        Model(x, layers.Dense(3, name="a")(layers.Dense(3, name="a")(x)))


def test_order_of_layers_is_that_of_keras() -> None:
    keras = pytest.importorskip("keras")
    names = []
    for kit in rnn_engine, keras:
        a, b, c = (kit.Input((4, 3), name=name) for name in "abc")
        shared = kit.layers.Dense(3, name="shared")
        rnn = kit.layers.SimpleRNN(3, name="rnn")
        first = rnn(shared(a))
        second = kit.layers.SimpleRNN(3, name="rnn2")(kit.layers.Dense(3, name="d")(shared(b)))
        state = kit.layers.SimpleRNN(3, name="last")(b, initial_state=first)
        model = kit.Model([c, b, a], [state, second, first])
        names.append([layer.name for layer in model.layers])
    assert names[0] == names[1]


@pytest.mark.parametrize("copied", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy])
def test_copies_have_graphs_of_their_own(copied: Any) -> None:
    x = y = Input((3,))
    for _ in range(150):  # deep, for pickle
        y = layers.Dense(3, "tanh")(y)
    for model in Model(x, y), Sequential([layers.Dense(3, input_shape=(3,)) for _ in range(150)]):
        again = copied(model)
        data = np.ones((2, 3), np.float32)
        np.testing.assert_array_equal(again(data), model(data))
        assert again.layers[-1].output is again.outputs[0]
        assert again.layers[-1].output is not model.layers[-1].output
        part = Model(again.inputs, again.layers[5].output)
        part.layers[1].set_weights([np.zeros((3, 3)), np.zeros(3)])
        assert not np.array_equal(again(data), model(data))


def test_operations_go_forward_and_back() -> None:
    x = Input((3,), name="x")
    product, total = Pair()(layers.Dense(2, name="d")(x), other=Halve()(layers.Dense(2)(x)))
    model = Model(x, layers.Dense(1)(product))
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    data, y = rng.normal(size=(4, 3)).astype("f4"), rng.normal(size=(4, 1)).astype("f4")
    first, second, last = (layer.get_weights() for layer in model.layers if layer.weights)
    if model.layers[1].name != "d":
        first, second = second, first
    got = model.gradients(data, y, inputs=True)
    u, v = data @ first[0] + first[1], (data @ second[0] + second[1]) / 2
    dout = 2 * (u * v @ last[0] + last[1] - y) / 4
    du, dv = dout @ last[0].T * v, dout @ last[0].T * u / 2
    found = {v.path: g for v, g in zip(got.variables, got.arrays, strict=True)}
    np.testing.assert_allclose(found["d/kernel"], data.T @ du, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got.inputs, du @ first[0].T + dv @ second[0].T, rtol=1e-4, atol=1e-6)
    outer = Model(x, [total, product])
    np.testing.assert_allclose(outer(data)[0], u + v, rtol=1e-5, atol=1e-6)


def test_reshape_of_an_unknown_size():
    """Whatever the size turns out to be, as in Keras: it is only known where the data are."""
    x = rnn_engine.Input((5, 2), name="x")
    for shape in ([-1, 2, 5, 2], (-1, 7)):
        made = rnn_engine.ops.reshape(x, shape)
        assert made.shape == tuple(keras.ops.reshape(keras.Input((5, 2)), shape).shape)
    parted = rnn_engine.Model(x, rnn_engine.ops.reshape(x, [-1, 2, 5, 2]))
    assert parted(np.ones((4, 5, 2))).shape == (2, 2, 5, 2)
    with pytest.raises(ValueError, match="reshape"):
        parted(np.ones((3, 5, 2)))
