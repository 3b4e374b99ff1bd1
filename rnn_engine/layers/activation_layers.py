"""Activations as layers: `Activation`, `ReLU`, `LeakyReLU`, `ELU`, `PReLU`, `Softmax`."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnn_engine import activations, constraints, initializers, regularizers
from rnn_engine.checks import as_numbers, unfit
from rnn_engine.layers.base import Layer, registry


class _ActivationLayer(Layer):
    """Applies ``self.activation``, which a subclass's constructor sets."""

    # `activations.get` takes such a layer for its activation.
    is_activation_layer = True
    activation: activations.Activation

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return y and what backward needs."""
        y = self.activation(x)
        return y, (x, y)

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Return dx, or None."""
        x, y = saved[:2]
        if not need_dx:
            return None
        dy = self.gradient_like(dy, y.shape)
        return self.activation.backward(dy, x if self.activation.from_input else y)

    # The cross-entropies of softmax and sigmoid are computed from their logits.

    def logits_of(self, saved: Any) -> Any:
        """Return what the activation was applied to."""
        return saved[0]

    def backward_from_logits(self, dz: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Go back from the gradient by the logits."""
        return dz if need_dx else None


@registry.register()
class Activation(_ActivationLayer):
    """Applies an activation (`keras.layers.Activation`).

    Parameters
    ----------
    activation : str or Activation
        See `rnn_engine.activations.get`.

    Any input shape; the output has the same.

    Examples
    --------
    >>> Activation("relu")(np.float32([[-3.0, -1.0, 0.0, 2.0]]))
    array([[0., 0., 0., 2.]], dtype=float32)
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def returns_input(self, training: bool) -> bool:
        """Whether the activation is linear."""
        return self.activation is activations.linear

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape; `glu` halves the axis that it splits."""
        shape = list(input_shape)
        if isinstance(self.activation, activations.GLU):
            axis = self.activation.axis
            shape[axis] = None if shape[axis] is None else shape[axis] // 2  # type: ignore[index]  # glu has one axis
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


def _at_least_zero(value: Any, argument: str, layer: str, optional: bool = False) -> Any:
    if (value is None and not optional) or (value is not None and not value >= 0):
        if layer == "Leaky ReLU":
            raise ValueError(
                f"The {argument} value of a Leaky ReLU layer cannot be None or negative value. "
                f"Expected a float. Received: {argument}={value}"
            )
        raise ValueError(
            f"{argument} of a {layer} layer cannot be {'' if optional else 'None or '}a negative "
            f"value. Received: {argument}={value}"
        )
    return value


@registry.register()
class ReLU(_ActivationLayer):
    """x above `threshold`, at most `max_value`; a line below (`keras.layers.ReLU`).

    Parameters
    ----------
    max_value : float, optional
        None is without limit.
    negative_slope : float
        Slope of the line below `threshold`.
    threshold : float

    Raises
    ------
    ValueError
        If one of them is negative.

    Examples
    --------
    >>> ReLU(max_value=10, negative_slope=0.5)(np.float32([[-10.0, -5.0, 5.0, 20.0]]))
    array([[-5. , -2.5,  5. , 10. ]], dtype=float32)
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_value = _at_least_zero(max_value, "max_value", "ReLU", optional=True)
        self.negative_slope = _at_least_zero(negative_slope, "negative_slope", "ReLU")
        self.threshold = _at_least_zero(threshold, "threshold", "ReLU")
        self.activation = activations.relu.with_arguments(negative_slope, max_value, threshold)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }


@registry.register()
class LeakyReLU(_ActivationLayer):
    """x above zero, negative_slope·x below (`keras.layers.LeakyReLU`).

    Parameters
    ----------
    negative_slope : float
        `alpha`, its old name, is taken as well, with a warning.

    Raises
    ------
    ValueError
        If it is negative.

    Examples
    --------
    >>> LeakyReLU(negative_slope=0.5)(np.float32([[-10.0, 5.0]]))
    array([[-5.,  5.]], dtype=float32)
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")
            warnings.warn(
                "Argument `alpha` is deprecated. Use `negative_slope` instead.", stacklevel=2
            )
        super().__init__(**kwargs)
        self.negative_slope = _at_least_zero(negative_slope, "negative_slope", "Leaky ReLU")
        self.activation = activations.leaky_relu.with_arguments(negative_slope)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "negative_slope": self.negative_slope}


@registry.register()
class ELU(_ActivationLayer):
    """x above zero, alpha·(eˣ - 1) below (`keras.layers.ELU`).

    Parameters
    ----------
    alpha : float

    Examples
    --------
    >>> ELU(alpha=2.0)(np.float32([[-100.0, 5.0]]))
    array([[-2.,  5.]], dtype=float32)
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha
        self.activation = activations.elu.with_arguments(alpha)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "alpha": self.alpha}


