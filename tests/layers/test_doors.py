"""What a user's arrays pass before they become weights, states, masks or gradients.

Each of these calls read or wrote out of bounds, gave another result in silence, or ended in an
error of Numba's.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rnn_engine
from rnn_engine import Sequential, layers
from rnn_engine.layers import Layer
from rnn_engine.losses import CustomLoss
from rnn_engine.optimizers import SGD
from rnn_engine.variable import Variable

RNG = np.random.default_rng(5)


def weighted() -> list[tuple[Layer, tuple[int, ...]]]:
    """Return a layer of each kind that has weights, and the shape of an input."""
    return [
        (layers.Dense(3), (2, 4)),
        (layers.Embedding(5, 3), (2, 4)),
        (layers.SimpleRNN(3), (2, 4, 5)),
        (layers.BatchNormalization(), (2, 4)),
        (layers.LayerNormalization(axis=[1, 2]), (2, 3, 4)),
        (layers.PReLU(shared_axes=[1]), (2, 3, 4)),
        (layers.LSTM(3, bias_initializer="ones"), (2, 4, 5)),
        (layers.GRU(3, bias_initializer="ones"), (2, 4, 5)),
        (layers.RNN(layers.GRUCell(3, reset_after=False)), (2, 4, 5)),
    ]


@pytest.mark.parametrize(
    ("make", "x"),
    [
        (lambda i: layers.Dense(2, kernel_initializer=i), np.ones((1, 3))),
        (lambda i: layers.Dense(2, bias_initializer=i), np.ones((1, 3))),
        (lambda i: layers.Embedding(900, 70, embeddings_initializer=i), np.ones((1, 3), int)),
        (lambda i: layers.SimpleRNN(90, kernel_initializer=i), np.ones((1, 3, 4))),
        (lambda i: layers.SimpleRNN(90, recurrent_initializer=i), np.ones((1, 3, 4))),
        (lambda i: layers.SimpleRNN(90, bias_initializer=i), np.ones((1, 3, 4))),
        (lambda i: layers.LSTM(90, kernel_initializer=i), np.ones((1, 3, 4))),
        (lambda i: layers.LSTM(90, bias_initializer=i), np.ones((1, 3, 4))),
        (lambda i: layers.GRU(90, recurrent_initializer=i), np.ones((1, 3, 4))),
        (lambda i: layers.GRU(90, bias_initializer=i), np.ones((1, 3, 4))),
        (lambda i: layers.LayerNormalization(gamma_initializer=i), np.ones((1, 3))),
        (lambda i: layers.BatchNormalization(moving_mean_initializer=i), np.ones((1, 3))),
        (lambda i: layers.PReLU(alpha_initializer=i), np.ones((1, 3))),
    ],
)
@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.ones((1, 1), "f4"), "must return an array of the shape"),
        (None, "real numbers"),
        (np.array("x"), "real numbers"),
        ("complex", "real numbers"),
    ],
)
def test_an_initializer_gives_the_shape_it_is_asked_for(
    make: Callable[[Any], Layer], x: Any, values: Any, text: str
) -> None:
    def initializer(shape: Any, dtype: Any = None) -> Any:
        return np.ones(shape, "c8") if isinstance(values, str) else values

    with pytest.raises(ValueError, match=text):
        make(initializer)(x)


@pytest.mark.parametrize("number", range(9))
def test_a_weight_is_written_by_assign_only(number: int) -> None:
    layer, shape = weighted()[number]
    x = RNG.integers(0, 5, shape) if number == 1 else RNG.normal(size=shape)
    before = np.array(layer(x))
    weight = layer.weights[0]
    # The weights of a recurrent layer are its cell's.
    owner = getattr(layer, "cell", layer)
    name = next(key for key, value in vars(owner).items() if value is weight)
    for other in (np.zeros((1, 1), "f4"), np.zeros(weight.shape, "f8"), None):
        with pytest.raises(AttributeError, match="assign"):
            weight.value = other
    stranger = Variable(np.zeros(weight.shape), dtype="float32")
    with pytest.raises(ValueError, match="You cannot add new elements of state"):
        setattr(owner, name, stranger)
    with pytest.raises(AttributeError, match="assign"):
        setattr(owner, name, None)
    np.testing.assert_array_equal(layer(x), before)
    setattr(owner, name, weight)  # the same one
    weight.value += 1  # in place, and seen by whoever packs weights
    other_output = layer(x)
    assert np.abs(other_output - before).max() > 0.01
    weight.assign(weight.value - 1)
    np.testing.assert_allclose(layer(x), before, atol=1e-6)


def test_memory_of_a_weight_cannot_be_resized() -> None:
    layer = layers.Dense(3)
    layer.build((None, 2))
    with pytest.raises(ValueError, match="resize"):
        layer.kernel.value.resize((1, 1), refcheck=False)


@pytest.mark.parametrize(
    ("number", "name", "value"),
    [
        (0, "units", 500),
        (0, "features", 400),
        (1, "input_dim", 10**6),
        (1, "output_dim", 10**6),
        (2, "units", 500),
        (3, "axis", 0),
        (4, "axis", [1]),
        (5, "shared_axes", [2]),
    ],
)
def test_sizes_of_a_built_layer_stay(number: int, name: str, value: Any) -> None:
    layer, shape = weighted()[number]
    if number != 2:
        setattr(layer, name, getattr(layer, name, None))  # before it is built, anything goes
    x = RNG.integers(0, 5, shape)
    before = layer(x)
    # A recurrent layer only shows what its cell has, and that cannot be set at all.
    text = f"'{name}'.*(has no setter|cannot be changed)"
    for owner in {layer, getattr(layer, "cell", layer)}:
        with pytest.raises(AttributeError, match=text):
            setattr(owner, name, value)
    np.testing.assert_array_equal(layer(x), before)
    with pytest.raises(AttributeError, match="dtype"):
        layer.dtype = "float64"


def test_what_is_no_size_may_change() -> None:
    layer = layers.Dense(2, kernel_initializer="ones")
    x = np.float32([[1, -3]])
    layer(x)
    layer.activation = rnn_engine.activations.get("relu")
    np.testing.assert_array_equal(layer(x), [[0, 0]])
    dropout = layers.Dropout(0.5)
    dropout(x)
    dropout.rate = 0

    class Counter(Layer):
        calls = 0

        def forward(self, x: Any, training: bool = False, mask: Any = None) -> Any:
            self.calls += 1
            return x, None

        def backward(self, dy: Any, saved: Any, need_dx: bool = True) -> Any:
            return dy

    counter = Counter()
    counter(x), counter(x)
    assert counter.calls == 2


def test_axes_that_were_written_to_are_found_out() -> None:
    layer = layers.LayerNormalization(axis=[2])
    layer(np.ones((2, 300, 3)))
    layer.axis[0] = 1
    with pytest.raises(ValueError, match="layer_normalization"):
        layer(np.ones((2, 300, 3)))


@pytest.mark.parametrize(
    "value",
    [None, "1", [None], np.datetime64("2020-01-01"), 1j, np.array([1 + 1j]), ["a"], object()],
)
def test_values_that_are_no_numbers_are_not_assigned(value: Any) -> None:
    variable = Variable(np.ones(1), name="w", dtype="float32")
    for write in (variable.assign, variable.assign_add, variable.assign_sub):
        with pytest.raises(ValueError, match="real numbers|read as an array"):
            write(value)
    np.testing.assert_array_equal(variable.value, [1])


@pytest.mark.parametrize(
    "mask", [[["a", "b", "c"]], [[None, True, True]], [[1.0, np.nan, 1.0]], [[1j, 1, 1]]]
)
@pytest.mark.parametrize(
    "layer",
    [
        layers.SimpleRNN(2),
        layers.GlobalAveragePooling1D(),
        layers.BatchNormalization(),
        layers.Softmax(),
        layers.Dense(1),
    ],
)
def test_masks_hold_bools(layer: Layer, mask: Any) -> None:
    x = np.ones((1, 3, 3), "f4")
    with pytest.raises(ValueError, match="mask"):
        layer(x, mask=mask)
    with pytest.raises(ValueError, match="mask"):
        rnn_engine.losses.MeanSquaredError()(x, x, mask=mask)
    assert np.isfinite(layer(x, mask=[[1, 1, 0]])).all()  # numbers are read as in Keras


def test_indices_that_were_checked_are_those_that_are_used() -> None:
    layer = layers.Embedding(3, 2, embeddings_initializer="ones")
    layer.build((None,))
    index = np.array([0, 1, 2, 1])
    y, saved = layer.forward(index, True)
    index[:] = 10**9
    layer.backward(np.ones_like(y), saved)
    np.testing.assert_array_equal(layer.embeddings.grad, [[1, 1], [2, 2], [1, 1]])


def test_a_mask_that_is_written_to_changes_no_gradient() -> None:
    layer, x = layers.SimpleRNN(2, return_sequences=True), RNG.normal(size=(2, 3, 4)).astype("f4")
    pooling = layers.GlobalAveragePooling1D()
    layer.build(x.shape)
    results = []
    for change in (False, True):
        mask = np.array([[True, True, False], [True, False, False]])
        y, saved = layer.forward(x, True, mask)
        mean, kept = pooling.forward(y, True, mask)
        if change:
            mask[:] = True
        dx = layer.backward(pooling.backward(np.ones_like(mean), kept), saved)
        results.append(dx.copy())
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Dense(3), (6, 4)),
        (layers.Dense(3, activation="softmax"), (6, 5, 4)),
        (layers.Embedding(5, 3), (6, 4)),
        (layers.BatchNormalization(), (6, 4)),
        (layers.LayerNormalization(), (6, 4)),
        (layers.GlobalAveragePooling1D(), (6, 5, 4)),
        (layers.GlobalMaxPooling1D(keepdims=True), (6, 5, 4)),
        (layers.PReLU(), (6, 4)),
        (layers.ReLU(), (6, 4)),
        (layers.Activation("tanh"), (6, 4)),
        (layers.Softmax(), (6, 4)),
        (layers.Masking(), (6, 5, 4)),
        (layers.Flatten(), (6, 5, 4)),
        (layers.Reshape((2, 2)), (6, 4)),
        (layers.Permute((2, 1)), (6, 5, 4)),
        (layers.RepeatVector(3), (6, 4)),
        (layers.Rescaling(2.0), (6, 4)),
        (layers.SimpleRNN(3), (6, 5, 4)),
        (layers.SimpleRNN(3, "softmax", return_sequences=True), (6, 5, 4)),
        (layers.LSTM(3, return_sequences=True), (6, 5, 4)),
        (layers.GRU(3, "softmax"), (6, 5, 4)),
        (layers.RNN([layers.LSTMCell(3), layers.SimpleRNNCell(2)]), (6, 5, 4)),
        (layers.Bidirectional(layers.GRU(3), merge_mode="mul"), (6, 5, 4)),
        (layers.Bidirectional(layers.LSTM(3, return_sequences=True)), (6, 5, 4)),
        (layers.TimeDistributed(layers.Dense(3)), (6, 5, 4)),
        (layers.TimeDistributed(layers.LSTM(3)), (6, 5, 4, 2)),
    ],
    ids=lambda value: value.name if isinstance(value, Layer) else "",
)
def test_gradients_have_the_shape_of_the_output(layer: Layer, shape: tuple[int, ...]) -> None:
    x = RNG.integers(0, 5, shape)
    layer(x)
    y, saved = layer.forward(layer.convert(x), True)
    dy = RNG.normal(size=y.shape).astype("f4")
    for wrong in (dy[:3], dy[:1], dy[..., :1], dy[0], np.concatenate([dy, dy])):
        with pytest.raises(ValueError, match="gradient for layer"):
            layer.backward(wrong, saved)
    with pytest.raises(ValueError, match="gradient for layer"):
        layer.backward(np.full(y.shape, "a"), saved)
    right = layer.backward(dy, saved)
    wide = layer.backward(dy.astype(">f8"), saved)
    if right is not None:
        assert wide.dtype == right.dtype
        np.testing.assert_allclose(wide, right, rtol=1e-6)


class Doubling(Layer):
    """A layer of the user's that computes in float64, and may give other shapes."""

    def __init__(self, bad: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bad = bad

    def forward(self, x: Any, training: bool = False, mask: Any = None) -> Any:
        return x.astype("f8") * 2, None

    def backward(self, dy: Any, saved: Any, need_dx: bool = True) -> Any:
        return (dy * 2).astype("f8") if self.bad is None else self.bad(dy)


def stack(middle: Any, first: bool) -> Sequential:
    below = [layers.SimpleRNN(3), middle, layers.Dense(2), layers.Dense(3)]
    return Sequential([middle, *below[:1], *below[2:]] if first else below)


@pytest.mark.parametrize("first", [False, True])
def test_a_layer_of_ones_own_may_compute_in_float64(first: bool) -> None:
    rnn_engine.utils.set_random_seed(1)
    model = stack(Doubling(), first)
    model.compile(SGD(0.1), "mse")
    x, y = RNG.normal(size=(8, 4, 2)).astype("f4"), RNG.normal(size=(8, 3)).astype("f4")
    model.build((None, 4, 2))
    twin = stack(layers.Rescaling(2.0), first)
    twin.compile(SGD(0.1), "mse")
    twin.build((None, 4, 2))
    twin.set_weights(model.get_weights())
    model.fit(x, y, epochs=3, shuffle=False, verbose=0)
    twin.fit(x, y, epochs=3, shuffle=False, verbose=0)
    for ours, theirs in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert model.predict(x, verbose=0).dtype == np.float32


@pytest.mark.parametrize(
    "bad", [lambda dy: dy[:3], lambda dy: dy[..., :1], lambda dy: dy.astype("c8"), lambda dy: "a"]
)
def test_a_gradient_of_ones_own_layer_is_proved(bad: Any) -> None:
    model = stack(Doubling(bad), False)
    model.compile("sgd", "mse")
    x, y = np.ones((8, 4, 2), "f4"), np.ones((8, 3), "f4")
    model.build((None, 4, 2))
    before = model.get_weights()
    with pytest.raises(ValueError, match="gradient by its input that layer 'doubling"):
        model.fit(x, y, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    ("slopes", "text"),
    [
        (lambda t, p: 2 * (p - t).astype("f8"), None),
        (lambda t, p: (p - t)[:3], "gradient_fn"),
        (lambda t, p: (p - t).astype("c8"), "real numbers"),
        (lambda t, p: None, "real numbers"),
    ],
)
def test_gradients_of_ones_own_loss(slopes: Any, text: str | None) -> None:
    loss = CustomLoss(lambda t, p: np.mean((p - t) ** 2, axis=-1).astype("f8"), slopes)
    model = Sequential([layers.SimpleRNN(1, input_shape=(4, 2))])
    model.compile(SGD(0.1), loss)
    x, y = RNG.normal(size=(8, 4, 2)).astype("f4"), RNG.normal(size=(8, 1)).astype("f4")
    if text is not None:
        with pytest.raises(ValueError, match=text):
            model.fit(x, y, verbose=0)
        return
    twin = Sequential([layers.SimpleRNN(1, input_shape=(4, 2))])
    twin.compile(SGD(0.1), "mse")
    twin.set_weights(model.get_weights())
    model.fit(x, y, shuffle=False, verbose=0), twin.fit(x, y, shuffle=False, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], twin.get_weights()[0], rtol=1e-5)


