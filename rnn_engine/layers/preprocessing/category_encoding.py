"""`CategoryEncoding`."""

from typing import Any

import numpy as np

from rnn_engine.checks import positive_int
from rnn_engine.layers.base import Layer, registry
from rnn_engine.layers.preprocessing.encoding import encode_indices, encoded_shape

_MODES = ("count", "one_hot", "multi_hot")


@registry.register()
class CategoryEncoding(Layer):
    """Indices to vectors (`keras.layers.CategoryEncoding`).

    Parameters
    ----------
    num_tokens : int
        Indices lie below it; a vector has so many entries.
    output_mode : {"multi_hot", "one_hot", "count"}
        Which indices a row has, a vector for each index, or how often a row has each.
    sparse : bool
        Must be False.

    Input shape (batch, n); output shape (batch, num_tokens), or (batch, n, num_tokens) in mode
    ``one_hot``.

    Raises
    ------
    ValueError
        If an argument is outside its range, or, at a call, an index.

    Examples
    --------
    >>> CategoryEncoding(4)(np.array([[0, 1], [1, 3]]))
    array([[1., 1., 0., 0.],
           [0., 1., 0., 1.]], dtype=float32)
    """

    takes_integers = True

    def __init__(
        self,
        num_tokens: int | None = None,
        output_mode: str = "multi_hot",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        mode = "multi_hot" if output_mode == "binary" else output_mode
        if mode not in _MODES:
            raise ValueError(f"Unknown arg for output_mode: {mode}")
        if num_tokens is None:
            raise ValueError(
                "num_tokens must be set to use this layer. If the number of tokens is not known "
                "beforehand, use the IntegerLookup layer instead."
            )
        if sparse:
            raise ValueError("`sparse=True` is not offered: there are no sparse arrays here.")
        if isinstance(num_tokens, int | np.integer) and num_tokens < 1:
            raise ValueError(f"`num_tokens` must be >= 1. Received: num_tokens={num_tokens}.")
        self.num_tokens = positive_int(num_tokens, "num_tokens")
        self.output_mode = mode
        self.sparse = False

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the vectors."""
        return encoded_shape(input_shape, self.output_mode, self.num_tokens)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask where each index has a vector of its own."""
        return mask if self.output_mode == "one_hot" else None

    call_arguments = ("count_weights",)

    def bind(self, inputs: Any, *args: Any, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Return the indices, and `count_weights`: what each of them counts."""
        inputs, options = super().bind(inputs, *args, **kwargs)
        weights = options.get("count_weights")
        if weights is not None and self.output_mode != "count":
            raise ValueError(
                f"`count_weights` is not used when `output_mode` is not `'count'`. Received "
                f"`count_weights={weights}`."
            )
        return inputs, options

    def forward(
        self, x: np.ndarray, training: bool = False, mask: Any = None, count_weights: Any = None
    ) -> Any:
        """Return the vectors."""
        indices = np.asarray(x)
        if indices.dtype.kind not in "biuf":
            raise ValueError(f"inputs must be whole numbers, got an array of {indices.dtype}.")
        # Written so that NaN, too, is outside.
        inside = (indices >= 0) & (indices < self.num_tokens)
        if not inside.all():
            place = tuple(int(i) for i in np.argwhere(~inside)[0])
            raise ValueError(
                f"Input values must be in the range 0 <= values < num_tokens with num_tokens="
                f"{self.num_tokens}, got {indices[place]} at index {place}."
            )
        whole = indices.astype(np.int64)
        depth, mode = self.num_tokens, self.output_mode
        return encode_indices(whole, mode, depth, self._np_dtype, count_weights), x.shape

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Return zeros: an index has no slope."""
        return np.zeros(saved, self._np_dtype) if need_dx else None

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "num_tokens": self.num_tokens,
            "output_mode": self.output_mode,
        }
