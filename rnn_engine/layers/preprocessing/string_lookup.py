"""`StringLookup`: strings to indices, or to counts of them."""

import os
from collections.abc import Mapping, MutableMapping
from itertools import repeat
from typing import Any

import numpy as np

from rnn_engine.config import floatx
from rnn_engine.layers.base import registry
from rnn_engine.layers.preprocessing.arguments import (
    as_list,
    check_arguments,
    read_salt,
    without_path,
)
from rnn_engine.layers.preprocessing.hashing import fingerprint64, siphash64
from rnn_engine.layers.preprocessing.text import check_choice, encode, read_strings
from rnn_engine.layers.preprocessing.text_layer import TextLayer
from rnn_engine.layers.preprocessing.vocabulary import Vocabulary

OUTPUT_MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")
OLD_MODES = {"binary": "multi_hot", "tf-idf": "tf_idf"}
_OOV = -1


@registry.register()
class StringLookup(Vocabulary, TextLayer):
    """Maps strings to indices by a vocabulary. Mirrors `keras.layers.StringLookup`.

    Returns NumPy arrays: int64, for ``tf_idf`` `floatx`, for `invert` strings.
    Index 0 is the mask token if there is one and the mode is ``int``; then come
    `num_oov_indices` indices for unknown strings, then the vocabulary. Differences
    from Keras: `sparse` is refused, as Keras does on every backend but TensorFlow;
    ``multi_hot`` and ``count`` of rank 3 and more count over the last axis, as Keras
    documents but does not do; without a vocabulary each mode raises RuntimeError.

    Parameters
    ----------
    max_tokens : int, optional
        Largest size of the vocabulary, special tokens included.
    num_oov_indices : int
        With 0 an unknown string is an error; above 1 a hash chooses.
    mask_token : str, optional
        Index 0 in mode ``int``, dropped in the others.
    oov_token : str
        What an unknown index becomes with `invert`.
    vocabulary : sequence of str or path, optional
        Or the path of a text file of one term a line. Without it, call `adapt`.
    idf_weights : sequence of float, optional
        For ``tf_idf``, one for each term of the vocabulary.
    invert : bool
        Whether to map indices to strings.
    output_mode : {"int", "one_hot", "multi_hot", "count", "tf_idf"}
        Indices, one vector an element, or one vector a row: which terms occur, how
        often, or that times the inverse document frequency.
    pad_to_max_tokens : bool
        Whether vectors have `max_tokens` entries however small the vocabulary is.
    sparse : bool
        Must be False.
    encoding : str
        Of strings given as bytes.
    name : str, optional
        Made from the class name if None.
    salt : int or pair of int, optional
        Key of the hash: SipHash with it, FarmHash without.

    Raises
    ------
    ValueError
        If an argument is outside its range, or a vocabulary has repeated terms, is
        empty or larger than `max_tokens`.

    Examples
    --------
    >>> lookup = StringLookup(vocabulary=["a", "b"])
    >>> lookup(["b", "x", "a"])
    array([2, 0, 1])
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str | None = "[UNK]",
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        salt: Any = None,
        **kwargs: Any,
    ) -> None:
        self._size_to_come = kwargs.pop("vocabulary_size", None)
        kwargs.pop("oov_method", None)
        self._fixed = bool(kwargs.pop("has_input_vocabulary", vocabulary is not None))
        if kwargs.get("dtype") in ("string", "int64"):  # Keras's words for what comes out
            kwargs["dtype"] = None
        TextLayer.__init__(self, name=name, **kwargs)
        output_mode = OLD_MODES.get(output_mode, output_mode)
        check_choice("StringLookup", "output_mode", output_mode, OUTPUT_MODES)
        check_arguments(max_tokens, num_oov_indices, output_mode, invert, pad_to_max_tokens)
        if sparse:
            raise ValueError("sparse must be False: there are no sparse arrays here.")
        if idf_weights is not None and output_mode != "tf_idf":
            raise ValueError(f"idf_weights need output_mode 'tf_idf', got {output_mode!r}.")
        if self._fixed and output_mode == "tf_idf" and idf_weights is None:
            raise ValueError("A vocabulary with output_mode 'tf_idf' needs idf_weights.")
        self.max_tokens = max_tokens
        self.num_oov_indices = num_oov_indices
        self.mask_token = mask_token
        self.oov_token = oov_token
        self.invert = invert
        self.output_mode = output_mode
        self.pad_to_max_tokens = pad_to_max_tokens
        self.encoding = encoding
        self.salt = read_salt(salt)
        from_file = isinstance(vocabulary, str | os.PathLike)
        self._given = (None if from_file else vocabulary, idf_weights)
        self._index = {}
        self.reset_state()
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)

    # --- looking up ---------------------------------------------------------------

    def apply(self, inputs: Any) -> np.ndarray:
        """Look up strings (with `invert`: indices) of any shape.

        Raises
        ------
        RuntimeError
            If there is no vocabulary yet.
        ValueError
            If a string is unknown and `num_oov_indices` is 0; the first is named.
        """
        self._check_ready()
        if self.invert:
            return self._invert(np.asarray(inputs).astype(np.int64))
        flat, shape = read_strings(inputs, self.encoding, "inputs")
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

    def find(self, tokens: list[str]) -> np.ndarray:
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
            "encoding": self.encoding,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "StringLookup":
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
        return np.array(flat, dtype=str).reshape(indices.shape)

    def _bucket(self, token: str) -> int:
        data = token.encode("utf-8")
        value = fingerprint64(data) if self.salt is None else siphash64(data, self.salt)
        return value % self.num_oov_indices