class Wrong(rnn_engine.regularizers.Regularizer):
    """A penalty whose gradient has another shape."""

    def __call__(self, x: Any) -> float:
        return 0.0

    def gradient(self, x: Any) -> Any:
        return np.ones(1, "f4")


@pytest.mark.parametrize(
    "kwargs",
    [
        {"kernel_regularizer": Wrong()},
        {"activity_regularizer": Wrong()},
        {"kernel_constraint": lambda w: w[:1]},
        {"kernel_constraint": lambda w: w * 1j},
    ],
)
def test_penalties_and_constraints_are_proved(kwargs: Any) -> None:
    model = Sequential([layers.Dense(3, input_shape=(4,), **kwargs)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="must (match|hold|have)"):
        model.fit(np.ones((8, 4)), np.ones((8, 3)), verbose=0)


def test_slots_of_ones_own_optimizer_are_proved() -> None:
    class Mine(rnn_engine.optimizers.Optimizer):
        def build(self, variables: Any) -> None:
            super().build(variables)
            self.slots = self.add_optimizer_variables(
                variables, "slot", lambda shape, dtype=None: np.zeros(1)
            )

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            variable.assign_sub(gradient)

    with pytest.raises(ValueError, match="must return an array of shape"):
        Mine(0.1).build([Variable(np.zeros((2, 3)))])


@pytest.mark.parametrize(
    ("function", "derivative"),
    [(lambda z: z[:1], np.ones_like), (np.tanh, lambda z: z[:1]), (lambda z: "a", np.ones_like)],
)
def test_ones_own_activation_is_proved(function: Any, derivative: Any) -> None:
    own = rnn_engine.activations.CustomActivation(function, derivative, "own")
    model = Sequential([layers.Dense(3, own, input_shape=(4,))])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="activation 'own'"):
        model.fit(np.ones((8, 4)), np.ones((8, 3)), verbose=0)


