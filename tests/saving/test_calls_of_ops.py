"""Calls of ops in files: arguments behind settings left out, ellipses, constants, verified."""

import numpy as np
import pytest

import rnn_engine
from rnn_engine import saving

keras = pytest.importorskip("keras")

CALLS = {
    "pad": lambda ops, x: ops.pad(x, ((0, 0), (1, 2), (0, 0)), constant_values=-1.5),
    "average": lambda ops, x: ops.average(x, weights=ops.abs(x) + 1.0),
    "ellipsis": lambda ops, x: x[..., 0],
    "ellipsis between": lambda ops, x: x[:, ..., None, 1:],
    "constant first": lambda ops, x: ops.subtract(np.arange(3, dtype="f4"), x),
    "constants both sides": lambda ops, x: (
        ops.multiply(np.full(3, 2, "f4"), x) - np.arange(3, dtype="f4")
    ),
    "tensor": lambda ops, x: x * ops.arange(3, dtype="float32"),
    "size": lambda ops, x: x / ops.cast(ops.shape(x)[-1], "float32"),
}


def model_of(package, name):
    x = package.layers.Input((4, 3))
    return package.Model(x, CALLS[name](package.ops, x))


@pytest.mark.parametrize("ending", [".keras", ".h5", ".npz"])
@pytest.mark.parametrize("name", CALLS)
def test_calls_come_back(name, ending, tmp_path):
    x = np.random.default_rng(0).normal(size=(5, 4, 3)).astype("f4")
    path = tmp_path / f"m{ending}"
    writers = [rnn_engine] if ending == ".npz" else [rnn_engine, keras]
    for writer in writers:
        model = model_of(writer, name)
        model.save(path)
        again = rnn_engine.models.load_model(path)
        np.testing.assert_allclose(np.asarray(again(x)), np.asarray(model(x)), atol=1e-6)
        if writer is rnn_engine and ending == ".keras":
            theirs = keras.models.load_model(path)([x])
            np.testing.assert_allclose(np.asarray(theirs), np.asarray(model(x)), atol=1e-6)


def test_an_ellipsis_in_onnx(tmp_path):
    pytest.importorskip("onnx")
    x = np.random.default_rng(0).normal(size=(5, 4, 3)).astype("f4")
    for name in ("ellipsis", "ellipsis between"):
        model = model_of(rnn_engine, name)
        saving.to_onnx(model, tmp_path / "m.onnx")
        again = saving.from_onnx(tmp_path / "m.onnx")
        np.testing.assert_array_equal(again(x), model(x))


@pytest.mark.parametrize("name", ["constant first", "constants both sides", "tensor"])
def test_gradients_are_those_of_the_tensors(name):
    """A constant that comes before a tensor takes nothing of its gradient."""
    found = []
    for package in (rnn_engine, keras):
        x = package.layers.Input((4, 3))
        h = package.layers.Dense(3, kernel_initializer="ones")(x)
        model = package.Model(x, CALLS[name](package.ops, h))
        model.compile(package.optimizers.SGD(0.01), "mse")
        data = np.ones((4, 4, 3), "f4")
        losses = [float(model.train_on_batch(data, 0 * data)) for _ in range(3)]
        found.append(losses)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_verify_of_graphs_with_inputs_of_whole_numbers(dtype, tmp_path):
    x = rnn_engine.Input((4,), dtype=dtype)
    rnn_engine.Model(x, rnn_engine.ops.one_hot(x, 7)).save(tmp_path / "m.npz")
    assert saving.verify(tmp_path / "m.npz") == 0.0
    assert x.node.operation.dtype_policy.name == "float32"


def test_a_long_row_of_layers_loads_in_time_that_grows_with_it():
    """Each layer is looked at a few times, not once for each other one."""
    layers = [rnn_engine.layers.Activation("relu") for _ in range(300)]
    config = rnn_engine.Sequential(layers).get_config()
    asked = []

    class Counted(rnn_engine.layers.Activation):
        def __getattribute__(self, attribute):
            if attribute == "name":
                asked.append(1)
            return super().__getattribute__(attribute)

    with rnn_engine.utils.custom_object_scope({"Activation": Counted}):
        rnn_engine.Sequential.from_config(config)
    assert len(asked) < 20 * len(layers)