@registry.register()
class PReLU(Layer):
    """x above zero, alpha·x below, alpha learned (`keras.layers.PReLU`).

    Parameters
    ----------
    alpha_initializer : str or Initializer
    alpha_regularizer : Regularizer, optional
    alpha_constraint : Constraint, optional
    shared_axes : int or sequence of int, optional
        Axes along which one alpha serves all, counted from 1 behind the batch axis.

    Any input shape whose axes behind the batch are known, but for shared ones.

    Examples
    --------
    >>> PReLU("ones", shared_axes=1)(np.float32([[[-1.0], [2.0]]])).ravel()
    array([-1.,  2.], dtype=float32)
    """

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        if shared_axes is None or isinstance(shared_axes, list | tuple):
            self.shared_axes = None if shared_axes is None else list(shared_axes)
        else:
            self.shared_axes = [shared_axes]

    def create_weights(self, input_shape: Any) -> None:
        """Create alpha, of the shape of a sample with ones at the shared axes."""
        shape = list(input_shape[1:])
        for axis in self.shared_axes or ():
            if not 1 <= axis <= len(shape):
                raise ValueError(
                    f"shared_axes of layer {self.name!r} must lie between 1 and {len(shape)} for "
                    f"an input of shape {tuple(input_shape)}, got {axis}."
                )
            shape[axis - 1] = 1
        if None in shape:
            raise ValueError(
                f"Layer {self.name!r} needs an alpha for every entry of a sample, but the input "
                f"shape {tuple(input_shape)} is not known; share it along the unknown axes."
            )
        self.alpha = self.add_weight(
            tuple(shape),
            self.alpha_initializer,
            "alpha",
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return y and the input."""
        shape = self.alpha.shape
        fits = x.ndim == len(shape) + 1 and all(
            n in (1, m) for n, m in zip(shape, x.shape[1:], strict=True)
        )
        if not fits:
            raise unfit(
                self.name,
                f"samples that fit alpha of shape {shape}, but received input with shape {x.shape}",
            )
        return np.maximum(x, 0) - self.alpha.value * np.maximum(-x, 0), x

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Add the gradient of alpha; return dx, or None."""
        x, alpha = saved, self.alpha
        dy = self.gradient_like(dy, x.shape)
        below = dy * np.minimum(x, 0)
        shared = [i + 1 for i, n in enumerate(alpha.shape) if n == 1]
        total = below.sum(axis=(0, *shared), keepdims=True)
        grad = alpha.grad
        grad += total.reshape(alpha.shape)
        if not need_dx:
            return None
        return dy * ((x > 0) + alpha.value * (x < 0))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": constraints.serialize(self.alpha_constraint),
            "shared_axes": self.shared_axes,
        }


# What Keras puts in place of masked inputs.
_MASKED = -1e9


@registry.register()
class Softmax(_ActivationLayer):
    """Softmax along one axis, or several together (`keras.layers.Softmax`).

    Parameters
    ----------
    axis : int or sequence of int

    Called with a mask that can be broadcast to the input, masked entries have no share
    and come out as zero.

    Raises
    ------
    ValueError
        If the mask does not fit.

    Examples
    --------
    >>> Softmax()(np.float32([[1.0, 1.0, 1.0]]), mask=[[True, True, False]])
    array([[0.5, 0.5, 0. ]], dtype=float32)
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        given = axis if isinstance(axis, int) else tuple(axis)
        if isinstance(given, tuple) and len(given) == 1:
            given = given[0]
        self.activation = activations.softmax.with_arguments(given)

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return y and what backward needs."""
        if mask is None:
            return super().forward(x, training)
        shown = self._fitting(mask, x)
        z = np.where(shown, x, np.asarray(_MASKED, x.dtype))
        y = np.where(shown, self.activation(z), np.asarray(0, x.dtype))
        return y, (z, y, shown)

    def logits_of(self, saved: Any) -> Any:
        """Return the input; None under a mask, where the output is more than a softmax of it."""
        return None if len(saved) == 3 else saved[0]

    @staticmethod
    def _fitting(mask: Any, x: np.ndarray) -> np.ndarray:
        shown = as_numbers(mask, "mask")
        tail = x.shape[x.ndim - shown.ndim :] if shown.ndim <= x.ndim else ()
        if len(tail) != shown.ndim or any(
            m not in (1, n) for m, n in zip(shown.shape, tail, strict=True)
        ):
            raise ValueError(
                "The `mask` must be broadcastable to `inputs`, and must not have more dimensions. "
                f"Received: inputs.shape={x.shape}, mask.shape={shown.shape}"
            )
        return shown if shown.dtype == bool else shown > 0.5

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "axis": self.axis}