def test_gradients_of_states_have_their_shapes() -> None:
    """Of a layer, of a cell, and of a cell of one's own that gives others."""
    x = np.ones((4, 3, 2), "f4")
    layer = layers.LSTM(3, return_state=True)
    layer(x)
    y, saved = layer.forward(x, True)
    right = [np.ones_like(part) for part in y]
    for place in range(3):
        wrong = [part[:1] if i == place else part for i, part in enumerate(right)]
        with pytest.raises(ValueError, match="gradient for layer"):
            layer.backward(tuple(wrong), saved)
    for wrong in (right[0], tuple(right[:2]), (*right, right[0])):
        with pytest.raises(ValueError, match=r"one array for each of its 3|gradient for layer"):
            layer.backward(wrong, saved)
    _, _, kept = layer.cell.forward(x[:, 0], [np.zeros((4, 3), "f4")] * 2)
    for doutput, dstates in (
        (right[0][:1], right[1:]), (right[0], right[1:2]), (right[0], [right[0], right[0][:2]])
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"lstm_cell'? must (have shape|be a list)|must be"):
            layer.cell.backward(doutput, dstates, kept)

    class Short(layers.RNNCell):
        state_size = 3

        def forward(self, x: Any, states: Any, training: bool = False) -> Any:
            return states[0], states, None

        def backward(self, doutput: Any, dstates: Any, saved: Any) -> Any:
            return np.zeros((4, 2), "f4"), [dstates[0][:1]]

    own = layers.RNN(Short())
    own(x)
    _, saved = own.forward(x, True)
    with pytest.raises(ValueError, match="dstates_before"):
        own.backward(np.ones((4, 3), "f4"), saved)


