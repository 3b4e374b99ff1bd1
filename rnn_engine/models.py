"""Models: `keras.models`."""

from typing import TYPE_CHECKING

from rnn_engine.lazy import lazily, places_in, show_public

if TYPE_CHECKING:
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


_NAMES = {
    "functional": "Functional",
    "model": "Model",
    "saving": "clone_model load_model model_from_json save_model",
    "sequential": "Sequential",
}
__getattr__ = lazily(__name__, places_in("rnn_engine", _NAMES))
show_public(__name__)
