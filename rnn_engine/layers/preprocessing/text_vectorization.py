"""`TextVectorization`: texts to index sequences or count vectors."""

import math
import os
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import numpy as np

from rnn_engine.layers.base import registry
from rnn_engine.layers.preprocessing.arguments import as_list, batches, without_path
from rnn_engine.layers.preprocessing.index_lookup import OLD_MODES, OUTPUT_MODES
from rnn_engine.layers.preprocessing.string_lookup import StringLookup
from rnn_engine.layers.preprocessing.text import (
    SPLIT,
    STANDARDIZE,
    Tokens,
    check_choice,
    clean,
    make_ngrams,
    pad_rows,
    read_strings,
    split,
)
from rnn_engine.layers.preprocessing.text_layer import TextLayer

# Arguments of every layer, which are not the lookup's.
_OF_LAYERS = ("trainable", "dtype", "autocast", "input_shape", "batch_input_shape", "batch_size")

# Texts whose tokens are counted together, while they are in the cache.
_TOGETHER = 512


@registry.register()
class TextVectorization(TextLayer):
    """Cleans, splits and looks up texts. Mirrors `keras.layers.TextVectorization`.

    Returns NumPy arrays: int64, for ``tf_idf`` `floatx`. As with TensorFlow only
    ASCII letters are lowered, only ASCII punctuation stripped, only ASCII blanks
    split. Differences from Keras: `sparse` and `ragged` are refused, as Keras does on
    every backend but TensorFlow; a callable gets and returns NumPy arrays (lists)
    of strings; ``one_hot`` of split texts is filled up with zero vectors to the
    longest, where Keras returns a ragged tensor.

    Parameters
    ----------
    max_tokens : int, optional
        Largest size of the vocabulary, special tokens included.
    standardize : {"lower_and_strip_punctuation", "lower", "strip_punctuation"}, callable or None
        A callable takes and returns an array of strings.
    split : {"whitespace", "character"}, callable or None
        A callable takes an array of strings and returns the tokens of each.
    ngrams : int, tuple of int or None
        Widths of the runs of tokens that are looked up; a number means all up to it.
    output_mode : {"int", "one_hot", "multi_hot", "count", "tf_idf"}
        See `StringLookup`. In mode ``int`` index 0 fills up short texts, 1 is unknown.
    output_sequence_length : int, optional
        Length that texts are cut or filled up to, mode ``int`` only; else the longest's.
    pad_to_max_tokens, vocabulary, idf_weights, sparse, encoding, name
        See `StringLookup`.
    ragged : bool
        Must be False.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> vectorize = TextVectorization(output_sequence_length=4)
    >>> vectorize.adapt(["A rose is a rose.", "Is it?"])
    >>> vectorize.get_vocabulary()
    ['', '[UNK]', 'rose', 'is', 'a', 'it']
    >>> vectorize(["It is a tulip!", "A rose"])
    array([[5, 3, 4, 1],
           [4, 2, 0, 0]])
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: str | Callable[..., Any] | None = "lower_and_strip_punctuation",
        split: str | Callable[..., Any] | None = "whitespace",
        ngrams: int | tuple[int, ...] | None = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        sparse: bool = False,
        ragged: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if standardize is not None and not callable(standardize):
            check_choice("TextVectorization", "standardize", standardize, STANDARDIZE)
        if split is not None and not callable(split):
            check_choice("TextVectorization", "split", split, SPLIT)
        check_choice("TextVectorization", "output_mode", output_mode, [*OUTPUT_MODES, *OLD_MODES])
        if ragged:
            raise ValueError(
                f"`ragged` must not be true if `output_mode` is `'int'`. Received: ragged={ragged} "
                f"and output_mode={output_mode}. ragged must be False: there are no ragged arrays "
                f"here."
            )
        _check_length(output_sequence_length, output_mode)
        settings = {key: kwargs.pop(key) for key in _OF_LAYERS if key in kwargs}
        super().__init__(name=name, **settings)
        self._lookup = StringLookup(
            max_tokens=max_tokens,
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            pad_to_max_tokens=pad_to_max_tokens,
            mask_token="",
            output_mode=output_mode,
            sparse=sparse,
            encoding=encoding,
            name=self.name,
            **kwargs,
        )
        self.standardize = standardize
        self.split = split
        self.ngrams = ngrams
        self._widths = _read_ngrams(ngrams)
        self.output_mode = self._lookup.output_mode
        self.output_sequence_length = output_sequence_length
        self.encoding = encoding

    # --- the vocabulary -----------------------------------------------------------

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Learn the vocabulary: the most frequent tokens first, ties in reverse order.

        Parameters
        ----------
        data : list, array or iterable of batches
            Of texts, each a document for ``tf_idf``.
        batch_size : int, optional
            Accepted for Keras's sake.
        steps : int, optional
            Batches to take from an iterable.
        """
        self.reset_state()
        for batch in batches(data, steps):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Count the tokens of a batch of texts."""
        texts, shape = read_strings(data, self.encoding, "data")
        whole = not isinstance(self.split, str) or callable(self.standardize)
        if whole or (len(shape) > 1 and shape[-1] != 1):
            self._lookup.count(self._tokens_of(texts, shape, "data")[0])
            return
        for begin in range(0, max(1, len(texts)), _TOGETHER):
            some = texts[begin : begin + _TOGETHER]
            self._lookup.count(self._tokens_of(some, (len(some),), "data")[0])

    def finalize_state(self) -> None:
        """Make the vocabulary of what was counted."""
        self._lookup.finalize_state()

    def reset_state(self) -> None:
        """Forget what was counted; the vocabulary stays."""
        self._lookup.reset_state()

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str | None]:
        """Return the terms by index; see `StringLookup.get_vocabulary`."""
        return self._lookup.get_vocabulary(include_special_tokens)

    def vocabulary_size(self) -> int:
        """Return the number of indices, special ones included."""
        return self._lookup.vocabulary_size()

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Replace the vocabulary; see `StringLookup.set_vocabulary`."""
        self._lookup.set_vocabulary(vocabulary, idf_weights=idf_weights)

    # --- vectorizing --------------------------------------------------------------

    @property
    def lookup(self) -> StringLookup:
        """What holds the vocabulary."""
        return self._lookup

    def build(self, input_shape: Any = None) -> None:
        """Do as `Layer.build`; there are no weights, so the shape may be left out."""
        super().build(() if input_shape is None else input_shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the texts with an axis for tokens or the vocabulary."""
        shape = tuple(input_shape)
        if self.split is not None and len(shape) > 1:
            shape = shape[:-1]
        if self.output_mode == "int":
            known = self.output_sequence_length is not None or self.split is None
            if self.split is None and self.output_sequence_length is None:
                return shape
            return (*shape, self.output_sequence_length if known else None)
        depth = self._lookup.width()
        if self.output_mode == "one_hot":
            return (*shape, None, depth) if self.split is not None else (*shape, depth)
        return (*shape, depth) if self.split is not None else (*shape[:-1], depth)

    def apply(self, inputs: Any) -> np.ndarray:
        """Vectorize texts.

        Parameters
        ----------
        inputs : str, list or array of str
            Where texts are split a last axis must be of size 1, and is dropped.

        Returns
        -------
        array
            The shape of the texts with an axis for tokens (mode ``int``) or for the
            vocabulary in addition.

        Raises
        ------
        RuntimeError
            If there is no vocabulary yet.
        ValueError
            If texts are to be split and the last axis is of another size.
        """
        self._lookup._check_ready()
        flat, shape = read_strings(inputs, self.encoding, "inputs")
        tokens, lead, dense = self._tokens_of(flat, shape, "inputs")
        found = self._lookup.find(tokens.flat)
        whole = self.output_mode == "int"
        length = self.output_sequence_length if whole else None
        # Filled up with what each mode ignores: the mask's index, or a dropped one.
        indices = pad_rows(found, tokens.lengths, length, 0 if whole else -1)
        if dense is not None and length is None:
            indices = indices.reshape(dense)
        else:
            indices = indices.reshape(*lead, indices.shape[1])
            if self.output_mode == "one_hot" and self.split is not None:
                indices = indices[..., None]  # else texts of one token lost their axis
        return self._lookup.encode(indices)

    def _tokens_of(
        self, flat: list[str], shape: tuple[int, ...], argument: str
    ) -> tuple[Tokens, tuple[int, ...], tuple[int, ...] | None]:
        """Return the tokens, the shape of the texts, and the whole shape if dense."""
        if callable(self.standardize):
            given = np.array(flat, dtype=str).reshape(shape)
            flat, shape = read_strings(self.standardize(given), self.encoding, "standardize(...)")
        elif self.standardize is not None:
            flat = clean(flat, STANDARDIZE[self.standardize])
        if self.split is None:
            width = shape[-1] if shape else 1
            lead = shape[:-1]
            tokens = Tokens(flat, np.full(math.prod(lead), width))
        else:
            if len(shape) > 1 and shape[-1] != 1:
                raise ValueError(
                    f"{argument} to be split must be of rank 1 or have a last axis of size 1, "
                    f"got the shape {shape}."
                )
            lead = shape[:-1] if len(shape) > 1 else shape
            tokens = self._split_all(flat)
        if self._widths is not None:
            tokens = Tokens.of_rows([make_ngrams(row, self._widths) for row in tokens.rows()])
        return tokens, lead, shape if self.split is None and self._widths is None else None

    def _split_all(self, texts: list[str]) -> Tokens:
        if isinstance(self.split, str):
            return split(texts, self.split)
        assert self.split is not None
        rows = self.split(np.array(texts, dtype=str))
        if len(rows) != len(texts):
            raise ValueError(
                f"split must return the tokens of each of the {len(texts)} texts, got {len(rows)}."
            )
        return Tokens.of_rows(read_strings(list(r), self.encoding, "split(...)")[0] for r in rows)

    # --- configuration and state --------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments.

        As in Keras a learned vocabulary is not among them; see `save_assets`.
        """
        inner = self._lookup.get_config()
        vocabulary, idf_weights = self._lookup._given
        return {
            **super().get_config(),
            "max_tokens": inner["max_tokens"],
            "standardize": self.standardize,
            "split": self.split,
            "ngrams": self.ngrams,
            "output_mode": self.output_mode,
            "output_sequence_length": self.output_sequence_length,
            "pad_to_max_tokens": inner["pad_to_max_tokens"],
            "sparse": False,
            "ragged": False,
            "vocabulary": as_list(vocabulary),
            "idf_weights": as_list(idf_weights),
            "encoding": self.encoding,
            "vocabulary_size": self.vocabulary_size(),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "TextVectorization":
        """Build it from what `get_config` returned, or its JSON.

        Raises
        ------
        ValueError
            If the vocabulary is a path.
        """
        settings = without_path(config)
        if isinstance(settings.get("ngrams"), list):
            settings["ngrams"] = tuple(settings["ngrams"])
        return cls(**settings)

    def save_assets(self, dir_path: str | os.PathLike[str]) -> None:
        """Write the vocabulary to a folder; see `StringLookup.save_assets`."""
        self._lookup.save_assets(dir_path)

    def load_assets(self, dir_path: str | os.PathLike[str]) -> None:
        """Read what `save_assets` wrote."""
        self._lookup.load_assets(dir_path)

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Put the inverse document frequencies into `store`, if there are any."""
        self._lookup.save_own_variables(store)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Take them from `store`; to be called before `load_assets`."""
        self._lookup.load_own_variables(store)


def _read_ngrams(ngrams: Any) -> tuple[int, ...] | None:
    if ngrams is None:
        return None
    if isinstance(ngrams, int) and ngrams > 0:
        return tuple(range(1, ngrams + 1))
    if isinstance(ngrams, tuple) and all(isinstance(width, int) and width > 0 for width in ngrams):
        return ngrams
    raise ValueError(
        "`ngrams` must be None, an integer, or a tuple of integers. Received: "
        f"ngrams={ngrams}; all have to be positive."
    )


def _check_length(length: Any, output_mode: str) -> None:
    if length is None:
        return
    if output_mode != "int":
        raise ValueError(
            "`output_sequence_length` must not be set if `output_mode` is not 'int'. Received "
            f"output_sequence_length={length}, output_mode={output_mode}."
        )
    if not isinstance(length, int) or length < 0:
        raise ValueError(
            "`output_sequence_length` must be either None or an integer when `output_mode` is "
            f"'int'. Received: output_sequence_length={length!r}, which is none, or negative."
        )
