"""SimpleRNN with activations that its kernels do not know, against Keras and by differences."""

import numpy as np
import pytest

import rnn_engine
from rnn_engine.activations import CustomActivation

keras = pytest.importorskip("keras")


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_softmax_between_the_steps_agrees_with_keras(
    sequences: bool, backwards: bool, masked: bool
) -> None:
    rng = np.random.default_rng(5)
    options = {"activation": "softmax", "return_sequences": sequences, "go_backwards": backwards}
    ours = rnn_engine.layers.SimpleRNN(4, bias_initializer="random_normal", **options)
    twin = keras.layers.SimpleRNN(4, **options)
    x = rng.standard_normal((3, 5, 2)).astype("float32")
    mask = rng.integers(0, 2, (3, 5)).astype(bool) if masked else None
    twin.build(x.shape)
    found = ours(x, mask=mask)
    twin.set_weights(ours.get_weights())
    np.testing.assert_allclose(found, np.asarray(twin(x, mask=mask)), rtol=1e-5, atol=1e-6)


def test_gradients_of_a_users_own_activation_by_differences() -> None:
    sine = CustomActivation(np.sin, np.cos, name="sine")
    layer = rnn_engine.layers.SimpleRNN(3, activation=sine, return_state=True, dtype="float64")
    rng = np.random.default_rng(6)
    x, h0 = rng.standard_normal((2, 4, 2)), rng.standard_normal((2, 3))
    slopes = rng.standard_normal((2, 3)), rng.standard_normal((2, 3))
    layer(x)

    def value() -> float:
        y, state = layer(x, initial_state=h0)
        return float((y * slopes[0]).sum() + (state * slopes[1]).sum())

    _, saved = layer.forward(x, initial_state=h0, keep=True)
    for variable in layer.weights:
        variable.clear_gradient()
    dx, dh0 = layer.backward(slopes, saved)
    pairs = [(x, dx), (h0, dh0), *((v.value, v.grad) for v in layer.weights)]
    for array, gradient in pairs:
        for index in np.ndindex(array.shape):
            kept, found = array[index], []
            for step in (1e-6, -1e-6):
                array[index] = kept + step
                for variable in layer.weights:
                    variable.touch()
                found.append(value())
            array[index] = kept
            difference = (found[0] - found[1]) / 2e-6
            assert gradient[index] == pytest.approx(difference, rel=1e-5, abs=1e-7)
            assert gradient.any()
