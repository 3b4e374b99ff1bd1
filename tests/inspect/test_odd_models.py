"""A look inside models and data that are not the usual ones, and what is said of them."""

import warnings
from typing import Any

import numpy as np
import pytest

import rnn_engine
from rnn_engine import inspect
from rnn_engine.callbacks import GradientMonitor
from rnn_engine.inspect.gradients import GradientFlow, MemoryLength
from rnn_engine.layers import GRU, LSTM, Bidirectional, Dense, Masking, SimpleRNN

RNG = np.random.default_rng(0)


def model_of(*layers: Any, steps: int | None = 60, built: bool = True) -> Any:
    rnn_engine.utils.set_random_seed(0)
    start = [rnn_engine.layers.Input((steps, 2))] if built else []
    model = rnn_engine.Sequential([*start, *layers, Dense(1)])
    model.compile("sgd", "mse")
    return model


def data(steps: int = 60) -> tuple[np.ndarray, np.ndarray]:
    return RNG.normal(size=(4, steps, 2)).astype("float32"), RNG.normal(size=(4, 1))


def forgetful(**options: Any) -> SimpleRNN:
    return SimpleRNN(4, recurrent_initializer=rnn_engine.initializers.Orthogonal(0.3), **options)


def warned(monitor: GradientMonitor, x: Any, y: Any, model: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x, y, epochs=1, verbose=0, callbacks=[monitor])
    return [str(one.message) for one in caught]


@pytest.mark.parametrize("layer", [
    forgetful(go_backwards=True, name="one"), Bidirectional(forgetful(name="one")),
])  # fmt: skip
def test_a_gradient_that_vanishes_backwards_is_not_said_to_explode(layer: Any) -> None:
    """The layer reads the last step first: the way back is the way forward in time."""
    model = model_of(layer)
    monitor = GradientMonitor(*data())
    messages = warned(monitor, *data(), model)
    assert messages
    assert all("vanishes" in message for message in messages)
    for name, (norm,) in monitor.norms.items():
        turned = name in inspect.gradient_flow(model, *data()).backwards
        assert (norm[0] > norm[-1]) == turned
        assert monitor.ratios[name][0] < 1e-10


def test_padding_at_the_end_is_not_the_last_step() -> None:
    x, y = data()
    x[:, 20:] = 0
    model = model_of(Masking(), LSTM(3, return_sequences=True, name="first"), GRU(3, name="second"))
    flow = inspect.gradient_flow(model, x, y)
    assert not flow.norms["first"][20:].any()
    assert flow.ratios["first"] == flow.norms["first"][0] / flow.norms["first"][19]
    monitor = GradientMonitor(x, y, vanishing=0, exploding=1e30)
    assert warned(monitor, x, y, model) == []


def test_ratios_without_a_gradient() -> None:
    flow = GradientFlow(0.0, {"a": np.zeros(3), "b": np.array([2.0, 1.0, 0.0])}, frozenset("b"))
    assert np.isnan(flow.ratios["a"])
    assert flow.ratios["b"] == 0.0


def test_an_unbuilt_model_is_built() -> None:
    x, y = data(5)
    model = model_of(LSTM(3, name="lstm"), built=False)
    assert inspect.gradient_flow(model, x, y).norms["lstm"].shape == (5,)


def test_what_is_not_finite_is_told_as_such(tmp_path: Any) -> None:
    x, y = data()
    x[1, 3] = np.nan
    model = model_of(LSTM(3, name="lstm"))
    (message,) = warned(GradientMonitor(x, y), x[2:], y[2:], model)
    assert "the gradient of layer 'lstm' is not finite" in message
    memory = inspect.memory_length(model, x)
    assert not np.isfinite(memory.influence).all()
    assert memory.length == 59
    shares = inspect.saturation(model, x[1:2]).shares["lstm"]
    for share in shares.values():  # from the fourth of sixty steps on
        np.testing.assert_allclose(share, 57 / 60, atol=0.02)
    assert np.isnan(inspect.unit_activity(model, x).mean["lstm"]).all()
    for found in (inspect.gradient_flow(model, x, y), memory, inspect.saturation(model, x)):
        found.plot(tmp_path / "plot.png")
    model.layers[0].set_weights([np.full_like(w, np.nan) for w in model.layers[0].get_weights()])
    with pytest.raises(ValueError, match="recurrent weights of 'lstm' are not finite"):
        inspect.spectral_radius(model.layers[0])


@pytest.mark.parametrize(
    ("influence", "length"),
    [([0, 0, 0], 0), ([0, np.inf, 1], 1), ([1, 0.5, np.nan], 0), ([0.02, 0.5, 1], 2), ([], 0)],
)
def test_length_of_influences(influence: list[float], length: int, tmp_path: Any) -> None:
    memory = MemoryLength(np.array(influence, np.float64), 0.01)
    assert memory.length == length if influence else memory.length == 0
    memory.plot(tmp_path / "plot.png")


def test_zeros_are_drawn_as_nothing(tmp_path: Any) -> None:
    GradientFlow(0.0, {"dead": np.zeros(4)}).plot(tmp_path / "plot.png")
    monitor = GradientMonitor(*data(5))
    monitor.epochs, monitor.ratios = [0], {"dead": [float("nan")], "gone": [0.0]}
    monitor.plot(tmp_path / "plot.png")


def test_the_layers_of_a_bidirectional_are_named_where_it_is_refused() -> None:
    layer = Bidirectional(LSTM(3))
    layer.build((None, None, 2))
    with pytest.raises(ValueError, match="its forward_layer and backward_layer"):
        inspect.spectral_radius(layer)
    assert set(inspect.spectral_radius(layer.backward_layer).radii) == {
        "input", "forget", "candidate", "output",
    }  # fmt: skip
