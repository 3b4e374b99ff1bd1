"""Mixed policies: float32 inside, the half type outside, the loss scaled as Keras does."""

from collections.abc import Iterator
from typing import Any

import keras as real
import numpy as np
import pytest

import rnn_engine as ours

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 4, 3)).astype("f4")
Y = RNG.normal(size=(8, 2)).astype("f4")


@pytest.fixture
def mixed() -> Iterator[str]:
    """Have the global policy be a mixed one within a test."""
    name = "mixed_float16"
    for package in (ours, real):
        package.config.set_dtype_policy(name)
    yield name
    for package in (ours, real):
        package.config.set_dtype_policy("float32")


def made(package: Any) -> Any:
    return package.Sequential(
        [package.Input((4, 3)), package.layers.SimpleRNN(5), package.layers.Dense(2)]
    )


@pytest.mark.parametrize("name", ["float32", "float64", "mixed_float16", "mixed_bfloat16"])
def test_policies(name: str) -> None:
    mine, theirs = (package.DTypePolicy(name) for package in (ours, real))
    for attribute in ("name", "variable_dtype", "compute_dtype"):
        assert getattr(mine, attribute) == getattr(theirs, attribute)
    assert str(mine) == str(theirs)
    assert ours.dtype_policies.serialize(mine) == real.dtype_policies.serialize(theirs)
    assert ours.dtype_policies.deserialize(real.dtype_policies.serialize(theirs)) == mine
    assert ours.dtype_policies.get(name) == mine == ours.dtype_policies.get(mine)
    for given in (name, mine, theirs):
        layers = [ours.layers.Dense(2, dtype=given), real.layers.Dense(2, dtype=name)]
        told = [(x.dtype, x.compute_dtype, x.variable_dtype, x.dtype_policy.name) for x in layers]
        assert told[0] == told[1]
    again = ours.layers.deserialize(ours.layers.serialize(layers[0]))
    assert again.dtype_policy == mine
    twin = real.layers.Dense.from_config(layers[0].get_config())
    assert twin.dtype_policy.name == name


def test_the_global_policy(mixed: str) -> None:
    assert ours.config.dtype_policy().name == mixed == ours.mixed_precision.global_policy().name
    assert ours.layers.Dense(2).dtype_policy.name == mixed
    assert ours.layers.Dense(2, dtype="float32").dtype_policy.name == "float32"
    assert ours.DTypePolicy().name == mixed
    assert ours.Input((2,)).dtype == real.Input((2,)).dtype
    with pytest.raises(ValueError, match="Cannot"):
        ours.config.set_dtype_policy("other")
    assert ours.config.dtype_policy().name == mixed


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_weights_are_never_halves(name: str) -> None:
    for call in (ours.DTypePolicy, ours.dtype_policies.get):
        with pytest.raises(ValueError, match=f"mixed_{name}"):
            call(name)
    with pytest.raises(ValueError, match="dtype"):
        ours.layers.Dense(1, dtype=name)
    with pytest.raises(TypeError, match="string"):
        ours.DTypePolicy(3)


def test_outputs_are_halves_and_weights_floats(mixed: str) -> None:
    mine, theirs = made(ours), made(real)
    mine.set_weights(theirs.get_weights())
    assert [w.dtype for w in mine.get_weights()] == [w.dtype for w in theirs.get_weights()]
    outputs = [model.predict(X, verbose=0) for model in (mine, theirs)]
    assert outputs[0].dtype == outputs[1].dtype == np.float16
    np.testing.assert_allclose(outputs[0], outputs[1], atol=4e-3)
    exact = ours.Sequential([ours.Input((4, 3)), *_layers("float32")])
    exact.set_weights(mine.get_weights())
    np.testing.assert_array_equal(outputs[0], exact.predict(X, verbose=0).astype("f2"))
    for y in (
        mine(X),
        mine.predict_on_batch(X),
        mine.layers[1](np.ones((2, 5))),
        mine.predict(X, batch_size=3),
    ):
        assert y.dtype == np.float16
    kept = ours.Sequential([ours.layers.Dense(2), ours.layers.Activation("relu", dtype="float32")])
    assert kept.predict(X, verbose=0).dtype == np.float32


def _layers(dtype: str) -> list[Any]:
    return [ours.layers.SimpleRNN(5, dtype=dtype), ours.layers.Dense(2, dtype=dtype)]


def test_outputs_of_a_graph() -> None:
    x = ours.Input((3,))
    half = ours.layers.Dense(2, dtype="mixed_float16")(x)
    whole = ours.layers.Dense(2)(half)
    model = ours.Model(x, [half, whole])
    types = [np.float16, np.float32]
    assert [y.dtype for y in model.predict(X[:, 0], verbose=0)] == types
    assert [y.dtype for y in model(X[:, 0])] == types
    assert ours.Model(x, half).predict(X[:, 0], verbose=0).dtype == np.float16


def test_bfloat16_stays_float32() -> None:
    layer = ours.layers.Dense(2, dtype="mixed_bfloat16")
    assert layer(X).dtype == np.float32


