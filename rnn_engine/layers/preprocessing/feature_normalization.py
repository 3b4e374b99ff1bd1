"""`Normalization`: features to mean zero and variance one."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from rnn_engine.config import epsilon
from rnn_engine.layers.base import Layer, Shape, registry
from rnn_engine.variable import Variable


@registry.register()
class Normalization(Layer):
    """(x - mean)/√variance of each feature (`keras.layers.Normalization`).

    Mean and variance are given, or learned from data by `adapt` before the training.

    Parameters
    ----------
    axis : int, tuple of int or None
        Axes that have a mean and variance for each place along them; None has one for all.
    mean, variance : float or array-like, optional
        Both or none of them.
    invert : bool
        Go the other way: x·√variance + mean.

    Output shape = input shape.

    Raises
    ------
    ValueError
        If only one of `mean` and `variance` is given, or they do not fit the axes.

    Examples
    --------
    >>> layer = Normalization()
    >>> layer.adapt(np.array([[1.0, 0.0], [3.0, 4.0]]))
    >>> layer(np.array([[3.0, 2.0]]))
    array([[1., 0.]], dtype=float32)
    """

    def __init__(
        self,
        axis: Any = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis: tuple[int, ...] = ()
        if axis is not None:
            self.axis = (axis,) if isinstance(axis, int) else tuple(axis)
        self.input_mean, self.input_variance = mean, variance
        self.invert = bool(invert)
        self._check_given()
        self.mean: np.ndarray | None = None
        self.variance: np.ndarray | None = None

    def _check_given(self) -> None:
        mean, variance = self.input_mean, self.input_variance
        if (mean is None) != (variance is None):
            raise ValueError(
                f"When setting values directly, both `mean` and `variance` must be set. Received: "
                f"mean={mean} and variance={variance}"
            )
        if np.shape(mean) != np.shape(variance):
            raise ValueError(
                f"When setting values directly, `mean` and `variance` must have the same shape. "
                f"Received: mean shape {np.shape(mean)} and variance shape {np.shape(variance)}"
            )
        if np.ndim(mean) > len(self.axis):
            raise ValueError(
                f"The rank of `mean` must be less than or equal to the number of axes "
                f"({len(self.axis)}). Received: mean shape {np.shape(mean)} for axis {self.axis}"
            )

    def create_weights(self, input_shape: Shape) -> None:
        """Create mean, variance and count, or take what was given.

        Raises
        ------
        ValueError
            If an axis is not there, or its size unknown.
        """
        ndim = len(input_shape)
        if any(not -ndim <= axis < ndim for axis in self.axis):
            raise ValueError(
                f"All `axis` values must be in the range [-ndim, ndim). Received inputs with "
                f"ndim={ndim}, while axis={self.axis}"
            )
        self._kept = tuple(sorted(axis % ndim for axis in self.axis))
        sizes: Any = tuple(input_shape[axis] for axis in self._kept)
        if None in sizes:
            raise ValueError(
                f"All `axis` values to be kept must have a known shape. Received axis={self.axis}, "
                f"inputs.shape={input_shape}, with unknown axis at index "
                f"{self._kept[sizes.index(None)]}"
            )
        # Against an input, an axis that is not kept has one place.
        self._broadcast: Any = [input_shape[d] if d in self._kept else 1 for d in range(ndim)]
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(sizes, "zeros", "mean", trainable=False)
            self.adapt_variance = self.add_weight(sizes, "ones", "variance", trainable=False)
            # Nothing counts with it; Keras's files have one.
            self.count = Variable(
                np.zeros((), np.int64),
                name="count",
                path=f"{self.path_prefix}{self.name}/count",
                trainable=False,
            )
            self._variables.append(self.count)
            return
        shape = [1] * ndim
        for i in range(1, np.ndim(self.input_mean) + 1):  # aligned from the right
            shape[self._kept[-i]] = np.shape(self.input_mean)[-i]
        self.mean, self.variance = (
            np.broadcast_to(np.asarray(given, self._np_dtype).reshape(shape), self._broadcast)
            for given in (self.input_mean, self.input_variance)
        )

    # --- learning from data -----------------------------------------------------

    def adapt(self, data: Any) -> None:
        """Take mean and variance of data, in place of those of an earlier call.

        Parameters
        ----------
        data : array, or iterable of batches
            Of a dataset's ``(x, y)``, x counts.

        Raises
        ------
        ValueError
            If there is no batch, a shape is another than before, or `mean` was given.
        TypeError
            If `data` is neither.
        """
        if self.input_mean is not None:
            raise ValueError(
                "Cannot `adapt` a Normalization layer that was given `mean` and `variance`."
            )
        if isinstance(data, np.ndarray) or hasattr(data, "__array__"):
            batches: Iterable[Any] = [np.asarray(data)]
        elif hasattr(data, "__iter__") and not isinstance(data, str | bytes | dict):
            batches = data
        else:
            raise TypeError(
                f"Unsupported data type: {type(data)}. `adapt` supports `np.ndarray`, "
                f"`data.Dataset`, `PyDataset`, and iterables of batches (e.g. list, generator)."
            )
        mean, variance = self._moments(self._batches(batches))
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(variance)

    def _batches(self, batches: Iterable[Any]) -> Iterator[np.ndarray]:
        """Yield x of each batch in float64, after a look at its shape."""
        for batch in batches:
            x = batch[0] if isinstance(batch, tuple) else batch
            if not hasattr(x, "shape"):
                raise TypeError(
                    f"adapt() expects an iterable that yields arrays or tensors with a `.shape` "
                    f"attribute. Got an element of type {type(x).__name__}."
                )
            array = np.asarray(x)
            if array.dtype.kind not in "biuf":
                raise TypeError(f"adapt() expects numbers, got an array of {array.dtype}.")
            if not self.built:
                self.build(array.shape)
            shape = [n if d in self._kept else 1 for d, n in enumerate(array.shape)]
            if shape != self._broadcast:
                raise ValueError(
                    f"The layer was built with input_shape={self.build_shape}, but adapt() is "
                    f"being called with data with an incompatible shape, data.shape={array.shape}"
                )
            yield array.astype(np.float64)

    def _moments(self, batches: Iterator[np.ndarray]) -> tuple[Any, Any]:
        """Return mean and variance over all batches, those of each weighed by its size."""
        total, mean, variance = 0, np.zeros(()), np.zeros(())
        for x in batches:
            reduced = tuple(d for d in range(x.ndim) if d not in self._kept)
            count = int(np.prod([x.shape[d] for d in reduced]))
            if not count:
                continue
            own_mean, own_variance = x.mean(axis=reduced), x.var(axis=reduced)
            total += count
            share = count / total
            shift = own_mean - mean
            variance = variance * (1 - share) + own_variance * share
            variance = variance + shift * shift * (share * (1 - share))
            mean = mean + shift * share
        if not total:
            raise ValueError(
                "adapt() received an empty iterable (no batches). Expected at least one batch. "
                "Pass a non-empty iterable of arrays, e.g. layer.adapt([x])."
            )
        return mean, variance

    # --- the way of the data ------------------------------------------------------

    def _scale(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and √variance, as they stand against an input."""
        mean, variance = self.mean, self.variance
        if mean is None or variance is None:
            mean = self.adapt_mean.value.reshape(self._broadcast)
            variance = self.adapt_variance.value.reshape(self._broadcast)
        return mean, np.maximum(np.sqrt(variance), self._np_dtype.type(epsilon()))

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return (x - mean)/√variance, or x·√variance + mean with `invert`."""
        mean, deviation = self._scale()
        if x.ndim != len(self._broadcast):
            raise ValueError(
                f"Layer {self.name!r} was built for inputs with ndim={len(self._broadcast)}, got "
                f"shape {x.shape}."
            )
        for axis in self._kept:
            if x.shape[axis] != self._broadcast[axis]:
                raise ValueError(
                    f"Layer {self.name!r} was built for {self._broadcast[axis]} places along axis "
                    f"{axis}, got shape {x.shape}."
                )
        return (x * deviation + mean if self.invert else (x - mean) / deviation), deviation

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Return the gradient of the input; mean and variance have none."""
        if not need_dx:
            return None
        return dy * saved if self.invert else dy / saved

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "axis": list(self.axis),
            "invert": self.invert,
            "mean": np.array(self.input_mean).tolist(),
            "variance": np.array(self.input_variance).tolist(),
        }
