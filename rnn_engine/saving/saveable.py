"""`Saveable`: the methods of a model that write and read files, as a mixin."""

from typing import Any

# The readers and writers are imported when a file is at hand: most programs have none.


class Saveable:
    """`save`, `save_weights`, `load_weights` and `to_json` of `keras.Model`."""

    def save(
        self,
        filepath: Any,
        overwrite: bool = True,
        include_optimizer: bool = True,
        **kwargs: Any,
    ) -> None:
        """Save the model; see `rnn_engine.saving.save_model`."""
        from rnn_engine.saving import api

        api.save_model(self, filepath, overwrite, include_optimizer, **kwargs)

    def _check_can_save(self, filepath: str, weights_only: bool = False) -> None:
        """Raise now what `save` would raise later; see `saving.api.check_can_save`."""
        from rnn_engine.saving import api

        api.check_can_save(self, filepath, weights_only)

    def save_weights(self, filepath: Any, overwrite: bool = True) -> None:
        """Save weights and optimizer state; see `rnn_engine.saving.save_weights`."""
        from rnn_engine.saving import api

        api.save_weights(self, filepath, overwrite)

    def load_weights(
        self, filepath: Any, skip_mismatch: bool = False, by_name: bool | None = None
    ) -> None:
        """Load weights and optimizer state; see `rnn_engine.saving.load_weights`."""
        from rnn_engine.saving import api

        api.load_weights(self, filepath, skip_mismatch, by_name)

    def to_json(self, **kwargs: Any) -> str:
        """Return layers and compile settings as JSON; `kwargs` go to `json.dumps`."""
        from rnn_engine.saving.writing import model_to_config, to_json

        return to_json(model_to_config(self), **kwargs)
