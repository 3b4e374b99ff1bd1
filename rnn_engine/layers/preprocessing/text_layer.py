"""`TextLayer`: what the layers of strings share: they stand first in a model."""

import io
from typing import Any

import numpy as np

from rnn_engine.config import floatx
from rnn_engine.layers.base import Layer

VOCABULARY = "vocabulary.txt"


class TextLayer(Layer):
    """Base of `StringLookup` and `TextVectorization`.

    They have no weights but a vocabulary, which a file holds as a text of one term a line,
    and in mode ``tf_idf`` the weights of its terms; both as in Keras's files.
    """

    takes_integers = True  # what comes is looked up, no number to compute with
    takes_strings = True

    # What a config tells and no caller gives: the size of a vocabulary that is still to come.
    settings_of_configs = ("vocabulary_size",)

    output_mode: str

    @property
    def lookup(self) -> Any:
        """The `StringLookup` that holds the vocabulary."""
        return self

    @property
    def output_dtype(self) -> str:
        """Type of the output: int64, `floatx` in mode ``tf_idf``, string with `invert`."""
        if getattr(self, "invert", False):
            return "string"
        return floatx() if self.output_mode == "tf_idf" else "int64"

    def convert(self, inputs: Any) -> np.ndarray:
        """Return the inputs as an array of objects, or as the array they are."""
        if isinstance(inputs, np.ndarray):
            return inputs
        if isinstance(inputs, str | bytes):
            array = np.empty((), dtype=object)
            array[()] = inputs
            return array
        return np.asarray(inputs, dtype=object)

    def apply(self, inputs: Any) -> np.ndarray:
        """Return what the layer makes of strings."""
        raise TypeError(f"{type(self).__name__} must define apply(inputs).")

    def forward(self, x: Any, training: bool = False, mask: Any = None) -> Any:
        """Return the output; there is nothing that backward needs."""
        return self.apply(x), None

    def backward(self, dy: Any, saved: Any, need_dx: bool = True) -> Any:
        """Return None: a string has no slope."""
        return None

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return None: the mask comes from an `Embedding`."""
        return None

    def reset_state(self) -> None:
        """Forget what was counted; the vocabulary stays."""

    # --- files --------------------------------------------------------------------

    def learned_terms(self) -> list[str] | None:
        """Return the vocabulary, None if there is none or the config has it."""
        lookup = self.lookup
        if lookup._tokens is None or lookup._given[0] is not None:
            return None
        return [str(term) for term in lookup.get_vocabulary()]

    def assets(self) -> dict[str, bytes]:
        """Return the files that belong to the layer, by name.

        Raises
        ------
        ValueError
            If a term holds a line break, which the format cannot tell from an end.
        """
        terms = self.learned_terms()
        if terms is None:
            return {}
        for i, term in enumerate(terms):
            if "\n" in term:
                raise ValueError(f"A vocabulary file holds no line breaks, got {term!r} at {i}.")
        return {VOCABULARY: "\n".join(terms).encode()}

    def take_assets(self, content: bytes, idf_weights: Any = None) -> None:
        """Take the vocabulary out of the content of its file."""
        terms = io.TextIOWrapper(io.BytesIO(content), "utf-8", newline="\n").read().split("\n")
        weights = None if idf_weights is None else np.asarray(idf_weights)[: len(terms)]
        self.lookup.set_vocabulary(terms, weights)

    def config_with_vocabulary(self) -> dict[str, Any]:
        """Return the config with what was learned, for formats that have no place beside it."""
        config, lookup = self.get_config(), self.lookup
        if self.learned_terms() is not None:
            config["vocabulary"] = lookup.get_vocabulary(include_special_tokens=False)
            if lookup.idf_weights is not None:
                start, size = lookup._token_start(), len(config["vocabulary"])
                config["idf_weights"] = lookup.idf_weights[start : start + size].tolist()
        return config
