"""`Saveable`: the methods of a model that write and read files, as a mixin."""

from typing import Any

# The readers and writers are imported when a file is at hand: most programs have none.


class Saveable:
    """`save`, `save_weights`, `load_weights`, `export` and `to_json` of `keras.Model`."""

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
        self,
        filepath: Any,
        skip_mismatch: bool = False,
        by_name: bool | None = None,
        **kwargs: Any,
    ) -> None:
        """Load weights and optimizer state; see `rnn_engine.saving.load_weights`."""
        if kwargs:
            raise ValueError(f"Invalid keyword arguments: {kwargs}")
        from rnn_engine.saving import api

        api.load_weights(self, filepath, skip_mismatch, by_name)

    def export(
        self,
        filepath: Any,
        format: str = "tf_saved_model",
        *,
        name: str | None = None,
        cpu: str | None = None,
    ) -> None:
        """Write the model for serving: as a C library (`keras.Model.export`).

        Into a folder come a header, which says how the functions are used, ``libNAME.a`` and
        ``libNAME.so``, and what they were made of. They need neither Python nor this package, and
        give the bits of `predict`. See docs/export_c.md.

        Parameters
        ----------
        filepath : str or Path
            The folder; it is made if it is not there, and files of these names are replaced.
        format : str
            ``"c"``; Keras's own formats, its default among them, are not written.
        name : str, optional
            What all names in C begin with; that of the folder if None.
        cpu : str, optional
            ``"x86-64-v3"`` (AVX2) or ``"x86-64-v4"`` (AVX-512): what the code may use. None is
            the CPU at hand, whose code others may not run.

        Raises
        ------
        ValueError
            If an argument is none of these, or the model or one of its layers cannot be expressed
            in C: `Sequential` models and graphs of float32 can whose layers go through time from
            step to step. Nothing is written then.
        RuntimeError
            If there is no C compiler (``cc``, or the environment's ``CC``) or no binutils.

        Examples
        --------
        >>> from rnn_engine import Input, Sequential
        >>> from rnn_engine.layers import GRU, Dense
        >>> model = Sequential([Input((None, 1)), GRU(8, return_sequences=True), Dense(1)])
        >>> model.export("effect", format="c")  # doctest: +SKIP
        """
        if format != "c":
            raise ValueError(
                f"Unrecognized format={format}. Supported formats are: ['c'], a C library: "
                f"pass format='c', got format={format!r}. "
                f"model.save('model.keras') writes what Keras and TensorFlow read, "
                f"saving.to_onnx(model, 'model.onnx') what ONNX Runtime does."
            )
        from rnn_engine.exporting import export_c

        export_c(self, filepath, name, cpu)

    def to_json(self, **kwargs: Any) -> str:
        """Return layers and compile settings as JSON; `kwargs` go to `json.dumps`."""
        from rnn_engine.saving.writing import model_to_config, to_json

        return to_json(model_to_config(self), **kwargs)
