"""Data that does not fit: the error comes before anything has changed."""

import numpy as np
import pytest

import rnn_engine
from rnn_engine import layers

FLOATS = np.float32


def make_model(stateful=False, units=1):
    rnn_engine.utils.set_random_seed(3)
    model = rnn_engine.Sequential([
        layers.Input(batch_shape=(4 if stateful else None, 5, 3)),
        layers.SimpleRNN(2, stateful=stateful, dropout=0.5),
        layers.BatchNormalization(),
        layers.Dense(units),
    ])  # fmt: skip
    model.compile("adam", "mse", metrics=["mae"])
    x, y = data(8)
    model.fit(x, y, batch_size=4, verbose=0)
    return model


def data(count, features=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, 5, features)).astype(FLOATS), np.ones((count, 1), FLOATS)


def everything(model):
    """Return all that training moves, the layers' generators among it."""
    rnn = model.layers[0]
    variables = [*model.weights, *(rnn.states or ()), *model.optimizer.variables]
    numbers = [variable.value.tobytes() for variable in variables]
    return numbers, str(rnn.cell._generator.bit_generator.state), id(model.history)


def rejects(model, message, method, *args, **kwargs):
    before = everything(model)
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(*args, **kwargs)
    assert everything(model) == before


X, Y = data(8)
VALIDATION = {
    "features": (data(8, features=4), "expected axis -1 of input shape to have value 3"),
    "targets": (
        (X, np.ones((8, 2), FLOATS)),
        r"must have the same shape. Received: target.shape=\(4, 2\)",
    ),
    "no targets": ((X, None), "The loss needs targets"),
    "weights": ((X, Y, np.ones((8, 3), FLOATS)), r"sample_weight of shape \(4, 3\) does not fit"),
}


@pytest.mark.parametrize("case", VALIDATION)
def test_wrong_validation_data_is_found_before_training(case):
    wrong, message = VALIDATION[case]
    rejects(make_model(), message, "fit", X, Y, 4, validation_data=wrong, verbose=0)


@pytest.mark.parametrize("case", VALIDATION)
@pytest.mark.parametrize("stateful", [False, True])
@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_wrong_data_moves_nothing(method, stateful, case):
    (x, y, *weight), message = VALIDATION[case]
    options = {"verbose": 0, "batch_size": 4} if method in ("fit", "evaluate") else {}
    count = 8 if options else 4
    if weight:
        options["sample_weight"] = weight[0][:count]
    y = y if y is None else y[:count]
    rejects(make_model(stateful), message, method, x[:count], y, **options)


@pytest.mark.parametrize("case", VALIDATION)
def test_a_wrong_batch_of_a_generator_moves_nothing(case):
    wrong, message = VALIDATION[case]
    batch = tuple(part if part is None else part[:4] for part in wrong)
    model = make_model(stateful=True)
    before = everything(model)[:2]
    with pytest.raises(ValueError, match=message):
        model.fit(iter([batch]), verbose=0)
    assert everything(model)[:2] == before


class TestStateful:
    """The states are of four samples."""

    message = "Expected batch size: 4. Received batch size: 2"

    @pytest.mark.parametrize("method", ["fit", "evaluate"])
    def test_a_short_last_batch_is_found_before_the_first(self, method):
        x, y = data(10)
        rejects(make_model(True), self.message, method, x, y, 4, verbose=0)

    def test_a_short_last_batch_of_validation_data(self):
        validation = data(10)
        model = make_model(True)
        rejects(model, self.message, "fit", X, Y, 4, validation_data=validation, verbose=0)

    def test_prediction(self):
        rejects(make_model(True), self.message, "predict", data(10)[0], batch_size=4, verbose=0)

    def test_a_batch_that_is_not_reached_does_not_count(self):
        x, y = data(10)
        history = make_model(True).fit(x, y, 4, steps_per_epoch=2, verbose=0)
        assert history.params["steps"] == 2

    def test_nor_does_a_validation_that_never_comes(self):
        wrong = data(10)
        model = make_model(True)
        model.fit(X, Y, 4, validation_data=wrong, validation_steps=1, epochs=2, verbose=0)
        rejects(
            model, self.message, "fit", X, Y, 4, validation_data=wrong, validation_steps=1,
            epochs=3, verbose=0,
        )  # fmt: skip


def test_a_model_without_targets_is_not_even_built():
    model = rnn_engine.Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="The loss needs targets"):
        model.fit(X, None, verbose=0)
    assert not model.built
    assert model.history is None


class Doubled(layers.Layer):
    """A user's layer that does not say what shape it returns."""

    def forward(self, x, training=False, mask=None):
        return np.concatenate([x, x], axis=-1), None

    def backward(self, dy, saved, need_dx=True):
        half = dy.shape[-1] // 2
        return dy[..., :half] + dy[..., half:]


def test_a_layer_that_tells_no_shape_is_not_judged_by_it():
    model = rnn_engine.Sequential([layers.Dense(2, input_shape=(3,)), Doubled()])
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 3), FLOATS), np.ones((4, 4), FLOATS), verbose=0)
    assert model.predict(np.ones((4, 3), FLOATS), verbose=0).shape == (4, 4)
