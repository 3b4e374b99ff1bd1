"""`Layer`: weights, names, building; what every layer shares.

A layer is a pair of methods beside each other::

    y, saved = layer.forward(x, training, mask)
    dx = layer.backward(dy, saved)

`saved` holds whatever backward needs, so that a layer has no state between the two
and prediction is re-entrant. Parameter gradients are added to ``variable.grad``.
"""

import os
import threading
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine import constraints, initializers, regularizers
from rnn_engine.checks import as_float_array
from rnn_engine.config import standardize_dtype
from rnn_engine.registry import Registry
from rnn_engine.utils.naming import auto_name
from rnn_engine.variable import Variable

registry = Registry("layer")

Shape = tuple[int | None, ...]

# Threads that share a layer may all be the first to call it. Compilation may happen under
# this lock, and never the other way round; a child of `fork` must not find it taken.
build_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=build_lock.acquire,
        after_in_parent=build_lock.release,
        after_in_child=build_lock.release,
    )


@dataclass(slots=True)
class Penalized:
    """What a layer with an activity regularizer saves: its own `saved`, output and penalty."""

    saved: Any
    output: Any
    penalty: float


class Layer:
    """Base class of the layers (`keras.layers.Layer`).

    Parameters
    ----------
    activity_regularizer : Regularizer, optional
        Penalty on the output, divided by the batch size; part of the loss where the
        layer stands in a model.
    trainable : bool
        Whether an optimizer updates the weights.
    dtype : str, optional
        ``"float32"`` or ``"float64"``; `config.floatx` if None.
    autocast : bool
        Accepted: the input is cast to `dtype` in any case. With False, Keras computes with
        the type that it came in.
    name : str, optional
        Made from the class name if None.
    input_shape : tuple, optional
        Shape of a sample, with which a `Sequential` is built at once. Keras warns
        at this argument, this library does not. `batch_shape` and `input_dim` are
        taken as well.

    Raises
    ------
    ValueError
        At an unknown argument, a `name` that is no string or has a slash in it, or
        `trainable` that is no bool.
    """

    # Integer inputs (indices) stay integers.
    takes_integers = False
    # Whether the mask goes on; else it ends here, with Keras's warning. True unless a
    # layer says otherwise, where Keras wants a layer to say so.
    supports_masking = True
    # Whether a row's output in training depends on the other rows of the batch.
    mixes_rows = False
    # `forward` saves what backward needs only in training, or with its argument `keep`.
    saves_on_demand = False

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.given_batch_shape = _batch_shape(kwargs)
        if kwargs:
            raise ValueError(
                f"Unrecognized keyword arguments passed to {type(self).__name__}: {kwargs}"
            )
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.name = auto_name(type(self).__name__) if name is None else _checked_name(name)
        self.autocast = autocast
        self.dtype = standardize_dtype(_dtype_name(dtype))
        self._np_dtype = np.dtype(self.dtype)
        if not isinstance(trainable, bool):
            raise ValueError(
                f"Expected `trainable` to be a boolean. Received: trainable={trainable!r} (of type "
                f"{type(trainable)})"
            )
        self._trainable = trainable
        self._variables: list[Variable] = []
        self.path_prefix = ""
        self.built = False
        self.build_shape: Shape | None = None

    # --- building -------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Create the weights for inputs of `input_shape`, batch axis included.

        Building twice changes nothing, as in Keras.
        """
        with build_lock:
            if not self.built:
                shape = tuple(input_shape)
                self.create_weights(shape)
                self.build_shape = shape
                self.built = True

    def create_weights(self, input_shape: Shape) -> None:
        """Create the weights; layers without any need not override this."""

    def add_weight(
        self,
        shape: tuple[int, ...] = (),
        initializer: Any = "glorot_uniform",
        name: str = "variable",
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
    ) -> Variable:
        """Create a weight of this layer; `name` may have a path before it."""
        value = initializers.get(initializer)(shape, dtype=self.dtype)
        variable = Variable(
            value,
            name=name.rsplit("/", 1)[-1],
            path=f"{self.path_prefix}{self.name}/{name}",
            trainable=trainable,
            dtype=self.dtype,
            regularizer=regularizers.get(regularizer),
            constraint=constraints.get(constraint),
        )
        self._variables.append(variable)
        return variable

    def get_build_config(self) -> dict[str, Any] | None:
        """Return the shape that `build` saw, None before it."""
        return {"input_shape": self.build_shape} if self.built else None

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build with what `get_build_config` returned."""
        if config and config.get("input_shape") is not None:
            self.build(config["input_shape"])

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output for inputs of `input_shape`."""
        return tuple(input_shape)

    @property
    def tells_shapes(self) -> bool:
        """Whether `compute_output_shape` can be relied on; a user's layer may lack its own."""
        ours = type(self).__module__.partition(".")[0] == __name__.partition(".")[0]
        own = type(self).compute_output_shape is not Layer.compute_output_shape
        return (ours or own) and all(getattr(x, "tells_shapes", True) for x in self.sublayers)

    def check_input(self, x: np.ndarray) -> None:
        """Raise as `forward` would where the shape of `x` does not fit; values do not count."""

    # --- the way of the data --------------------------------------------------

    def __call__(
        self, inputs: Any, *, training: bool | None = None, mask: Any = None, **kwargs: Any
    ) -> Any:
        """Apply the layer to an array, building it first if needed.

        Parameters
        ----------
        inputs : array-like
            Anything NumPy reads as numbers; converted to the layer's dtype.
        training : bool, optional
            False if None.
        mask : array-like of bool, optional
            False marks time steps to leave out. A NumPy array cannot carry its mask
            with it, as Keras's tensors do: pass it on, or use a `Sequential`.
        """
        x = self.convert(inputs)
        if not self.built:
            self.build(self.shape_for(x))
        return self.forward(x, bool(training), mask, **kwargs)[0]

    def shape_for(self, x: np.ndarray) -> Shape:
        """Return the shape to build for, given the first data.

        Its batch size is only fixed where a stateful layer needs it.
        """
        return (len(x) if _is_stateful(self) else None, *x.shape[1:])

    def convert(self, inputs: Any) -> np.ndarray:
        """Return the inputs as an array of the layer's type."""
        if self.takes_integers:
            return np.asarray(inputs)
        return as_float_array(inputs, self._np_dtype, "inputs")

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return ``(y, saved)`` for ``(x, training=False, mask=None)``."""
        raise TypeError(f"{type(self).__name__} must define forward(x, training, mask).")

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Add the gradients of the weights and return that of the input."""
        raise TypeError(f"{type(self).__name__} must define backward(dy, saved, need_dx).")

    def forward_with_mask(
        self, x: np.ndarray, training: bool = False, mask: Any = None, keep: bool = False
    ) -> Any:
        """Return ``(y, mask of y, saved)``; `keep` if backward will follow out of training."""
        if self.saves_on_demand:
            y, saved = self.forward(x, training, mask, keep=keep)
        else:
            y, saved = self.forward(x, training, mask)
        if self.activity_regularizer is not None:
            saved = Penalized(saved, y, self._activity_penalty(y))
        if mask is None or self.supports_masking:
            return y, self.compute_mask(x, mask), saved
        warnings.warn(
            f"Layer '{self.name}' (of type {type(self).__name__}) was passed an input with a mask "
            f"attached to it. However, this layer does not support masking and will therefore "
            f"destroy the mask information. Downstream layers will not see the mask.",
            stacklevel=2,
        )
        return y, None, saved

    def backward_with_penalty(self, dy: Any, saved: Any, need_dx: bool = True) -> Any:
        """Go back, the penalty on the output's activity included.

        Takes what `forward_with_mask` saved.
        """
        if type(saved) is Penalized:
            dy, saved = self._add_activity_gradient(dy, saved.output), saved.saved
        return self.backward(dy, saved, need_dx)

    def penalties(self, saved: Any) -> float:
        """Return the penalties on activities in what `forward_with_mask` saved."""
        return saved.penalty if type(saved) is Penalized else 0.0

    def _activity_penalty(self, y: Any) -> float:
        outputs = y if isinstance(y, list | tuple) else [y]
        return float(sum(self.activity_regularizer(output) / len(output) for output in outputs))

    def _add_activity_gradient(self, dy: Any, y: Any) -> Any:
        """Return dy plus the gradient of the penalty; both may be tuples."""
        if isinstance(y, list | tuple):
            return tuple(map(self._add_activity_gradient, dy, y))
        slope = self.activity_regularizer.gradient(y) / len(y)
        return slope if dy is None else dy + slope

    def returns_input(self, training: bool) -> bool:
        """Whether `forward` returns the very array it is given, and backward that gradient.

        The logits of a softmax or sigmoid below are then those of the output still.
        """
        return False

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask of the output: that of the input, unless overridden."""
        return mask

    def reset_state(self) -> None:
        """Forget what a stateful layer carries from batch to batch."""

    # --- weights --------------------------------------------------------------

    @property
    def sublayers(self) -> "list[Layer]":
        """The layers inside this one."""
        return []

    @property
    def trainable(self) -> bool:
        """Whether an optimizer updates the weights; setting it reaches inner layers."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for layer in self.sublayers:
            layer.trainable = value

    @property
    def path(self) -> str:
        """Name of the layer with those of the models it was built in before it."""
        return f"{self.path_prefix}{self.name}"

    @property
    def compute_dtype(self) -> str:
        """Type that the layer computes in: `dtype`."""
        return self.dtype

    @property
    def output_dtype(self) -> str:
        """Type of the output: `dtype`, but for layers that hand on what another one put out."""
        return self.dtype

    @property
    def variable_dtype(self) -> str:
        """Type of the weights: `dtype`."""
        return self.dtype

    @property
    def weights(self) -> list[Variable]:
        """All weights, in Keras's order."""
        own = [v for v in self._variables if v.trainable]
        own += [v for v in self._variables if not v.trainable]
        return _unique([*own, *(v for layer in self.sublayers for v in layer.weights)])

    variables = weights

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that an optimizer updates."""
        if not self.trainable:
            return []
        own = [v for v in self._variables if v.trainable]
        return _unique([*own, *(v for layer in self.sublayers for v in layer.trainable_weights)])

    trainable_variables = trainable_weights

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that no optimizer updates."""
        trained = {id(v) for v in self.trainable_weights}
        return [v for v in self.weights if id(v) not in trained]

    non_trainable_variables = non_trainable_weights

    @property
    def losses(self) -> list[Any]:
        """Penalties of the regularizers on trained weights, one number each.

        Keras's list also holds those on activities; here they are in what `forward`
        saves, so that a layer carries nothing from call to call.
        """
        regularized = [v for v in self.trainable_weights if v.regularizer is not None]
        return [v.value.dtype.type(v.regularizer(v.value)) for v in regularized]

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of all weights, in Keras's order."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: Iterable[Any]) -> None:
        """Write all weights, in the order of `get_weights`.

        Raises
        ------
        ValueError
            If count or shapes differ; nothing is changed then.
        """
        values = [np.asarray(w) for w in weights]
        targets = self.weights
        if len(values) != len(targets):
            raise ValueError(
                f"You called `set_weights(weights)` on layer '{self.name}' with a weight list of "
                f"length {len(values)}, but the layer was expecting {len(targets)} weights."
            )
        for variable, value in zip(targets, values, strict=True):
            if variable.shape != value.shape:
                raise ValueError(
                    f"Layer {self.name} weight shape {variable.shape} is not compatible with "
                    f"provided weight shape {value.shape} (weight {variable.path!r})."
                )
            if value.dtype.kind not in "biuf":
                raise ValueError(f"Weight {variable.path!r} got values of dtype {value.dtype}.")
        for variable, value in zip(targets, values, strict=True):
            variable.assign(value)

    def count_params(self) -> int:
        """Return the number of numbers in all weights.

        Raises
        ------
        ValueError
            If the layer is not built.
        """
        if not self.built:
            raise ValueError(
                f"You tried to call `count_params` on layer '{self.name}', but the layer isn't "
                f"built. You can build it manually via: `layer.build(input_shape)`."
            )
        return sum(v.value.size for v in self.weights)

    # --- configuration --------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        config: dict[str, Any] = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": self.dtype,
        }
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Build a layer from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def _checked_name(name: Any) -> str:
    # A slash parts the names of layers in the path of a weight.
    if not isinstance(name, str) or "/" in name:
        raise ValueError(
            f"Argument `name` must be a string and cannot contain character `/`. Received: "
            f"name={name!r} (of type {type(name)})"
        )
    return name


