"""Names around models: configs of one's own classes, silence, sessions."""

from typing import Any

import numpy as np
import pytest

import rnn_engine as keras


def test_a_registered_class_is_found_in_configs_and_files(tmp_path: Any) -> None:
    @keras.saving.register_keras_serializable(package="Tests")
    class Halved(keras.initializers.Initializer):
        def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
            return np.full(shape, 0.5, dtype)

        def get_config(self) -> dict[str, Any]:
            return {}

    try:
        assert keras.utils.get_registered_name(Halved) == "Tests>Halved"
        assert keras.utils.get_registered_object("Tests>Halved") is Halved
        assert keras.utils.get_registered_object("Tests>Other") is None
        layer = keras.layers.Dense(2, kernel_initializer=Halved())
        twin = keras.layers.deserialize(keras.layers.serialize(layer))
        np.testing.assert_array_equal(twin(np.ones((1, 2))), [[1, 1]])
        model = keras.Sequential([keras.Input((2,)), layer])
        model.save(tmp_path / "model.npz")
        again = keras.models.load_model(tmp_path / "model.npz")
        assert type(again.layers[0].kernel_initializer) is Halved
        copied = keras.Sequential.from_config(model.get_config())
        assert type(copied.layers[0].kernel_initializer) is Halved
    finally:
        del keras.saving.get_custom_objects()["Tests>Halved"]
    with pytest.raises(TypeError, match="Halved"):
        keras.layers.deserialize(keras.layers.serialize(layer))


def test_a_class_without_config_is_refused() -> None:
    with pytest.raises(ValueError, match="get_config"):
        keras.saving.register_keras_serializable()(type("Bare", (), {}))


def test_interactive_logging(capsys: Any) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((3, 2))
    keras.utils.disable_interactive_logging()
    try:
        model.fit(x, x[:, :1], verbose=2)
        model.fit(x, x[:, :1])
        model.predict(x)
        assert capsys.readouterr().out == ""
    finally:
        keras.utils.enable_interactive_logging()
    model.fit(x, x[:, :1], verbose=2)
    assert "loss" in capsys.readouterr().out


def test_the_cell_of_a_layer_has_its_weights() -> None:
    layer = keras.layers.SimpleRNN(3, activation="relu", recurrent_regularizer="l2")
    assert layer.cell.units == 3
    assert not layer.cell.built
    x = np.random.default_rng(0).normal(size=(2, 1, 4)).astype("float32")
    y = layer(x)
    cell = layer.cell
    assert cell.kernel is layer.kernel
    output, states = cell(x[:, 0], [np.zeros((2, 3), "float32")])
    np.testing.assert_array_equal(output, y)
    cell.kernel.assign(np.zeros((4, 3)))
    cell.bias.assign(np.ones(3))
    np.testing.assert_array_equal(layer(x), np.ones((2, 3)))
    np.testing.assert_array_equal(cell(x[:, 0], states)[0].shape, (2, 3))
    assert [w.shape for w in cell.get_weights()] == [(4, 3), (3, 3), (3,)]


def test_losses_of_layers_and_models() -> None:
    layer = keras.layers.Dense(2, kernel_regularizer=keras.regularizers.L2(0.5), name="d")
    model = keras.Sequential([keras.Input((3,)), layer, keras.layers.Dense(1)])
    layer.kernel.assign(np.full((3, 2), 2.0))
    assert [float(value) for value in model.losses] == [12.0]
    layer.trainable = False
    assert model.losses == []


def test_models_are_of_one_class() -> None:
    x = keras.Input((3,))
    for model in keras.Sequential([keras.layers.Dense(1)]), keras.Model(x, x):
        assert isinstance(model, keras.Model)
        assert isinstance(model, keras.models.Model)
    assert type(model) is keras.models.Functional
    with pytest.raises(TypeError, match="Sequential"):
        keras.Model()
    with pytest.raises(ValueError, match="must be KerasTensors"):
        keras.Model(inputs=1, outputs=2)