def test_a_cell_that_was_built_for_other_features_is_refused() -> None:
    cell = layers.LSTMCell(3)
    cell.build((None, 2))
    for layer in (layers.RNN(cell), layers.RNN([layers.GRUCell(5), cell])):
        with pytest.raises(ValueError, match="axis -1 of input shape to have value 2"):
            layer(np.ones((2, 4, 7)))


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_dropout_masks_that_a_cell_keeps_fit_the_batch(kind: str) -> None:
    cell = getattr(layers, f"{kind}Cell")(3, dropout=0.5, recurrent_dropout=0.5)
    for batch in (4, 9):
        states = cell.get_initial_state(batch)
        if batch == 9:
            with pytest.raises(ValueError, match="reset_dropout_mask"):
                cell(np.ones((batch, 2)), states, training=True)
            cell.reset_dropout_mask()
            cell.reset_recurrent_dropout_mask()
        assert cell(np.ones((batch, 2)), states, training=True)[0].shape == (batch, 3)


@pytest.mark.parametrize("states", [[], [np.zeros((2, 3))] * 2, [np.zeros((2, 4))], np.zeros(3)])
def test_a_cell_is_called_with_its_states(states: Any) -> None:
    cell = layers.SimpleRNNCell(3)
    with pytest.raises(ValueError, match=r"takes 1 state\(s\) of shape \(2, 3\)"):
        cell(np.ones((2, 5)), states)
    two = layers.LSTMCell(3)
    if len(states) != 2:
        with pytest.raises(ValueError, match=r"takes 2 state\(s\) of shape \(2, 3\), \(2, 3\)"):
            two(np.ones((2, 5)), states)
    two.build((2, 5))
    with pytest.raises(ValueError, match="`states` of 'lstm_cell.*one array for each"):
        two.forward(np.ones((2, 5), "f4"), states[:1])


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: layers.Dense(10**9).build((None, 10**9)), "dense.*units=1000000000"),
        (lambda: layers.SimpleRNN(10**9).build((None, 3, 10**9)), "rnn.*units=1000000000"),
        (lambda: layers.LSTM(10**9).build((None, 3, 1)), "lstm.*units=1000000000"),
        (lambda: layers.GRUCell(10**9).build((None, 1)), "gru_cell.*units=1000000000"),
        (lambda: layers.Embedding(10**9, 10**9).build((None, 3)), "embedding.*output_dim=10000"),
        (lambda: layers.RepeatVector(10**12)(np.ones((2, 3))), "repeat_vector.*n=1000000000000"),
        (lambda: layers.LayerNormalization().build((None, 10**15)), "layer_normalization"),
        (lambda: layers.PReLU().build((None, 10**9, 10**9)), "p_re_lu"),
        (
            lambda: Sequential([layers.RepeatVector(10**12)]).predict(np.ones((2, 3)), verbose=0),
            "repeat_vector.*n=1000000000000",
        ),
        (
            lambda: rnn_engine.optimizers.Adam().add_variable((10**9, 10**9), name="slot"),
            "'slot' of optimizer",
        ),
    ],
)
@pytest.mark.parametrize("kind", [ValueError, MemoryError])
def test_sizes_beyond_all_memory_name_what_asks_for_them(build: Any, text: str, kind: Any) -> None:
    with pytest.raises(kind, match=f"(?s){text}.*GB"):
        build()
