"""The weights of a large Dense: packed, in strips, by several threads; their gradient."""

import itertools
import types

import numpy as np
import pytest

from reference.compare import relative_error, tolerance
from rnn_engine.kernels import dense, threads
from rnn_engine.kernels.outer import STRIP
from rnn_engine.kernels.panels import whole_registers
from rnn_engine.layers import Dense
from rnn_engine.layers import dense as dense_layer
from rnn_engine.optimizers.sparse import SparseGrad
from rnn_engine.variable import Variable
from tests.kernels.test_bits import running_on


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("features", "units"), [(5, 203), (130, 64), (65, 97)])
def test_threads_pack_the_same(features, units, dtype):
    rng = np.random.default_rng(0)
    w, b = rng.standard_normal((features, units)), rng.standard_normal(units)
    w, b = w.astype(dtype), b.astype(dtype)
    one = np.zeros(dense.weights_size(features, units, w.dtype), w.dtype)
    two = one.copy()
    dense.pack_weights(w, b, one)
    dense.pack_weights_tasks(w, b, two, 3)
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize(
    ("rows", "features", "units"), [(1, 5, 300), (7, 40, 33), (300, 90, 1), (3, 300, 600)]
)
def test_every_way_has_the_same_bits(rows, features, units, use_bias, dtype, monkeypatch):
    """Training and predictions, tasks by rows and by columns, gradients cleared or added to."""
    rng = np.random.default_rng(0)
    layer = Dense(units, activation="tanh", use_bias=use_bias, dtype=dtype)
    layer.build((None, features))
    layer.set_weights([rng.normal(size=v.shape) / features**0.5 for v in layer.weights])
    x, dy = rng.normal(size=(rows, features)), rng.normal(size=(rows, units))
    x, dy = x.astype(dtype), dy.astype(dtype)
    outputs, gradients = {layer(x).tobytes(), layer(x, training=True).tobytes()}, set()
    monkeypatch.setattr(dense_layer, "_MANY", 0)
    for count in (1, 2, 3, 8):
        for overwrites in (False, True):
            with running_on(count):
                y, saved = layer.forward(x, True)
                for variable in layer.weights:
                    if overwrites:
                        variable.grad.fill(np.nan)
                    variable.clear_gradient()
                    if not overwrites:
                        variable.grad.fill(0)
                dx = layer.backward(dy, saved)
            outputs.add(y.tobytes())
            arrays = [dx, *(v.grad for v in layer.weights)]
            gradients.add(b"".join(a.tobytes() for a in arrays))
    assert len(outputs) == len(gradients) == 1
    weights = [v.value.astype(float) for v in layer.weights]
    value = np.tanh(x.astype(float) @ weights[0] + sum(weights[1:]))
    dz = dy * (1 - value**2)
    truth = [value, dz @ weights[0].T, x.T.astype(float) @ dz, *[dz.sum(0)] * use_bias]
    # Sums cancel, and plain arrays do not carry their rounding error: as in `reference.verify`.
    limit = 8 * tolerance(dtype, rows + units)
    for found, wanted in zip([y, *arrays], truth, strict=True):
        assert relative_error(found, wanted, dtype) <= limit
    once = layer.kernel.grad.copy()
    layer.backward(dy, saved)
    np.testing.assert_allclose(layer.kernel.grad, 2 * once, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [1, 3])