def _is_stateful(layer: Layer) -> bool:
    """Whether a layer, or one inside it, carries a state from batch to batch."""
    return bool(getattr(layer, "stateful", False)) or any(map(_is_stateful, layer.sublayers))


def _unique(variables: Iterable[Variable]) -> list[Variable]:
    """Return the variables once each: a layer may stand in a model twice."""
    return list({id(v): v for v in variables}.values())


def _dtype_name(dtype: Any) -> Any:
    """Return the type of a Keras dtype policy, or `dtype` itself."""
    if isinstance(dtype, dict):
        return dtype.get("config", {}).get("name")
    return getattr(dtype, "compute_dtype", dtype)


def _batch_shape(kwargs: dict[str, Any]) -> Shape | None:
    """Take the arguments out of `kwargs` that give the input's shape."""
    batch_size = kwargs.pop("batch_size", None)
    shape: Shape | None = None
    if (dim := kwargs.pop("input_dim", None)) is not None:
        shape = (batch_size, int(dim))
    if (given := kwargs.pop("input_shape", None)) is not None:
        shape = (batch_size, *((given,) if isinstance(given, int) else given))
    for key in ("batch_shape", "batch_input_shape"):
        if (given := kwargs.pop(key, None)) is not None:
            shape = tuple(given)
    return shape
