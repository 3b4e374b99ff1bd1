"""`StringLookup`: strings to indices, or to counts of them."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

import numpy as np

from rnn_engine.config import floatx
from rnn_engine.layers.preprocessing.arguments import (
    as_list,
    batches,
    check_arguments,
    read_file,
    read_salt,
    without_path,
)
from rnn_engine.layers.preprocessing.hashing import fingerprint64, siphash64
from rnn_engine.layers.preprocessing.text import check_choice, encode, read_strings
from rnn_engine.utils.naming import auto_name

OUTPUT_MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")
_OLD_MODES = {"binary": "multi_hot", "tf-idf": "tf_idf"}
_OOV = -1
_DROPPED = -2


class StringLookup:
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
        for known in ("vocabulary_size", "oov_method", "trainable", "dtype"):
            kwargs.pop(known, None)
        self._fixed = bool(kwargs.pop("has_input_vocabulary", vocabulary is not None))
        if kwargs:
            raise ValueError(f"Unrecognized keyword arguments: {sorted(kwargs)}.")
        output_mode = _OLD_MODES.get(output_mode, output_mode)
        check_choice("output_mode", output_mode, OUTPUT_MODES)
        check_arguments(max_tokens, num_oov_indices, output_mode, invert, pad_to_max_tokens)
        if sparse:
            raise ValueError("sparse must be False: there are no sparse arrays here.")
        if idf_weights is not None and output_mode != "tf_idf":
            raise ValueError(f"idf_weights need output_mode 'tf_idf', got {output_mode!r}.")
        if self._fixed and output_mode == "tf_idf" and idf_weights is None:
            raise ValueError("A vocabulary with output_mode 'tf_idf' needs idf_weights.")
        self.name = name or auto_name(type(self).__name__)
        self.max_tokens = max_tokens
        self.num_oov_indices = num_oov_indices
        self.mask_token = mask_token
        self.oov_token = oov_token
        self.invert = invert
        self.output_mode = output_mode
        self.pad_to_max_tokens = pad_to_max_tokens
        self.encoding = encoding
        self.salt = read_salt(salt)
        self._given = (None if isinstance(vocabulary, str) else vocabulary, idf_weights)
        self._tokens: list[str] | None = None
        self._index: dict[str, int] = {}
        self.idf_weights: np.ndarray | None = None
        self.reset_state()
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)

    # --- the vocabulary -----------------------------------------------------------

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str | None]:
        """Return the terms by index; without mask and unknown ones if not asked for."""
        special = self._special_tokens() if include_special_tokens else []
        return [*special, *(self._tokens or [])]

    def vocabulary_size(self) -> int:
        """Return the number of indices, special ones included."""
        return self._token_start() + len(self._tokens or [])

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Replace the vocabulary, by terms or by the path of a file of one term a line.

        The special tokens may stand at its start, or not at all.

        Raises
        ------
        ValueError
            As for the constructor's arguments; the old vocabulary stays.
        """
        if self.output_mode == "tf_idf" and idf_weights is None:
            raise ValueError("idf_weights must be set if output_mode is 'tf_idf'.")
        if self.output_mode != "tf_idf" and idf_weights is not None:
            raise ValueError(f"idf_weights need output_mode 'tf_idf', got {self.output_mode!r}.")
        from_file = isinstance(vocabulary, str | os.PathLike)
        if from_file and idf_weights is not None:
            raise ValueError("A vocabulary file does not go with output_mode 'tf_idf'.")
        terms = (
            read_file(vocabulary, self.encoding)
            if from_file
            else read_strings(vocabulary, self.encoding, "vocabulary")[0]
        )
        if not terms:
            raise ValueError("vocabulary must not be empty.")
        start = 0 if from_file else self._leading_specials(terms)
        tokens = terms[start:]
        self._check_tokens(tokens)
        weights = None
        if idf_weights is not None:
            weights = np.asarray(idf_weights, dtype=floatx())
            if weights.shape != (len(terms),):
                raise ValueError(
                    f"idf_weights must have the shape ({len(terms)},) of the vocabulary, "
                    f"got {weights.shape}."
                )
        self._install(tokens, weights, padded=start > 0 or self._token_start() == 0)

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Learn the vocabulary: the most frequent strings first, ties in reverse order.

        Parameters
        ----------
        data : list, array or iterable of batches
            Of strings. For ``tf_idf`` each row is a document.
        steps : int, optional
            Batches to take from an iterable.

        Raises
        ------
        ValueError
            If the vocabulary was given to the constructor.
        RuntimeError
            If the vocabulary of another size is in use in a mode whose output has
            that size.
        """
        self.reset_state()
        for batch in batches(data, steps):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Count the strings of a batch; a single row is one document."""
        flat, shape = read_strings(data, self.encoding, "data")
        if len(shape) < 2:
            self.count_rows([flat])
            return
        width = len(flat) // shape[0] if shape[0] else 0
        self.count_rows([flat[i * width : (i + 1) * width] for i in range(shape[0])])

    def count_rows(self, rows: Iterable[list[str]]) -> None:
        """Count tokens, each row being a document."""
        if self._fixed:
            raise ValueError(
                f"Cannot adapt {self.name!r}: its vocabulary was given by the argument vocabulary."
            )
        for row in rows:
            self._counts.update(row)
            self._document_counts.update(set(row))
            self._documents += 1

    def finalize_state(self) -> None:
        """Make the vocabulary of what was counted; without counts the old one stays."""
        if self._fixed or not self._counts:
            return
        for special in (self.mask_token, self.oov_token):
            if special is not None:
                self._counts.pop(special, None)
        tokens = sorted(self._counts, key=lambda t: (self._counts[t], t), reverse=True)
        if self.max_tokens:
            tokens = tokens[: max(self.max_tokens - self._token_start(), 0)]
        weights = None
        if self.output_mode == "tf_idf":
            found = np.array([self._document_counts[t] for t in tokens], dtype=np.float64)
            weights = np.log(1 + self._documents / (1 + found)).astype(floatx())
        self._install(tokens, weights, padded=False)
        self.reset_state()

    def reset_state(self) -> None:
        """Forget what was counted; the vocabulary stays."""
        self._counts: Counter[str] = Counter()
        self._document_counts: Counter[str] = Counter()
        self._documents = 0

    # --- looking up ---------------------------------------------------------------

    def __call__(self, inputs: Any) -> np.ndarray:
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

    def find(self, tokens: list[str]) -> np.ndarray:
        """Return the index of each token, negative where the mode drops it."""
        get = self._index.get
        indices = np.array([get(token, _OOV) for token in tokens], dtype=np.int64)
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
            "name": self.name,
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

    # --- inside -------------------------------------------------------------------

    def _oov_start(self) -> int:
        return 1 if self.mask_token is not None and self.output_mode == "int" else 0

    def _token_start(self) -> int:
        return self._oov_start() + self.num_oov_indices

    def _special_tokens(self) -> list[str | None]:
        return [self.mask_token] * self._oov_start() + [self.oov_token] * self.num_oov_indices

    def _leading_specials(self, terms: list[str]) -> int:
        start = self._token_start()
        return start if terms[:start] == self._special_tokens() else 0

    def _check_ready(self) -> None:
        if self._tokens is None:
            raise RuntimeError(
                f"{self.name!r} has no vocabulary: call adapt, or give it by the argument "
                f"vocabulary."
            )

    def _check_tokens(self, tokens: list[str]) -> None:
        repeated = [token for token, count in Counter(tokens).items() if count > 1]
        if repeated:
            raise ValueError(f"vocabulary must not repeat terms, got {repeated} more than once.")
        reserved = [self.mask_token, self.oov_token if self.invert else None]
        for token in reserved:
            if token is not None and token in tokens:
                raise ValueError(
                    f"vocabulary must hold special tokens only at its start, and then all of "
                    f"{self._special_tokens()}, got {token!r} at index {tokens.index(token)}."
                )
        size = self._token_start() + len(tokens)
        if self.max_tokens is not None and size > self.max_tokens:
            raise ValueError(
                f"vocabulary must have at most max_tokens = {self.max_tokens} terms with the "
                f"special ones, got {size}."
            )

    def _install(self, tokens: list[str], weights: np.ndarray | None, padded: bool) -> None:
        """Take over the tokens; `padded` says that weights of special tokens are there."""
        start = self._token_start()
        size = start + len(tokens)
        sized = self.output_mode != "int" and not self.pad_to_max_tokens
        if sized and self._tokens is not None and size != self.vocabulary_size():
            raise RuntimeError(
                f"The vocabulary of {self.name!r} cannot change its size, on which the output's "
                f"depends: it has {self.vocabulary_size()} terms, the new one {size}."
            )
        if weights is not None:
            if not padded:
                # Unknown tokens count as the average one.
                mean = weights.mean() if weights.size else 0.0
                weights = np.concatenate([np.full(start, mean, weights.dtype), weights])
            if self.pad_to_max_tokens and self.max_tokens is not None:
                missing = max(self.max_tokens - len(weights), 0)
                weights = np.concatenate([weights, np.zeros(missing, weights.dtype)])
            self.idf_weights = weights
        self._tokens = tokens
        self._index = {token: i for i, token in enumerate(tokens, start)}
        if self.mask_token is not None:
            self._index[self.mask_token] = 0 if self.output_mode == "int" else _DROPPED

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
