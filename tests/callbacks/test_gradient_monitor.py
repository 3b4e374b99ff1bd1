"""`GradientMonitor` records what `gradient_flow` finds, and warns of what it was made to see."""

import warnings
from typing import Any

import numpy as np
import pytest

import rnn_engine
from rnn_engine import layers as k
from rnn_engine.callbacks import GradientMonitor
from rnn_engine.inspect import gradient_flow

STEPS = 20


def model_of(scale: float) -> Any:
    """Return a linear RNN whose gradient is multiplied by `scale` at each step."""
    model = rnn_engine.Sequential(
        [k.SimpleRNN(3, activation="linear", input_shape=(STEPS, 1), name="rnn"), k.Dense(1)]
    )
    w, _, b, v, c = model.get_weights()
    model.set_weights([w, scale * np.eye(3), b, v, c])
    model.compile("sgd", "mse")
    model.optimizer.learning_rate = 0.0
    return model


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(8, STEPS, 1)), rng.normal(size=(8, 1))


def test_it_records_what_gradient_flow_finds() -> None:
    model, (x, y) = model_of(0.9), data()
    monitor = GradientMonitor(x, y, every=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(x, y, epochs=4, verbose=0, callbacks=[monitor])
    assert monitor.epochs == [0, 2]
    flow = gradient_flow(model, x, y)
    np.testing.assert_array_equal(monitor.norms["rnn"][1], flow.norms["rnn"])
    assert monitor.ratios["rnn"] == pytest.approx([0.9 ** (STEPS - 1)] * 2, rel=1e-5)


@pytest.mark.parametrize(
    ("scale", "message"),
    [(0.5, "vanishes.*LSTM or GRU"), (2.0, "explodes.*clipnorm"), (0.0, "vanishes"),
     (1e3, "explodes")],
)  # fmt: skip
def test_it_warns_once(scale: float, message: str) -> None:
    model, (x, y) = model_of(scale), data()
    y = y + 1
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x, y, epochs=2, verbose=0, callbacks=[GradientMonitor(x, y)])
    texts = [str(w.message) for w in caught if "gradient of layer 'rnn'" in str(w.message)]
    assert len(texts) == 1
    with pytest.warns(UserWarning, match=message):
        model.fit(x, y, verbose=0, callbacks=[GradientMonitor(x, y)])


def test_training_goes_on_as_without_it() -> None:
    results = []
    for callbacks in ([], [GradientMonitor(*data())]):
        rnn_engine.utils.set_random_seed(0)
        model = rnn_engine.Sequential(
            [k.LSTM(4, dropout=0.3, input_shape=(STEPS, 1)), k.Dropout(0.2), k.Dense(1)]
        )
        model.compile("adam", "mse", metrics=["mae"])
        history = model.fit(*data(), epochs=3, batch_size=3, verbose=0, callbacks=callbacks)
        results.append((history.history, model.get_weights()))
    assert results[0][0] == results[1][0]
    for a, b in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_second_training_begins_anew() -> None:
    model, (x, y) = model_of(0.5), data()
    monitor = GradientMonitor(x, y)
    for _ in range(2):
        with pytest.warns(UserWarning, match="vanishes"):
            model.fit(x, y, epochs=2, verbose=0, callbacks=[monitor])
        assert monitor.epochs == [0, 1]
        assert len(monitor.norms["rnn"]) == len(monitor.ratios["rnn"]) == 2


def test_wrong_arguments() -> None:
    for arguments, message in (
        ({"every": 0}, "every"), ({"every": 1.5}, "every"),
        ({"vanishing": 2, "exploding": 1}, "vanishing"), ({"vanishing": -1}, "vanishing"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            GradientMonitor(*data(), **arguments)


def test_it_draws(tmp_path: Any) -> None:
    pytest.importorskip("matplotlib")
    model, (x, y) = model_of(0.9), data()
    monitor = GradientMonitor(x, y)
    model.fit(x, y, epochs=3, verbose=0, callbacks=[monitor])
    axes = monitor.plot(tmp_path / "flow.png").axes[0]
    np.testing.assert_array_equal(axes.get_lines()[0].get_ydata(), monitor.ratios["rnn"])
    assert (tmp_path / "flow.png").stat().st_size > 3000
