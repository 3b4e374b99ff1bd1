"""Cells with activations that the kernels do not know, against Keras and by differences."""

import numpy as np
import pytest

import rnn_engine
from rnn_engine.activations import CustomActivation
from tests.strategies import ALL_CELLS

keras = pytest.importorskip("keras")


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("kind", "own"), ALL_CELLS)
def test_softmax_between_the_steps_agrees_with_keras(
    kind: str, own: dict[str, bool], sequences: bool, backwards: bool, masked: bool
) -> None:
    rng = np.random.default_rng(5)
    options = {"return_sequences": sequences, "go_backwards": backwards, **own}
    gates = {"recurrent_activation": "softmax"} if kind != "SimpleRNN" and sequences else {}
    options |= gates if gates and not masked else {"activation": "softmax"}
    ours = getattr(rnn_engine.layers, kind)(4, bias_initializer="random_normal", **options)
    twin = getattr(keras.layers, kind)(4, **options)
    x = rng.standard_normal((3, 5, 2)).astype("float32")
    mask = rng.integers(0, 2, (3, 5)).astype(bool) if masked else None
    twin.build(x.shape)
    found = ours(x, mask=mask)
    twin.set_weights(ours.get_weights())
    np.testing.assert_allclose(found, np.asarray(twin(x, mask=mask)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("kind", "own"), ALL_CELLS)
def test_gradients_of_a_users_own_activation_by_differences(
    kind: str, own: dict[str, bool]
) -> None:
    sine = CustomActivation(np.sin, np.cos, name="sine")
    layer = getattr(rnn_engine.layers, kind)(
        3, activation=sine, return_state=True, dtype="float64", **own
    )
    rng = np.random.default_rng(6)
    x = rng.standard_normal((2, 4, 2))
    starts = [rng.standard_normal((2, 3)) for _ in layer.state_sizes]
    slopes = tuple(rng.standard_normal((2, 3)) for _ in [*starts, None])
    layer(x)

    def value() -> float:
        outputs = layer(x, initial_state=starts)
        return float(sum((y * slope).sum() for y, slope in zip(outputs, slopes, strict=True)))

    _, saved = layer.forward(x, initial_state=starts, keep=True)
    for variable in layer.weights:
        variable.clear_gradient()
    dx, *before = layer.backward(slopes, saved)
    pairs = [(x, dx), *zip(starts, before, strict=True)]
    pairs += [(v.value, v.grad) for v in layer.weights]
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
