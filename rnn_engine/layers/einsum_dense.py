"""`EinsumDense`: a dense layer over axes that an equation names."""

import math
import re
from typing import Any

import numpy as np

from rnn_engine import activations, constraints, initializers, regularizers
from rnn_engine.initializers import VarianceScaling
from rnn_engine.kernels.buffers import BufferPool
from rnn_engine.layers.activated import Activated
from rnn_engine.layers.base import Layer, registry
from rnn_engine.layers.products import multiply


@registry.register("EinsumDense")
class EinsumDense(Layer):
    """y = activation(einsum(equation, x, kernel) + bias) (`keras.layers.EinsumDense`).

    Parameters
    ----------
    equation : str
        ``"ab,bc->ac"``: axes of the input, the kernel and the output. ``...`` may stand for
        further axes of input and output, in front of the others or behind them.
    output_shape : int or tuple of int or None
        Sizes of the output's axes behind the batch, those of ``...`` left out; None where
        an axis is also one of the input.
    activation : str or Activation, optional
    bias_axes : str, optional
        Axes of the output that the bias covers; no bias if None.
    kernel_*, bias_*
        As in `Dense`.

    Raises
    ------
    ValueError
        If the equation has another form, or the sizes do not fit it.

    Examples
    --------
    >>> layer = EinsumDense("abc,cd->abd", (None, 4), bias_axes="d")
    >>> layer(np.ones((2, 5, 3))).shape
    (2, 5, 4)
    """

    supports_masking = False

    _tells_of_penalty = True

    def __init__(
        self,
        equation: str,
        output_shape: Any,
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.equation = equation
        single = isinstance(output_shape, int)
        self._buffers = BufferPool()
        self.partial_output_shape = (output_shape,) if single else tuple(output_shape)
        self.bias_axes = bias_axes
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    # --- the equation -----------------------------------------------------------------

    def _labels(self, rank: int) -> tuple[str, str, str]:
        """Return the labels of input, kernel and output, with new ones for ``...``."""
        text = self.equation.replace("...", "0")
        forms = (
            r"([a-zA-Z]+),([a-zA-Z]+)->([a-zA-Z]+)",
            r"(0[a-zA-Z]+),([a-zA-Z]+)->(0[a-zA-Z]+)",
            r"([a-zA-Z]{2,}0),([a-zA-Z]+)->([a-zA-Z]+0)",
        )
        found = next(filter(None, (re.fullmatch(form, text) for form in forms)), None)
        if found is None:
            raise ValueError(
                f"Invalid einsum equation '{self.equation}'. Equations must be in the form "
                "[X],[Y]->[Z], ...[X],[Y]->...[Z], or [X]...,[Y]->[Z]...."
            )
        x, kernel, y = found.groups()
        more = rank - len(x.replace("0", ""))
        if more < 0 or (more and "0" not in x):
            raise ValueError(
                f"The equation '{self.equation}' of layer {self.name!r} does not fit an input of "
                f"{rank} axes."
            )
        new = "".join(chr(0x100 + i) for i in range(more))
        return x.replace("0", new), kernel, y.replace("0", new)

    def _labelled(self, input_shape: Any) -> tuple[tuple[str, str, str], dict[str, Any]]:
        """Return the labels, and the size of each."""
        labels = x, kernel, y = self._labels(len(input_shape))
        sizes = dict(zip(x, input_shape, strict=True))
        elided = [label for label in y if ord(label) >= 0x100]
        named = [label for label in y if ord(label) < 0x100]
        # The batch is not among the given sizes; with ... in front it is the first of these.
        if not (elided and y[0] == elided[0]):
            named = named[1:]
        given = dict(zip(named, self.partial_output_shape, strict=False))
        for label, size in given.items():
            if label in sizes and size is not None and sizes[label] not in (None, size):
                raise ValueError(
                    "Input shape and output shape do not match at shared dimension "
                    f"'{label}'. Input shape is {sizes[label]}, and output shape is {size}."
                )
            if size is not None:
                sizes[label] = size
        for label in y:
            if label not in x and label not in kernel:
                raise ValueError(
                    f"Dimension '{label}' was specified in the output '{y}' but has no "
                    f"corresponding dim in the input spec '{x}' or weight spec '{kernel}'"
                )
        for label in kernel:
            if label not in x and label not in y:
                raise ValueError(
                    f"Weight dimension '{label}' did not have a match in either the input spec "
                    f"'{x}' or the output spec '{y}'. For this layer, the weight must be fully "
                    f"specified."
                )
        lost = [label for label in x if label not in kernel and label not in y]
        if lost or len(given) != len(self.partial_output_shape):
            raise ValueError(
                f"The equation '{self.equation}' of layer {self.name!r} and output_shape="
                f"{self.partial_output_shape} do not fit an input of shape {tuple(input_shape)}."
            )
        return labels, sizes

    def create_weights(self, input_shape: Any) -> None:
        """Create kernel and bias."""
        (_, kernel, y), sizes = self._labelled(input_shape)
        shape = tuple(sizes[label] for label in kernel)
        if None in shape:
            raise ValueError(
                f"The kernel of layer {self.name!r} would have shape {shape}: the input's shape "
                f"{tuple(input_shape)} must be known along the equation's axes."
            )
        self.kernel = self.add_weight(
            shape,
            self._initializer(kernel, y, shape),
            "kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.bias_axes is not None:
            wrong = [label for label in self.bias_axes if label not in y]
            if wrong:
                raise ValueError(
                    f"Bias dimension '{wrong[0]}' was requested, but is not part of the output "
                    f"spec '{y}'"
                )
            covered = y[min(map(y.index, self.bias_axes)) :]
            self.bias = self.add_weight(
                tuple(sizes[label] if label in self.bias_axes else 1 for label in covered),
                self.bias_initializer,
                "bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def _initializer(self, kernel: str, y: str, shape: tuple[int, ...]) -> Any:
        """Return an initializer that counts inputs and outputs as the equation has them."""
        if not isinstance(self.kernel_initializer, VarianceScaling):
            return self.kernel_initializer
        inputs = math.prod(n for label, n in zip(kernel, shape, strict=True) if label not in y)

        def draw(_: Any, dtype: Any = None) -> np.ndarray:
            flat = (inputs, math.prod(shape) // inputs)
            return self.kernel_initializer(flat, dtype=dtype).reshape(shape)

        return draw

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the sizes of the output's axes."""
        (_, _, y), sizes = self._labelled(input_shape)
        return tuple(sizes[label] for label in y)

    def check_input(self, x: np.ndarray) -> None:
        """Raise ValueError unless x fits the kernel."""
        (_, kernel, _), sizes = self._labelled(x.shape)
        if 0 in x.shape or tuple(sizes[label] for label in kernel) != self.kernel.shape:
            raise ValueError(
                f"The input of layer {self.name!r} must fit its kernel of shape "
                f"{self.kernel.shape} by {self.equation!r} and have no empty axis, got shape "
                f"{x.shape}."
            )

    # --- the way of the data ----------------------------------------------------------

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return y; saves both sides as matrices."""
        self.check_input(x)
        (ours, kernel, y), sizes = self._labelled(x.shape)
        shared = [label for label in kernel if label in ours and label in y]
        summed = [label for label in kernel if label in ours and label not in y]
        new = [label for label in kernel if label not in ours]
        free = [label for label in ours if label not in kernel]
        counts = [math.prod(sizes[i] for i in group) for group in (shared, free, summed, new)]
        batch, m, k, n = counts
        a = _turned(x, ours, [*shared, *free, *summed]).reshape(1, batch, m, k)
        w = _turned(self.kernel.value, kernel, [*shared, *summed, *new]).reshape(1, batch, k, n)
        product = multiply(a, w, self._buffers).reshape([sizes[i] for i in (*shared, *free, *new)])
        z = np.ascontiguousarray(_turned(product, [*shared, *free, *new], list(y)))
        if self.bias is not None:
            z += self.bias.value
        out = Activated(self.activation, z)
        return out.value, (a, w, out, (ours, kernel, y), (shared, free, summed, new), sizes)

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Add the gradients of kernel and bias; return dx, or None."""
        a, w, out, (ours, kernel, y), (shared, free, summed, new), sizes = saved
        dz = out.back(self.gradient_like(dy, out.value.shape))
        if self.bias is not None:
            grad = self.bias.grad
            missing = dz.ndim - grad.ndim
            axes = [*range(missing), *(missing + i for i, n in enumerate(grad.shape) if n == 1)]
            grad += (
                dz.sum(axis=tuple(axes), dtype=np.float64).reshape(grad.shape).astype(grad.dtype)
            )
        slope = _turned(dz, list(y), [*shared, *free, *new])
        slope = slope.reshape(1, a.shape[1], a.shape[2], w.shape[3])
        dw = multiply(a.swapaxes(2, 3), slope)
        dw = dw.reshape([sizes[i] for i in (*shared, *summed, *new)])
        grad = self.kernel.grad
        grad += _turned(dw, [*shared, *summed, *new], list(kernel))
        if not need_dx:
            return None
        dx = multiply(slope, w.swapaxes(2, 3), self._buffers)
        dx = dx.reshape([sizes[i] for i in (*shared, *free, *summed)])
        return _turned(dx, [*shared, *free, *summed], list(ours))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "output_shape": self.partial_output_shape,
            "equation": self.equation,
            "activation": activations.serialize(self.activation),
            "bias_axes": self.bias_axes,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }


def _turned(array: np.ndarray, labels: Any, wanted: list[str]) -> np.ndarray:
    """Return an array with its axes in the order of `wanted`."""
    return array.transpose([list(labels).index(label) for label in wanted])
