"""The activation layers against Keras: forward, gradients, training, configurations."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnn_engine
from rnn_engine import activations
from rnn_engine.layers import ELU, Activation, Dense, LeakyReLU, PReLU, ReLU, SimpleRNN, Softmax
from rnn_engine.layers.base import Layer

CASES: dict[type[Layer], st.SearchStrategy[dict[str, Any]]] = {
    Activation: st.fixed_dictionaries(
        {"activation": st.sampled_from(["tanh", "gelu", "softmax", "log_softmax"])}
    ),
    ReLU: st.fixed_dictionaries(
        {},
        optional={
            "max_value": st.sampled_from([None, 0.8, 6]),
            "negative_slope": st.sampled_from([0.0, 0.2]),
            "threshold": st.sampled_from([0.0, 0.25]),
        },
    ),
    LeakyReLU: st.fixed_dictionaries({}, optional={"negative_slope": st.sampled_from([0, 0.1])}),
    ELU: st.fixed_dictionaries({}, optional={"alpha": st.sampled_from([0.5, 1.0, 2.0])}),
    PReLU: st.fixed_dictionaries(
        {},
        optional={
            "shared_axes": st.sampled_from([None, 1, [1], [2], (1, 2)]),
            "alpha_regularizer": st.sampled_from([None, "l2"]),
        },
    ),
    Softmax: st.fixed_dictionaries(
        {}, optional={"axis": st.sampled_from([-1, 1, 2, (1, 2), [2], (2, 0)])}
    ),
}


def ready(layer: Layer, shape: tuple[int, ...], seed: int) -> Layer:
    """Build, with weights that are not the same number."""
    layer.build((None, *shape[1:]))
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(size=w.shape) * 0.5 for w in layer.weights])
    return layer


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cls", CASES)
@given(data=st.data())
def test_agrees_with_keras(cls: type[Layer], dtype: str, data: Any) -> None:
    keras = pytest.importorskip("keras")
    tf = pytest.importorskip("tensorflow")
    options = data.draw(CASES[cls])
    seed = data.draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, 3, 5)).astype(dtype)
    layer = ready(cls(**options, dtype=dtype), x.shape, seed)
    twin = getattr(keras.layers, cls.__name__)(**options, dtype=dtype)
    twin.build(x.shape)
    twin.set_weights(layer.get_weights())
    call: dict[str, Any] = {}
    if cls is Softmax and data.draw(st.booleans()):
        call["mask"] = rng.random(data.draw(st.sampled_from([(2, 3, 5), (3, 1), (5,)]))) > 0.4
    y, saved = layer.forward(x, True, **call)
    dy = rng.normal(size=y.shape).astype(dtype)
    with tf.GradientTape() as tape:
        z = tf.constant(x)
        tape.watch(z)
        expected = twin(z, **call)
    weights = [v.value for v in twin.trainable_variables]
    expected_dx, *expected_grads = tape.gradient(expected, [z, *weights], tf.constant(dy))
    # TensorFlow rounds the arguments to float32 also in float64, and the root of 2 in gelu.
    exact = not options or cls in (PReLU, Softmax) or options.get("activation") == "tanh"
    limit = 5e-6 if dtype == "float32" else 1e-13 if exact and cls is not LeakyReLU else 1e-6
    np.testing.assert_allclose(y, expected, rtol=limit, atol=limit)
    before = [v.grad.copy() for v in layer.trainable_weights]
    np.testing.assert_allclose(layer.backward(dy, saved), expected_dx, rtol=limit, atol=limit)
    for variable, old, grad in zip(layer.trainable_weights, before, expected_grads, strict=True):
        np.testing.assert_allclose(variable.grad - old, grad, rtol=10 * limit, atol=10 * limit)
    # Once more: gradients of weights are added.
    assert layer.backward(dy, saved, need_dx=False) is None
    for variable, old, grad in zip(layer.trainable_weights, before, expected_grads, strict=True):
        np.testing.assert_allclose(variable.grad - old, 2 * np.asarray(grad), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("cls", CASES)
@given(data=st.data())
def test_config_round_trip(cls: type[Layer], data: Any) -> None:
    keras = pytest.importorskip("keras")
    options = data.draw(CASES[cls])
    layer = cls(**options)
    config = layer.get_config()
    again = cls.from_config(config)
    assert again.get_config() == config
    theirs = getattr(keras.layers, cls.__name__)(**options).get_config()
    assert set(theirs) <= set(config)
    x = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)
    np.testing.assert_array_equal(again(x), layer(x))


@pytest.mark.parametrize("cls", CASES)
def test_time_major_sequences_give_the_same(cls: type[Layer]) -> None:
    options = {"activation": "tanh"} if cls is Activation else {}
    x = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    layer = ready(cls(**options), x.shape, 1)
    swapped = np.ascontiguousarray(x.transpose(1, 0, 2)).transpose(1, 0, 2)
    y, saved = layer.forward(x)
    again, kept = layer.forward(swapped)
    np.testing.assert_array_equal(again, y)
    assert again.strides == swapped.strides
    dy = np.random.default_rng(1).normal(size=y.shape).astype(np.float32)
    np.testing.assert_array_equal(layer.backward(dy, kept), layer.backward(dy, saved))


def test_a_model_of_them_trains_as_in_keras() -> None:
    pytest.importorskip("keras")
    from reference import keras_twin

    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 5, 3)).astype(np.float32)
    y = np.eye(4, dtype=np.float32)[rng.integers(0, 4, 12)]
    model = rnn_engine.Sequential(
        [
            rnn_engine.Input((5, 3)),
            SimpleRNN(6, return_sequences=True, activation="softsign"),
            PReLU("ones", shared_axes=1),
            LeakyReLU(0.2),
            SimpleRNN(5, activation="silu"),
            ELU(0.7),
            Dense(6, activation="mish"),
            Activation("gelu"),
            Dense(4),
            Activation("softmax"),
        ]
    )
    twin = keras_twin.twin_of(model)
    ours = keras_twin.train(model, x, y, 8, "sgd", "categorical_crossentropy")
    theirs = keras_twin.train(twin, x, y, 8, "sgd", "categorical_crossentropy")
    np.testing.assert_allclose(ours, theirs, rtol=2e-5)
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6)


def test_logits_stay_exact_behind_an_activation_layer() -> None:
    """A softmax of one class that is all but certain still has a gradient, as in Keras."""
    model = rnn_engine.Sequential([rnn_engine.Input((2,)), Dense(2), Activation("softmax")])
    model.set_weights([np.float32([[60, 0], [0, 60]]), np.zeros(2)])
    model.compile("sgd", "categorical_crossentropy")
    loss = model.test_on_batch(np.float32([[1, 0]]), np.float32([[0, 1]]))
    np.testing.assert_allclose(np.ravel(loss)[0], 60.0, rtol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ReLU(max_value=-1.0),
        lambda: ReLU(negative_slope=None),  # type: ignore[arg-type]
        lambda: ReLU(threshold=-0.1),
        lambda: LeakyReLU(negative_slope=None),  # type: ignore[arg-type]
        lambda: LeakyReLU(-0.1),
        lambda: Activation("nope"),
        lambda: PReLU(shared_axes=3).build((None, 4, 5)),
        lambda: PReLU().build((None, None, 5)),
        lambda: ready(PReLU(), (2, 3, 4), 0)(np.ones((2, 5, 4))),
        lambda: Softmax()(np.ones((2, 3)), mask=np.ones((1, 2, 3))),
        lambda: Softmax()(np.ones((2, 3)), mask=np.ones(2)),
    ],
)
def test_refused(make: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        make()


def test_alpha_is_the_old_name_of_the_slope() -> None:
    with pytest.warns(UserWarning, match="deprecated"):
        layer = LeakyReLU(alpha=0.2)
    assert layer.get_config()["negative_slope"] == 0.2


def test_a_layer_may_stand_for_its_activation() -> None:
    layer = Dense(3, activation=LeakyReLU(0.1))
    x = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
    y = layer(x)
    z = x @ layer.kernel.value
    np.testing.assert_allclose(y, np.where(z > 0, z, 0.1 * z), rtol=1e-5, atol=1e-7)
    config = layer.get_config()["activation"]
    assert activations.get(config).get_config() == {"negative_slope": 0.1}
