"""`Discretization`: numbers to the bins they lie in."""

from itertools import pairwise
from typing import Any

import numpy as np

from rnn_engine.layers.base import Layer, registry
from rnn_engine.layers.preprocessing.encoding import encode_indices, encoded_shape

_MODES = ("int", "one_hot", "multi_hot", "count")


@registry.register()
class Discretization(Layer):
    """Numbers to the bins they lie in (`keras.layers.Discretization`).

    Parameters
    ----------
    bin_boundaries : sequence of float, optional
        Bin i holds what lies from boundary i - 1 up to, without, boundary i.
    num_bins : int, optional
        Or how many bins `adapt` finds, of about as many numbers each.
    epsilon : float
        How exact `adapt` is, as a share of the numbers.
    output_mode : {"int", "one_hot", "multi_hot", "count"}
        Index of the bin, a vector for each number, or one for all along the last axis.
    sparse : bool
        Must be False.

    Raises
    ------
    ValueError
        If an argument is outside its range, both or none of boundaries and number of bins are
        given, or a call comes before `adapt`.

    Examples
    --------
    >>> Discretization([0.0, 1.0])(np.array([[-1.0, 0.0, 0.5, 7.0]]))
    array([[0, 1, 1, 2]], dtype=int32)
    """

    def __init__(
        self,
        bin_boundaries: Any = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, dtype=dtype, **kwargs)
        if sparse:
            opening = ""
            if output_mode == "int":
                opening = (
                    "`sparse=True` may only be used if `output_mode` is `'one_hot'`, "
                    f"`'multi_hot'`, or `'count'`. Received: sparse={sparse} and output_mode=int. "
                )
            raise ValueError(
                f"{opening}`sparse=True` is not offered: there are no sparse arrays here."
            )
        if output_mode not in _MODES:
            raise ValueError(
                f"Unknown value for `output_mode` argument of layer Discretization. Expected one "
                f"of {_MODES}. Received: output_mode={output_mode}"
            )
        if num_bins is not None and num_bins < 0:
            raise ValueError(
                f"`num_bins` must be greater than or equal to 0. Received: `num_bins={num_bins}`"
            )
        if num_bins is not None and bin_boundaries is not None:
            raise ValueError(
                f"Both `num_bins` and `bin_boundaries` should not be set. Received: "
                f"`num_bins={num_bins}` and `bin_boundaries={bin_boundaries}`"
            )
        if num_bins is None and bin_boundaries is None:
            raise ValueError("You need to set either `num_bins` or `bin_boundaries`.")
        self.bin_boundaries = None if bin_boundaries is None else _boundaries(bin_boundaries)
        self.num_bins = num_bins
        self.epsilon = epsilon
        self.output_mode = output_mode
        self.sparse = False

    @property
    def output_dtype(self) -> str:
        """Type of the output: int32 of indices."""
        return "int32" if self.output_mode == "int" else self.dtype

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Find the boundaries from data, in place of those of an earlier call.

        Parameters
        ----------
        data : array, or iterable of batches
        steps : int, optional
            Batches that count.

        Raises
        ------
        ValueError
            If the boundaries were given, or there are no numbers.
        """
        if self.num_bins is None:
            raise ValueError(
                "Cannot adapt a Discretization layer that has been initialized with "
                "`bin_boundaries`, use `num_bins` instead."
            )
        summary = np.empty((2, 0), np.float32)
        batches = [data] if hasattr(data, "__array__") else data
        for step, batch in enumerate(batches):
            if steps is not None and step >= steps:
                break
            new = _summary(np.asarray(batch, np.float32).ravel(), self.epsilon)
            merged = np.concatenate((new, summary), axis=1)
            summary = _compressed(merged[:, np.argsort(merged[0])], self.epsilon)
        if not summary.size:
            raise ValueError("adapt() was given no numbers.")
        self.bin_boundaries = _compressed(summary, 1.0 / self.num_bins)[0, :-1].tolist()

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of indices or vectors."""
        known = self.bin_boundaries is not None
        depth = len(self.bin_boundaries or ()) + 1 if known else int(self.num_bins or 0)
        return encoded_shape(input_shape, self.output_mode, depth)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask where each number has an output of its own."""
        return mask if self.output_mode in ("int", "one_hot") else None

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return indices of bins, or vectors."""
        if self.bin_boundaries is None:
            raise ValueError(
                "You need to either pass the `bin_boundaries` argument at construction time or "
                "call `adapt(dataset)` before you can start using the `Discretization` layer."
            )
        indices = np.digitize(x, np.asarray(self.bin_boundaries, x.dtype))
        depth = len(self.bin_boundaries) + 1
        return encode_indices(indices, self.output_mode, depth, self.output_dtype), x.shape

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Return zeros: a bin has no slope."""
        return np.zeros(saved, self._np_dtype) if need_dx else None

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments and what `adapt` found, ready for JSON."""
        return {
            "bin_boundaries": self.bin_boundaries,
            "num_bins": self.num_bins,
            "epsilon": self.epsilon,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
            "name": self.name,
            "dtype": super().get_config()["dtype"],
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Build a layer from what `get_config` returned, the boundaries that were found too."""
        found = config.get("bin_boundaries")
        if found is None or config.get("num_bins") is None:
            return cls(**config)
        layer = cls(**{**config, "bin_boundaries": None})
        layer.bin_boundaries = _boundaries(found)
        return layer


def _boundaries(values: Any) -> list[float]:
    numbers = [float(value) for value in values]
    if any(not a <= b for a, b in pairwise(numbers)):
        raise ValueError(f"`bin_boundaries` must be sorted. Received: bin_boundaries={values}")
    return numbers


def _summary(values: np.ndarray, epsilon: float) -> np.ndarray:
    """Return some of the sorted numbers, and for how many each stands: (2, n)."""
    ordered = np.sort(values)
    step = max(len(ordered) * epsilon, 1)
    chosen = ordered[int(step - 1) :: int(step)]
    return np.stack([chosen, np.full_like(chosen, step)])


def _compressed(summary: np.ndarray, epsilon: float) -> np.ndarray:
    """Return a summary in steps of a share `epsilon` of all weight, by linear interpolation."""
    if summary.shape[1] * epsilon < 1:
        return summary
    shares = epsilon + np.arange(0.0, 1.0, epsilon)
    weights = summary[1].cumsum()
    of_all = weights / weights[-1]
    values, reached = (np.interp(shares, of_all, row) for row in (summary[0], weights))
    return np.stack((values, np.diff(reached, prepend=0))).astype(np.float32)
