"""`serialize_keras_object` and its way back, against Keras."""

from typing import Any

import numpy as np
import pytest

import rnn_engine

keras = pytest.importorskip("keras")

MAKE = {
    "layer": lambda k: k.layers.LSTM(3, name="a"),
    "wrapper": lambda k: k.layers.Bidirectional(k.layers.GRU(2, name="g"), name="b"),
    "initializer": lambda k: k.initializers.VarianceScaling(2.0, seed=1),
    "regularizer": lambda k: k.regularizers.L2(0.5),
    "constraint": lambda k: k.constraints.MaxNorm(2.0),
    "loss": lambda k: k.losses.BinaryCrossentropy(from_logits=True),
    "metric": lambda k: k.metrics.MeanSquaredError(name="m"),
    "optimizer": lambda k: k.optimizers.Adam(0.25),
    "schedule": lambda k: k.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5),
    "data": lambda k: {"a": [1, (2, "x")], "b": None},
    "array": lambda k: np.arange(3.0),
}


@pytest.mark.parametrize("name", MAKE)
def test_both_ways(name: str) -> None:
    theirs, ours = MAKE[name](keras), MAKE[name](rnn_engine)
    expected = keras.saving.serialize_keras_object(theirs)
    config = rnn_engine.saving.serialize_keras_object(ours)
    if isinstance(expected, dict) and "class_name" in expected:
        assert config["class_name"] == expected["class_name"]
        assert config.get("module") == expected.get("module")
    for reader, written in ((rnn_engine, expected), (keras, config), (rnn_engine, config)):
        made = reader.saving.deserialize_keras_object(written)
        assert type(made).__name__ == type(ours).__name__
        if name == "array":
            np.testing.assert_array_equal(made, ours)
        elif hasattr(made, "get_config"):
            own = MAKE[name](reader).get_config()
            found = made.get_config()
            assert {n: v for n, v in found.items() if n not in ("name", "dtype")} == {
                n: v for n, v in own.items() if n not in ("name", "dtype")
            }
        elif reader is rnn_engine:  # Keras leaves tuples in plain data as they are written
            assert made == ours


def test_ones_own() -> None:
    class Doubled(rnn_engine.layers.Layer):
        def __init__(self, inner: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.inner = inner

        def call(self, x: Any) -> Any:
            return self.inner(x) * 2

        def get_config(self) -> dict[str, Any]:
            inner = rnn_engine.saving.serialize_keras_object(self.inner)
            return {**super().get_config(), "inner": inner}

        @classmethod
        def from_config(cls, config: dict[str, Any]) -> Any:
            config["inner"] = rnn_engine.saving.deserialize_keras_object(config["inner"])
            return cls(**config)

    layer = Doubled(rnn_engine.layers.Dense(2, name="d"))
    config = rnn_engine.utils.serialize_keras_object(layer)
    made = rnn_engine.utils.deserialize_keras_object(config, custom_objects={"Doubled": Doubled})
    assert isinstance(made, Doubled)
    assert made.inner.units == 2

    def swoosh(x: Any) -> Any:
        return x

    written = rnn_engine.saving.serialize_keras_object(swoosh)
    assert rnn_engine.saving.deserialize_keras_object(written, {"swoosh": swoosh}) is swoosh
    with pytest.raises(TypeError, match="Could not locate class 'Nothing'"):
        rnn_engine.saving.deserialize_keras_object({"class_name": "Nothing", "config": {}})
    with pytest.raises(TypeError, match="Could not locate class 'Nothing'"):
        keras.saving.deserialize_keras_object({"class_name": "Nothing", "config": {}})
    with pytest.raises(TypeError, match="Cannot serialize"):
        rnn_engine.saving.serialize_keras_object(object())
