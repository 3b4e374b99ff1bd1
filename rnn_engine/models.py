"""Models: `keras.models`."""

from rnn_engine.functional import Functional
from rnn_engine.model import Model
from rnn_engine.saving import clone_model, load_model, model_from_json, save_model
from rnn_engine.sequential import Sequential

__all__ = [
    "Functional",
    "Model",
    "Sequential",
    "clone_model",
    "load_model",
    "model_from_json",
    "save_model",
]
