"""`StringLookup`: strings to indices, or to counts of them."""

from typing import Any

from rnn_engine.layers.base import registry
from rnn_engine.layers.preprocessing.hashing import hashed
from rnn_engine.layers.preprocessing.index_lookup import IndexLookup
from rnn_engine.layers.preprocessing.text import read_strings


@registry.register()
class StringLookup(IndexLookup):
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
        given = {n: v for n, v in locals().items() if n not in ("self", "kwargs", "__class__")}
        self._begin(given, kwargs)

    def read(self, values: Any, argument: str) -> tuple[list[Any], tuple[int, ...]]:
        """Return the strings of a scalar, list or array, and its shape."""
        return read_strings(values, self.encoding, argument)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; see `IndexLookup.get_config`."""
        return {**super().get_config(), "encoding": self.encoding}

    def _bucket(self, token: str) -> int:
        return hashed(token.encode("utf-8"), self.salt) % self.num_oov_indices
