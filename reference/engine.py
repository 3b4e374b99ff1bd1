"""The engine's side of a comparison, through its public API only."""

from collections.abc import Sequence
from typing import Any

import numpy as np

import rnn_engine
from reference.case import Case, LayerSpec


def engine_model(
    layers: Sequence[LayerSpec],
    input_shape: Sequence[int | None],
    dtype: str,
    weights: Sequence[np.ndarray] | None = None,
) -> Any:
    """Return a built `rnn_engine.Sequential` of (class name, config) pairs."""
    made = [getattr(rnn_engine.layers, name)(**config, dtype=dtype) for name, config in layers]
    inputs = rnn_engine.Input(shape=tuple(input_shape)[1:])
    model = rnn_engine.Sequential([inputs, *made])
    if weights is not None:
        model.set_weights(list(weights))
    return model


def model_of(case: Case, dtype: str) -> Any:
    """Return the engine's model of a case, with the case's weights."""
    return engine_model(case.layers, case.input_shape, dtype, case.weights(dtype))


def gradients(
    model: Any, x: np.ndarray, y: np.ndarray, loss: str, sample_weight: np.ndarray | None = None
) -> dict[str, Any]:
    """Return ``output``, ``loss``, ``parameters`` (a list) and ``inputs`` of a model."""
    model.compile(optimizer="sgd", loss=loss)
    output = model.predict_on_batch(x)
    result = model.gradients(x, y, sample_weight, inputs=True, training=False)
    return {
        "output": output,
        "loss": np.asarray(result.loss),
        "parameters": list(result),
        "inputs": result.inputs,
    }
