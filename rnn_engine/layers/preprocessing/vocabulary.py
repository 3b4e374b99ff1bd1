"""The vocabulary of a lookup: given, read, or learned from counts."""

import os
from collections import Counter
from typing import Any

import numpy as np

from rnn_engine.config import floatx
from rnn_engine.layers.preprocessing.arguments import batches, read_file
from rnn_engine.layers.preprocessing.text import Tokens

DROPPED = -2


class Vocabulary:
    """The terms of a lookup and their indices; base of `StringLookup` and `IntegerLookup`.

    A subclass sets the attributes below before it calls `reset_state` or
    `set_vocabulary`. `_index` maps a term to its index, the mask token to 0 or, in
    modes that drop it, to `DROPPED`.
    """

    name: str
    max_tokens: int | None
    num_oov_indices: int
    mask_token: Any
    oov_token: Any
    invert: bool
    output_mode: str
    pad_to_max_tokens: bool
    encoding: str
    idf_weights: np.ndarray | None = None
    _fixed: bool
    _tokens: list[Any] | None = None
    _index: dict[Any, int]

    def read(self, values: Any, argument: str) -> tuple[list[Any], tuple[int, ...]]:
        """Return the terms of a scalar, list or array, and its shape."""
        raise TypeError(f"{type(self).__name__} must define read(values, argument).")

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
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
            raise ValueError("`idf_weights` must be set if output_mode is 'tf_idf'.")
        if self.output_mode != "tf_idf" and idf_weights is not None:
            raise ValueError(
                "`idf_weights` should only be set if `output_mode` is `'tf_idf'`. Received: "
                f"output_mode={self.output_mode} and idf_weights={idf_weights}"
            )
        from_file = isinstance(vocabulary, str | os.PathLike)
        if from_file and idf_weights is not None:
            raise ValueError("A vocabulary file does not go with output_mode 'tf_idf'.")
        terms = (
            self.read(read_file(vocabulary, self.encoding), "vocabulary")[0]
            if from_file
            else self.read(vocabulary, "vocabulary")[0]
        )
        if not terms:
            raise ValueError(f"Cannot set an empty vocabulary. Received: vocabulary={vocabulary}")
        start = 0 if from_file else self._leading_specials(terms)
        tokens = terms[start:]
        self._check_tokens(tokens)
        weights = None
        if idf_weights is not None:
            weights = np.asarray(idf_weights, dtype=floatx())
            if weights.shape != (len(terms),):
                raise ValueError(
                    f"`idf_weights` must be the same length as vocabulary. len(idf_weights) is "
                    f"{weights.size}; len(vocabulary) is {len(terms)}. Received: an array of shape "
                    f"{weights.shape}"
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
        flat, shape = self.read(data, "data")
        rows = shape[0] if len(shape) > 1 else 1
        self.count(Tokens(flat, np.full(rows, len(flat) // max(rows, 1))))

    def count(self, tokens: Tokens) -> None:
        """Count tokens, each text being a document."""
        if self._fixed:
            raise ValueError(
                f"Cannot adapt layer {self.name!r} after setting a static vocabulary via "
                "`vocabulary` argument or `set_vocabulary()` method."
            )
        self._counts.update(tokens.flat)
        if self.output_mode == "tf_idf":  # which alone asks for them
            for row in tokens.rows():
                self._document_counts.update(set(row))
        self._documents += len(tokens.lengths)

    def finalize_state(self) -> None:
        """Make the vocabulary of what was counted; without counts the old one stays."""
        if self._fixed or not self._counts:
            return
        for special in (self.mask_token, self.oov_token):
            if special is not None:
                self._counts.pop(special, None)
        ranked = sorted(zip(self._counts.values(), self._counts, strict=True), reverse=True)
        tokens = [token for _, token in ranked]
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
        self._counts: Counter[Any] = Counter()
        self._document_counts: Counter[Any] = Counter()
        self._documents = 0

    def _oov_start(self) -> int:
        return 1 if self.mask_token is not None and self.output_mode == "int" else 0

    def _token_start(self) -> int:
        return self._oov_start() + self.num_oov_indices

    def _special_tokens(self) -> list[Any]:
        return [self.mask_token] * self._oov_start() + [self.oov_token] * self.num_oov_indices

    def _leading_specials(self, terms: list[Any]) -> int:
        start = self._token_start()
        return start if terms[:start] == self._special_tokens() else 0

    def _check_ready(self) -> None:
        if self._tokens is None:
            raise RuntimeError(
                f"{self.name!r} has no vocabulary: call adapt, or give it by the argument "
                f"vocabulary."
            )

    def _check_tokens(self, tokens: list[Any]) -> None:
        repeated = [token for token, count in Counter(tokens).items() if count > 1]
        if repeated:
            raise ValueError(
                "The passed vocabulary has at least one repeated term. Please uniquify your "
                f"dataset. The repeated terms are: {repeated}"
            )
        reserved = {"mask": self.mask_token, "oov": self.oov_token if self.invert else None}
        for kind, token in reserved.items():
            if token is not None and token in tokens:
                words = "reserved mask" if kind == "mask" else "reserved OOV"
                raise ValueError(
                    f"Found {words} token at unexpected location in `vocabulary`. Note that "
                    "passed `vocabulary` does not need to include the OOV and mask tokens. Either "
                    "remove all mask and OOV tokens, or include them only at the start of the "
                    f"vocabulary in precisely this order: {self._special_tokens()}. Received: "
                    f"{kind}_token={token} at vocabulary index {tokens.index(token)}"
                )
        size = self._token_start() + len(tokens)
        if self.max_tokens is not None and size > self.max_tokens:
            raise ValueError(
                "Attempted to set a vocabulary larger than the maximum vocab size. Received "
                f"vocabulary size is {size}; `max_tokens` is {self.max_tokens}."
            )

    def _install(self, tokens: list[Any], weights: np.ndarray | None, padded: bool) -> None:
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
            self._index[self.mask_token] = 0 if self.output_mode == "int" else DROPPED
