"""`Hashing`: anything to a number of bins, by a hash."""

from typing import Any

import numpy as np

from rnn_engine.config import floatx
from rnn_engine.layers.base import Layer, registry
from rnn_engine.layers.preprocessing.arguments import read_salt
from rnn_engine.layers.preprocessing.encoding import encode_indices, encoded_shape
from rnn_engine.layers.preprocessing.hashing import hashed

_MODES = ("int", "one_hot", "multi_hot", "count")


@registry.register()
class Hashing(Layer):
    """Strings or whole numbers to bins, by a hash (`keras.layers.Hashing`).

    Parameters
    ----------
    num_bins : int
        The one for `mask_value` included.
    mask_value : str or int, optional
        What falls into bin 0, and nothing else does.
    salt : int or pair of int, optional
        Key of SipHash; without it the hash is FarmHash.
    output_mode : {"int", "one_hot", "multi_hot", "count"}
        Index of the bin, a vector for each value, or one for all along the last axis.
    sparse : bool
        Must be False.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> Hashing(num_bins=3)(np.array([["A"], ["B"], ["C"]]))
    array([[1],
           [0],
           [1]])
    """

    takes_integers = True
    takes_strings = True

    def __init__(
        self,
        num_bins: int,
        mask_value: Any = None,
        salt: Any = None,
        output_mode: str = "int",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        given = kwargs.pop("dtype", None)
        given = getattr(given, "name", given)
        if isinstance(given, dict):
            given = given.get("config", {}).get("name")
        self.output_type = given or ("int64" if output_mode == "int" else floatx())
        super().__init__(**kwargs)
        if num_bins is None or num_bins <= 0:
            raise ValueError(
                "The `num_bins` for `Hashing` cannot be `None` or non-positive values. Received: "
                f"num_bins={num_bins}."
            )
        if output_mode == "int" and self.output_type not in ("int32", "int64"):
            raise ValueError(
                "When `output_mode=\"int\"`, `dtype` should be an integer type, 'int32' or "
                f"'in64'. Received: dtype={given}"
            )
        if output_mode not in _MODES:
            raise ValueError(
                f"Invalid value for argument `output_mode`. Expected one of {_MODES}. Received: "
                f"output_mode={output_mode}"
            )
        if sparse:
            raise ValueError("`sparse=True` is not offered: there are no sparse arrays here.")
        self.num_bins = int(num_bins)
        self.mask_value = mask_value
        self.salt = read_salt(salt, "Hashing")
        self.output_mode = output_mode
        self.sparse = False

    @property
    def output_dtype(self) -> str:
        """Type of the output: that of the constructor, else int64 of indices."""
        return self.output_type

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the indices, or of the vectors.

        In mode ``one_hot`` that of the output; Keras tells another.
        """
        return encoded_shape(input_shape, self.output_mode, self.num_bins)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask where each value has an output of its own."""
        return mask if self.output_mode in ("int", "one_hot") else None

    def convert(self, inputs: Any) -> np.ndarray:
        """Return the inputs as an array of what they are."""
        return np.asarray(inputs)

    def forward(self, x: Any, training: bool = False, mask: Any = None) -> Any:
        """Return indices of bins, or vectors."""
        array = np.asarray(x)
        bins = self.num_bins
        masked = self.mask_value is not None and bins > 1
        if array.dtype.kind == "f":
            array = array.astype(np.int64)
        found: dict[Any, int] = {}
        indices = np.empty(array.size, np.int64)
        for i, value in enumerate(array.reshape(-1).tolist()):
            if value not in found:
                index = self._hash(value) % (bins - masked) + masked
                found[value] = 0 if masked and self._is_mask(value) else index
            indices[i] = found[value]
        whole = indices.reshape(array.shape)
        return encode_indices(whole, self.output_mode, bins, self.output_type), None

    def _is_mask(self, value: Any) -> bool:
        given = self.mask_value
        if isinstance(given, str):
            given = given.encode()
            value = value.encode() if isinstance(value, str) else value
        return bool(value == given)

    def _hash(self, value: Any) -> int:
        if isinstance(value, bool):
            value = str(value).lower()  # as TensorFlow writes it
        if not isinstance(value, str | bytes | int):
            raise TypeError(
                f"inputs of {type(self).__name__} must hold strings or integers, got {value!r} of "
                f"type {type(value).__name__}."
            )
        data = value if isinstance(value, bytes) else str(value).encode()
        return hashed(data, self.salt)

    def backward(self, dy: Any, saved: Any, need_dx: bool = True) -> Any:
        """Return None: a hash has no slope."""
        return None

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "dtype": self.output_type,
            "num_bins": self.num_bins,
            "salt": None if self.salt is None else list(self.salt),
            "mask_value": self.mask_value,
            "output_mode": self.output_mode,
            "sparse": False,
        }
