"""Models: `keras.models`."""

from rnn_engine.model import Model, Sequential
from rnn_engine.saving import clone_model, load_model, model_from_json, save_model

__all__ = ["Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]