def test_weight_gradients_of_more_columns_than_are_packed_at_once(count, dtype):
    """Two blocks of rows, two strips of dz, three panels of features; then added to."""
    rows, features, units = 130, 101, STRIP * whole_registers(1, dtype) + 37
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(rows, features)), rng.normal(size=(rows, units))
    layer = Dense(units, dtype=dtype)
    layer.build((None, features))
    wanted = x.T @ dy
    with running_on(count):
        for times in (1, 2):
            _, saved = layer.forward(x.astype(dtype), True)
            layer.backward(dy.astype(dtype), saved, False)
            assert relative_error(layer.kernel.grad, times * wanted, dtype) <= tolerance(dtype)
            assert relative_error(layer.bias.grad, times * dy.sum(0), dtype) <= tolerance(dtype)
        layer.kernel.clear_gradient()  # from here on it overwrites what is there
        _, saved = layer.forward(x.astype(dtype), True)
        layer.backward(dy.astype(dtype), saved, False)
        assert relative_error(layer.kernel.grad, wanted, dtype) <= tolerance(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("need_dx", [True, False])
@pytest.mark.parametrize(
    ("rows", "activation"), [(1, "tanh"), (512, "tanh"), (515, "sigmoid"), (1300, None)]
)
def test_cut_into_calls_has_the_same_bits(rows, activation, need_dx, dtype, monkeypatch):
    """Ctrl-C is seen between two calls: a large pass is many, of whole blocks of the sums."""
    rng = np.random.default_rng(1)
    layer = Dense(33, activation=activation, dtype=dtype)
    layer.build((None, 21))
    layer.set_weights([rng.normal(size=v.shape) for v in layer.weights])
    x, dy = rng.normal(size=(rows, 21)).astype(dtype), rng.normal(size=(rows, 33)).astype(dtype)
    sizes, answers = [], set()

    def counting(kernel, which):
        def call(*args):
            sizes.append(len(args[which]))
            return kernel(*args)

        return call

    counted = types.SimpleNamespace(**vars(dense))  # kernels call each other by their own names
    for name in ("forward_packed", "forward_new", "backward"):
        for kernel in (name, f"{name}_tasks"):
            which = int(name == "backward")  # the argument that has the rows of one call
            setattr(counted, kernel, counting(getattr(dense, kernel), which))
    monkeypatch.setattr(dense_layer, "kernels", counted)
    for longest, many, count, overwrites in itertools.product(
        (2**30, 1), (0, 2**30), (1, 2, 8), (False, True)
    ):
        monkeypatch.setattr(threads, "LONGEST_CALL", longest)
        monkeypatch.setattr(dense_layer, "_MANY", many)
        for variable in layer.weights:
            variable.grad.fill(np.nan if overwrites else 0.1)
            if overwrites:
                variable.clear_gradient()
        sizes.clear()
        with running_on(count):
            y, saved = layer.forward(x, True)
            dx = layer.backward(dy, saved, need_dx)
        once = [rows] if longest > 1 else [512] * (rows // 512) + [rows % 512] * (rows % 512 > 0)
        assert sizes == once * 2
        arrays = [y, *([dx] if need_dx else []), *(v.grad for v in layer.weights)]
        answers.add((overwrites, b"".join(a.tobytes() for a in arrays)))
    assert len(answers) == 2  # one that adds, one that overwrites


def test_a_cleared_gradient_is_zero_when_it_is_asked_for():
    variable = Variable(np.ones(3, np.float32))
    variable.grad[:] = 5
    variable.clear_gradient()
    np.testing.assert_array_equal(variable.gradient, 0)
    variable.grad[:] = 5
    variable.clear_gradient()
    buffer, overwrites = variable.gradient_to_fill()
    assert overwrites
    buffer[:] = 2
    assert not variable.gradient_to_fill()[1]
    np.testing.assert_array_equal(variable.grad, 2)


def test_a_sparse_variable_that_gave_up_its_buffer_has_none_to_overwrite():
    variable = Variable(np.ones((3, 2), np.float32))
    variable.grad[:] = 5
    variable.clear_gradient()
    variable.add_sparse(SparseGrad(np.array([1]), np.ones((1, 2), np.float32), (3, 2)))
    variable.clear_gradient()
    buffer, overwrites = variable.gradient_to_fill()
    assert not overwrites
    np.testing.assert_array_equal(buffer, 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [1, 2, 13])
def test_large_weights_are_shared_out_by_columns(rows, dtype):
    """Of predictions, which have them packed: the same bits as by rows, on any threads."""
    rng = np.random.default_rng(rows)
    layer = Dense(1001, activation="gelu", dtype=dtype)
    layer.build((None, 70))
    assert layer.kernel.value.size > dense.LARGE
    layer.set_weights([rng.normal(size=v.shape) for v in layer.weights])
    x = rng.normal(size=(rows, 70)).astype(dtype)
    narrow = Dense(500, activation="gelu", dtype=dtype)
    narrow.build((None, 70))
    assert narrow.kernel.value.size <= dense.LARGE
    narrow.set_weights([v[..., :500] for v in layer.get_weights()])
    expected = narrow(x).tobytes()
    answers = set()
    for count in (1, 2, 3, 8):
        with running_on(count):
            y = layer(x)
            answers.add(y.tobytes())
            assert y[:, :500].tobytes() == expected
    assert len(answers) == 1
