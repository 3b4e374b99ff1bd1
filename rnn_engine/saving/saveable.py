"""`Saveable`: the methods of a model that write and read files, as a mixin."""

from typing import Any

from rnn_engine.saving import api
from rnn_engine.saving.config import model_to_config, to_json


class Saveable:
    """`save`, `save_weights`, `load_weights` and `to_json` of `keras.Model`."""

    def save(self, filepath: Any, overwrite: bool = True, include_optimizer: bool = True) -> None:
        """Save the model; see `rnn_engine.saving.save_model`."""
        api.save_model(self, filepath, overwrite, include_optimizer)

    def save_weights(self, filepath: Any, overwrite: bool = True) -> None:
        """Save weights and optimizer state; see `rnn_engine.saving.save_weights`."""
        api.save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False) -> None:
        """Load weights and optimizer state; see `rnn_engine.saving.load_weights`."""
        api.load_weights(self, filepath, skip_mismatch)

    def to_json(self, **kwargs: Any) -> str:
        """Return layers and compile settings as JSON; `kwargs` go to `json.dumps`."""
        return to_json(model_to_config(self), **kwargs)
