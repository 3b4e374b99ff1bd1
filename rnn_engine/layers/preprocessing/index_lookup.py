"""`IndexLookup`: terms to indices, or to counts of them."""

import os
from collections.abc import Mapping, MutableMapping
from itertools import repeat
from typing import Any, Self

import numpy as np

from rnn_engine.config import floatx
from rnn_engine.layers.preprocessing.arguments import (
    as_list,
    check_arguments,
    no_sparse,
    read_salt,
    without_path,
)
from rnn_engine.layers.preprocessing.text import check_choice, encode
from rnn_engine.layers.preprocessing.text_layer import TextLayer
from rnn_engine.layers.preprocessing.vocabulary import Vocabulary

OUTPUT_MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")
OLD_MODES = {"binary": "multi_hot", "tf-idf": "tf_idf"}
_OOV = -1


class IndexLookup(Vocabulary, TextLayer):
    """Base of `StringLookup` and `IntegerLookup`, which read terms of their kind."""

    # Type of the terms, which `invert` gives back.
    terms_dtype: Any = str
    salt: tuple[int, int] | None

    def _begin(self, arguments: dict[str, Any], settings: dict[str, Any]) -> None:
        """Check the constructor's arguments and take them.

        Raises
        ------
        ValueError
            If one is outside its range or two contradict.
        """
        given = dict(arguments)
        vocabulary, idf_weights = given.pop("vocabulary"), given.pop("idf_weights")
        self._size_to_come = settings.pop("vocabulary_size", None)
        settings.pop("oov_method", None)
        self._fixed = bool(settings.pop("has_input_vocabulary", vocabulary is not None))
        if settings.get("dtype") in ("string", "int64"):  # Keras's words for what comes out
            settings["dtype"] = None
        TextLayer.__init__(self, name=given.pop("name"), **settings)
        mode = given["output_mode"] = OLD_MODES.get(given["output_mode"], given["output_mode"])
        check_choice(type(self).__name__, "output_mode", mode, OUTPUT_MODES)
        check_arguments(
            given["max_tokens"], given["num_oov_indices"], mode, given["invert"],
            given["pad_to_max_tokens"],
        )  # fmt: skip
        if sparse := given.pop("sparse"):
            raise no_sparse(sparse, mode)
        if idf_weights is not None and mode != "tf_idf":
            raise ValueError(
                "`idf_weights` should only be set if `output_mode` is `'tf_idf'`. Received: "
                f"idf_weights={idf_weights} and output_mode={mode}"
            )
        if self._fixed and mode == "tf_idf" and idf_weights is None:
            raise ValueError(
                "When specifying the `vocabulary` argument, in TF-IDF output mode, the "
                "`idf_weights` argument must also be provided."
            )
        given["salt"] = read_salt(given["salt"], type(self).__name__)
        for argument, value in given.items():
            setattr(self, argument, value)
        from_file = isinstance(vocabulary, str | os.PathLike)
        self._given = (None if from_file else vocabulary, idf_weights)
        self._index = {}
        self.reset_state()
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)

    # --- looking up ---------------------------------------------------------------

    def apply(self, inputs: Any) -> np.ndarray:
        """Look up terms (with `invert`: indices) of any shape.

        Raises
        ------
        RuntimeError
            If there is no vocabulary yet.
        ValueError
            If a term is unknown and `num_oov_indices` is 0; the first is named.
        """
        self._check_ready()
        if self.invert:
            return self._invert(np.asarray(inputs).astype(np.int64))
        flat, shape = self.read(inputs, "inputs")
        return self.encode(self.find(flat).reshape(shape))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the indices, or of the vectors."""
        shape = tuple(input_shape)
        if self.output_mode == "int" or self.invert:
            return shape
        depth = self.width()
        if self.output_mode == "one_hot":
            return (*shape, depth) if shape[-1] != 1 or len(shape) < 2 else (*shape[:-1], depth)
        return (*shape[:-1], depth)

    def width(self) -> int:
        """Return the size of the vectors, also where the vocabulary is still to come."""
        if self.pad_to_max_tokens and self.max_tokens is not None:
            return self.max_tokens
        if self._tokens is None and self._size_to_come is not None:
            return int(self._size_to_come)
        return self.vocabulary_size()

    def find(self, tokens: list[Any]) -> np.ndarray:
        """Return the index of each token, negative where the mode drops it."""
        found = map(self._index.get, tokens, repeat(_OOV))
        indices = np.fromiter(found, np.int64, len(tokens))
        unknown = np.flatnonzero(indices == _OOV)
        if unknown.size == 0:
            return indices
        if self.num_oov_indices == 0:
            first = int(unknown[0])
            raise ValueError(
                f"inputs must be in the vocabulary when num_oov_indices is 0, "
                f"got {tokens[first]!r} as element {first}."
            )
        indices[unknown] = self._oov_start()
        if self.num_oov_indices > 1:
            indices[unknown] += [self._bucket(tokens[i]) for i in unknown]
        return indices

    def encode(self, indices: np.ndarray) -> np.ndarray:
        """Turn the indices of `find` into what the mode returns."""
        if self.output_mode == "int":
            return indices
        depth = self.max_tokens if self.pad_to_max_tokens else self.vocabulary_size()
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        encoded = encode(indices, mode, int(depth or 0))
        if self.output_mode != "tf_idf":
            return encoded
        assert self.idf_weights is not None
        return encoded.astype(self.idf_weights.dtype) * self.idf_weights

    # --- configuration and state --------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments.

        As in Keras a learned vocabulary is not among them; see `save_assets`.
        """
        vocabulary, idf_weights = self._given
        return {
            **TextLayer.get_config(self),
            "invert": self.invert,
            "max_tokens": self.max_tokens,
            "num_oov_indices": self.num_oov_indices,
            "oov_token": self.oov_token,
            "mask_token": self.mask_token,
            "output_mode": self.output_mode,
            "sparse": False,
            "pad_to_max_tokens": self.pad_to_max_tokens,
            "idf_weights": as_list(idf_weights),
            "vocabulary": as_list(vocabulary),
            "vocabulary_size": None if self._tokens is None else self.vocabulary_size(),
            "salt": None if self.salt is None else list(self.salt),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build it from what `get_config` returned.

        Raises
        ------
        ValueError
            If the vocabulary is a path: a configuration may come from anywhere, and
            is not to have files read.
        """
        return cls(**without_path(config))

    def save_assets(self, dir_path: str | os.PathLike[str]) -> None:
        """Write the vocabulary to ``vocabulary.txt`` in a folder, unless the config has it.

        Raises
        ------
        ValueError
            If a term holds a line break, which the format cannot tell from an end.
        """
        if self._given[0] is not None:
            return
        terms = [str(term) for term in self.get_vocabulary()]
        for i, term in enumerate(terms):
            if "\n" in term:
                raise ValueError(f"A vocabulary file holds no line breaks, got {term!r} at {i}.")
        path = os.path.join(dir_path, "vocabulary.txt")
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write("\n".join(terms))

    def load_assets(self, dir_path: str | os.PathLike[str]) -> None:
        """Read what `save_assets` wrote."""
        if self._given[0] is not None:
            return
        path = os.path.join(dir_path, "vocabulary.txt")
        with open(path, encoding="utf-8", newline="\n") as file:
            terms = file.read().split("\n")
        weights = self.idf_weights
        self.set_vocabulary(terms, None if weights is None else weights[: len(terms)])

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Put the inverse document frequencies into `store`, if there are any."""
        if self.idf_weights is not None:
            store["idf_weights"] = self.idf_weights

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Take them from `store`; to be called before `load_assets`."""
        if self.output_mode == "tf_idf":
            self.idf_weights = np.asarray(store["idf_weights"], dtype=floatx())

    def _invert(self, indices: np.ndarray) -> np.ndarray:
        terms = self.get_vocabulary()
        flat = [
            terms[i] if 0 <= i < len(terms) else self.oov_token for i in indices.ravel().tolist()
        ]
        return np.array(flat, dtype=self.terms_dtype).reshape(indices.shape)

    def _bucket(self, token: Any) -> int:
        """Return the index, from 0, that an unknown term gets of several."""
        raise TypeError(f"{type(self).__name__} must define _bucket(token).")
