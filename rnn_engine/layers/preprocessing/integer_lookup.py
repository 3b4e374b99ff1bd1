"""`IntegerLookup`: whole numbers to indices, or to counts of them."""

from typing import Any

import numpy as np

from rnn_engine.layers.base import registry
from rnn_engine.layers.preprocessing.index_lookup import IndexLookup


@registry.register()
class IntegerLookup(IndexLookup):
    """Maps whole numbers to indices by a vocabulary. Mirrors `keras.layers.IntegerLookup`.

    As `StringLookup`, of int64.

    Parameters
    ----------
    max_tokens, num_oov_indices, vocabulary, idf_weights, invert, output_mode, pad_to_max_tokens
        See `StringLookup`; an unknown number gets one of several indices by its rest.
    mask_token : int, optional
        Index 0 in mode ``int``, dropped in the others.
    oov_token : int
        What an unknown index becomes with `invert`.
    vocabulary_dtype : str
        ``"int64"``.
    sparse : bool
        Must be False.
    oov_method, salt
        Accepted, as in Keras.
    name : str, optional
        Made from the class name if None.

    Raises
    ------
    ValueError
        See `StringLookup`.

    Examples
    --------
    >>> lookup = IntegerLookup(vocabulary=[12, 36, 1138])
    >>> lookup(np.array([[12, 1138], [42, 36]]))
    array([[1, 3],
           [0, 2]])
    """

    takes_strings = False
    terms_dtype = np.int64
    encoding = "utf-8"

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int = -1,
        vocabulary: Any = None,
        vocabulary_dtype: str = "int64",
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        salt: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        given = {n: v for n, v in locals().items() if n not in ("self", "kwargs", "__class__")}
        if max_tokens is not None and max_tokens <= 1:
            raise ValueError(
                "If `max_tokens` is set for `IntegerLookup`, it must be greater than 1. Received: "
                f"max_tokens={max_tokens}"
            )
        if num_oov_indices < 0:
            raise ValueError(
                "The value of `num_oov_indices` argument for `IntegerLookup` must >= 0. Received: "
                f"num_oov_indices={num_oov_indices}"
            )
        if given.pop("vocabulary_dtype") != "int64":
            raise ValueError(
                "Only `vocabulary_dtype='int64'` is supported at this time. Received: "
                f"vocabulary_dtype={vocabulary_dtype}"
            )
        self._begin(given, kwargs)

    @property
    def output_dtype(self) -> str:
        """Type of the output: int64, with `invert` too, `floatx` in mode ``tf_idf``."""
        return "int64" if self.invert else super().output_dtype

    def read(self, values: Any, argument: str) -> tuple[list[Any], tuple[int, ...]]:
        """Return the whole numbers of a scalar, list or array, and its shape.

        Raises
        ------
        ValueError
            If something else is among them.
        """
        array = np.asarray(values)
        try:
            whole = array.astype(np.int64)
            pairs = zip(array.reshape(-1).tolist(), whole.reshape(-1).tolist(), strict=True)
            same = array.dtype.kind in "US" or all(
                isinstance(given, str | bytes) or given == number for given, number in pairs
            )
        except (TypeError, ValueError, OverflowError):
            same = False
        if not same:
            raise ValueError(f"{argument} must hold whole numbers. Received: {argument}={values}")
        return whole.reshape(-1).tolist(), whole.shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; see `IndexLookup.get_config`."""
        config = super().get_config()
        for name in ("oov_token", "mask_token"):
            config[name] = None if config[name] is None else int(config[name])
        if config["vocabulary"] is not None:
            config["vocabulary"] = [int(term) for term in config["vocabulary"]]
        return {**config, "vocabulary_dtype": "int64", "oov_method": self.oov_method}

    oov_method: str

    def _bucket(self, token: int) -> int:
        return token % self.num_oov_indices
