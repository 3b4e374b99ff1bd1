"""What a type checker says of a user's program: checked by `make lint`, and run here."""

from pathlib import Path
from typing import Any, assert_type

import numpy as np

import rnn_engine
from rnn_engine.callbacks.history import History
from rnn_engine.model import Model


def test_a_program(tmp_path: Path) -> None:
    x, y = np.zeros((4, 3, 1), np.float32), np.zeros((4, 2), np.float32)
    model = rnn_engine.Sequential([rnn_engine.Input((3, 1)), rnn_engine.layers.LSTM(2)])
    model.compile("adam", "mse")
    assert_type(model.fit(x, y, verbose=0), History)
    assert_type(model.history.history, dict[str, list[float]])
    assert_type(model.evaluate(x, y, verbose=0), float | list[float] | dict[str, float])
    assert_type(model.train_on_batch(x, y), float | list[float] | dict[str, float])
    assert_type(model.count_params(), int)
    model.save(tmp_path / "m.keras")
    loaded = rnn_engine.models.load_model(tmp_path / "m.keras")
    assert_type(loaded, Model)
    assert_type(rnn_engine.models.clone_model(loaded), Model)
    assert_type(rnn_engine.models.model_from_json(loaded.to_json()), Model)
    predicted: np.ndarray[Any, np.dtype[Any]] = loaded.predict(x, verbose=0)
    assert isinstance(loaded, Model)
    assert isinstance(predicted, np.ndarray)
    assert isinstance(loaded.fit(x, y, verbose=0), History)