def test_a_training_is_that_of_float32_with_its_loss_scaled(mixed: str, tmp_path: Any) -> None:
    model, plain = made(ours), ours.Sequential([ours.Input((4, 3)), *_layers("float32")])
    plain.set_weights(model.get_weights())
    model.compile("adam", "mse")
    plain.compile("adam", "mse", auto_scale_loss=False)
    assert type(model.optimizer).__name__ == "LossScaleOptimizer"
    losses = [
        m.fit(X, Y, epochs=3, shuffle=False, verbose=0).history["loss"] for m in (model, plain)
    ]
    np.testing.assert_array_equal(losses[0], losses[1])
    for a, b in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    twin = made(real)
    twin.compile("adam", "mse")
    twin.fit(X, Y, verbose=0)
    names = [[v.path.split("/")[-1] for v in m.optimizer.variables] for m in (model, twin)]
    assert names[0][4:6] == ["iteration", "learning_rate"]
    assert names[0][2:4] == names[1][2:4] == ["step_counter", "dynamic_scale"]
    assert len(names[0]) == len(names[1])
    assert model.get_compile_config()["optimizer"]["class_name"] == "Adam"
    for name in ("m.keras", "m.npz", "m.safetensors"):
        model.save(tmp_path / name)
        again = ours.models.load_model(tmp_path / name)
        assert [layer.dtype_policy.name for layer in again.layers] == [mixed, mixed]
        np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
        ends = [m.fit(X, Y, shuffle=False, verbose=0).history["loss"] for m in (again, plain)]
        np.testing.assert_array_equal(ends[0], ends[1])
        plain.set_weights(model.get_weights())
        plain.optimizer.set_weights([v.numpy() for v in model.optimizer.variables[4:]])
    loaded = real.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(loaded.predict(X, verbose=0), model.predict(X, verbose=0), atol=4e-3)


def test_steps_of_the_scale_are_keras_s() -> None:
    gradients = [1.0, 2.0, np.inf, 1.0, 1.0, 1.0, np.nan, 1.0]
    told = []
    for package in (ours, real):
        optimizer = package.optimizers.LossScaleOptimizer(
            package.optimizers.SGD(0.125), initial_scale=8.0, dynamic_growth_steps=2
        )
        weight = package.Variable(np.ones(2, "f4"))
        assert float(np.asarray(optimizer.scale_loss(1.0))) == 8.0
        steps = []
        for gradient in gradients:
            array = np.full(2, gradient, "f4")
            grads = [array if package is ours else real.ops.convert_to_tensor(array)]
            optimizer.apply(grads, [weight])
            scale = float(np.asarray(optimizer.dynamic_scale))
            count = int(np.asarray(optimizer.step_counter))
            steps.append((scale, count, np.asarray(weight).tolist(), int(optimizer.iterations)))
        told.append(steps)
    assert told[0] == told[1]


def test_a_step_that_overflows_changes_nothing() -> None:
    model = made(ours)
    model.compile(ours.optimizers.LossScaleOptimizer(ours.optimizers.Adam(0.1)), "mse")
    model.fit(X, Y, verbose=0)
    before = model.get_weights()
    with pytest.warns(RuntimeWarning, match="overflow"):
        model.train_on_batch(X, Y * np.float32(1e38))
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert float(model.optimizer.dynamic_scale.value) == 2.0**14
    assert float(model.optimizer.learning_rate) == np.float32(0.1)
    model.optimizer.learning_rate = 0.5
    assert float(model.optimizer.inner_optimizer.learning_rate) == 0.5
    again = ours.optimizers.deserialize(ours.optimizers.serialize(model.optimizer))
    assert again.get_config() == model.optimizer.get_config()


def test_wrong_loss_scalers() -> None:
    inner = ours.optimizers.SGD(0.1)
    for options in ({"clipnorm": 1.0}, {"dynamic": False}, {"other": 1}):
        with pytest.raises(ValueError, match="LossScaleOptimizer"):
            ours.optimizers.LossScaleOptimizer(inner, **options)
    with pytest.raises(ValueError, match="inner_optimizer"):
        ours.optimizers.LossScaleOptimizer("sgd")
    with pytest.raises(ValueError, match="initial_scale"):
        ours.optimizers.LossScaleOptimizer(inner).loss_scale_factor = 2.0


def test_the_scale_and_the_gradient_of_an_embedding(mixed: str) -> None:
    x = RNG.integers(0, 9, (8, 4))
    made: list[Any] = []
    for package in (ours, real):
        model = package.Sequential(
            [package.Input((4,)), package.layers.Embedding(9, 3), package.layers.Flatten()]
        )
        if made:
            model.set_weights(made[0][0])
        before = model.get_weights()
        model.compile("adam", "mse")
        model.fit(x, np.ones((8, 12), "f4"), epochs=2, shuffle=False, verbose=0)
        made.append((before, model.get_weights()[0]))
    assert np.abs(made[0][1] - made[0][0][0]).max() > 1e-3
    np.testing.assert_allclose(made[0][1], made[1][1], atol=1e-4)
