"""Windows of truncated backpropagation: what is cut, when the state is reset."""

import numpy as np
import pytest

from rnn_engine import Sequential, layers
from tests.training.standin import DenseModel


class Stateful:
    stateful = True
    sublayers = weights = ()
    metrics = ()


def make_model():
    model = DenseModel()
    model.layers = [Stateful()]
    model.reset_states = lambda: model.seen.append("reset")
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("weights", ["none", "sample", "step"])
def test_windows_come_in_order_after_a_reset(weights):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, 7, 3)), rng.normal(size=(4, 7, 2))
    shape = {"none": None, "sample": (4, 1), "step": (4, 7)}[weights]
    weight = None if shape is None else rng.uniform(0.5, 2, size=shape)
    model, by_hand = make_model(), make_model()
    options = {"batch_size": 2, "window": 3, "shuffle": False, "verbose": 0}
    history = model.fit(x, y, sample_weight=weight, **options)
    assert history.params["steps"] == 6
    losses = []
    for start in (0, 2):
        by_hand.reset_states()
        for a, b in ((0, 3), (3, 6), (6, 7)):
            part = slice(start, start + 2), slice(a, b)
            w = None if weight is None else weight[part[:1] if weights == "sample" else part]
            losses.append(by_hand.train_on_batch(x[part], y[part], w))
    assert history.history["loss"][0] == pytest.approx(np.mean(losses))
    for got, expected in zip(model.seen, by_hand.seen, strict=True):
        np.testing.assert_array_equal(got, expected)
    for got, expected in zip(model.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_window_needs_state_and_targets_for_every_step():
    x, y = np.zeros((4, 7, 3)), np.zeros((4, 7, 2))
    for bad in (y[:, 0], y[:, :6], None):
        with pytest.raises(ValueError, match="target for every time step"):
            make_model().fit(x, bad, window=3, verbose=0)
    plain = DenseModel()
    plain.compile("sgd", "mse")
    with pytest.raises(ValueError, match="stateful=True"):
        plain.fit(x, y, window=3, verbose=0)
    with pytest.raises(ValueError, match="window must be at least 1"):
        make_model().fit(x, y, window=0, verbose=0)


def test_the_layer_with_the_state_may_be_inside_another_model():
    """Its state goes from window to window there, too."""
    rows = [layers.SimpleRNN(2, return_sequences=True, stateful=True)]
    inner = Sequential([layers.Input(batch_shape=(4, None, 3)), *rows])
    model = Sequential([layers.Input(batch_shape=(4, None, 3)), Sequential([inner])])
    model.compile("sgd", "mse")
    x, y = np.ones((4, 7, 3), "float32"), np.zeros((4, 7, 2), "float32")
    history = model.fit(x, y, batch_size=4, window=3, verbose=0)
    assert history.params["steps"] == 3
