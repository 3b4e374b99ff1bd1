"""Ops of networks: activations, cross-entropies, normalizations, attention."""

import inspect
import math
from typing import Any

import numpy as np

from rnn_engine import activations
from rnn_engine.autodiff.steps import activate
from rnn_engine.config import epsilon as default_epsilon
from rnn_engine.ops.dispatch import OPS, dtype_of, make, op, to_array, to_float, to_floats

# --- activations: those of the library, in its kernels and with its way back -------------------

_REQUIRED = inspect.Parameter.empty
_ACTIVATIONS: dict[str, dict[str, Any]] = {
    "celu": {"alpha": 1.0}, "elu": {"alpha": 1.0}, "gelu": {"approximate": True},
    "glu": {"axis": -1}, "hard_shrink": {"threshold": 0.5}, "hard_sigmoid": {},
    "hard_silu": {}, "hard_swish": {}, "hard_tanh": {}, "leaky_relu": {"negative_slope": 0.2},
    "log_sigmoid": {}, "log_softmax": {"axis": -1}, "relu": {}, "relu6": {}, "selu": {},
    "sigmoid": {}, "silu": {}, "soft_shrink": {"threshold": 0.5}, "softmax": {"axis": -1},
    "softplus": {}, "softsign": {}, "sparse_plus": {}, "sparse_sigmoid": {},
    "sparsemax": {"axis": -1}, "squareplus": {"b": 4}, "swish": {}, "tanh_shrink": {},
    "threshold": {"threshold": _REQUIRED, "default_value": _REQUIRED},
}  # fmt: skip


def _parameter(name: str, default: Any = _REQUIRED) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)


def _activation(name: str, settings: dict[str, Any]) -> Any:
    activation: Any = getattr(activations, name)
    own = inspect.Signature([_parameter(*pair) for pair in settings.items()])

    def function(xp: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        if name == "relu" and xp is np and to_array(x).dtype.kind in "iu":
            return np.maximum(to_array(x), 0)
        chosen = activation
        if settings:
            bound = own.bind(*args, **kwargs)
            bound.apply_defaults()
            chosen = activation.with_arguments(**bound.arguments)
        x = to_float(x)
        return chosen(x) if xp is np else activate(chosen, x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Return the activation `{name}`. Mirrors `keras.ops.{name}`."
    signed: Any = function
    signed.__signature__ = own.replace(
        parameters=[_parameter("xp"), _parameter("x"), *own.parameters.values()]
    )
    return make(function)


OPS.update({name: _activation(name, settings) for name, settings in _ACTIVATIONS.items()})

# --- the error function -----------------------------------------------------------------------

_erf = np.vectorize(math.erf, otypes=[np.float64])
_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def _slope_of_erf(z: np.ndarray) -> np.ndarray:
    return 2 / math.sqrt(math.pi) * np.exp(-np.square(z))


def _inverse_of_erf(y: np.ndarray) -> np.ndarray:
    """Return erf⁻¹, by a formula good to 1e-2 (Winitzki's), and Newton's steps to the last bit."""
    y = np.asarray(y, np.float64)
    log = np.log1p(-np.square(y))
    first = 2 / (math.pi * 0.147) + log / 2
    x = np.sign(y) * np.sqrt(np.sqrt(np.square(first) - log / 0.147) - first)
    for _ in range(4):
        side = np.where(
            np.abs(y) < 0.5, _erf(x) - y, np.sign(y) * ((1 - np.abs(y)) - _erfc(np.abs(x)))
        )
        step = side / _slope_of_erf(x)
        x = np.where(np.isfinite(step), x - step, x)
    return np.where(np.abs(y) > 1, np.nan, x)


def _function_op(name: str, function: Any, slope: Any) -> None:
    """Enter an op of a function and its slope, by the input and the output."""
    function_name = name

    class Function:
        from_input = True
        name = function_name

        def __call__(self, z: Any) -> Any:
            return function(z).astype(z.dtype) if z.size else z

        def backward(self, g: Any, z: Any) -> Any:
            return (g * slope(np.asarray(z, np.float64))).astype(z.dtype)

    chosen = Function()

    def compute(xp: Any, x: Any) -> Any:
        x = to_float(x)
        if xp is np:
            return chosen(np.asarray(x))
        if name in ("erf", "erfc"):
            return xp.erf(x) if name == "erf" else 1.0 - xp.erf(x)
        return activate(chosen, x)

    compute.__name__ = compute.__qualname__ = name
    compute.__doc__ = f"Return `{name}` of every element. Mirrors `keras.ops.{name}`."
    op()(compute)


_function_op("erf", _erf, _slope_of_erf)
_function_op("erfc", _erfc, lambda z: -_slope_of_erf(z))
_function_op("erfinv", _inverse_of_erf, lambda y: 1 / _slope_of_erf(_inverse_of_erf(y)))

# --- cross-entropies --------------------------------------------------------------------------


def _limited(xp: Any, p: Any) -> Any:
    tiny = dtype_of(p).type(default_epsilon())
    return xp.minimum(xp.maximum(p, tiny), 1 - tiny)


@op(2)
def binary_crossentropy(xp: Any, target: Any, output: Any, from_logits: bool = False) -> Any:
    """Return the cross-entropy of each element. Mirrors `keras.ops.binary_crossentropy`."""
    output = to_float(output)
    target = to_array(target).astype(dtype_of(output))
    if np.shape(target) != np.shape(output):
        raise ValueError(
            "Arguments `target` and `output` must have the same shape. Received: target.shape="
            f"{np.shape(target)}, output.shape={np.shape(output)}"
        )
    if from_logits:
        return xp.maximum(output, 0) - output * target + xp.log1p(xp.exp(-xp.abs(output)))
    output = _limited(xp, output)
    return -(target * xp.log(output) + (1 - target) * xp.log(1 - output))


def _log_probabilities(xp: Any, output: Any, from_logits: bool, axis: int) -> Any:
    if from_logits:
        top = np.max(np.asarray(output), axis=axis, keepdims=True)
        off = output - top
        return off - xp.log(xp.sum(xp.exp(off), axis=axis, keepdims=True))
    output = output / xp.sum(output, axis=axis, keepdims=True)
    return xp.log(_limited(xp, output))


@op(2)
def categorical_crossentropy(
    xp: Any, target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """Return the cross-entropy of each row. Mirrors `keras.ops.categorical_crossentropy`."""
    output = to_float(output)
    target = to_array(target).astype(dtype_of(output))
    if tuple(target.shape) != tuple(output.shape):
        raise ValueError(
            f"Arguments `target` and `output` must have the same shape. Received: "
            f"target.shape={tuple(target.shape)}, output.shape={tuple(output.shape)}"
        )
    return -xp.sum(target * _log_probabilities(xp, output, from_logits, axis), axis=axis)


@op(2)
def sparse_categorical_crossentropy(
    xp: Any, target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """Return the cross-entropy of each row, of class numbers. Mirrors Keras's op of that name."""
    output, labels = to_float(output), np.asarray(to_array(target)).astype(np.int64)
    if labels.ndim == output.ndim and labels.shape[-1] == 1:
        labels = labels[..., 0]
    shapes = f"Received: target.shape={labels.shape}, output.shape={output.shape}"
    if labels.ndim != output.ndim - 1:
        raise ValueError(f"Argument `output` must have rank (ndim) `target.ndim - 1`. {shapes}")
    if labels.shape != output.shape[:-1]:
        raise ValueError(
            "Arguments `target` and `output` must have the same shape up until the last "
            f"dimension. {shapes}"
        )
    logs = _log_probabilities(xp, output, from_logits, axis)
    labels = np.expand_dims(labels, axis)
    return -xp.squeeze(xp.take_along_axis(logs, labels, axis % output.ndim), axis=axis)


# --- normalizations and attention -------------------------------------------------------------


@op()
def batch_normalization(
    xp: Any, x: Any, mean: Any, variance: Any, axis: int, offset: Any = None, scale: Any = None,
    epsilon: float = 1e-3,
) -> Any:  # fmt: skip
    """Return x normalized by given moments. Mirrors `keras.ops.batch_normalization`."""
    x = to_float(x)
    shape = [1] * x.ndim
    shape[axis] = x.shape[axis]
    mean, variance, offset, scale = (
        None if v is None else OPS["reshape"](v, shape) for v in (mean, variance, offset, scale)
    )
    factor = OPS["rsqrt"](OPS["add"](variance, epsilon))
    factor = factor if scale is None else factor * scale
    shift = -mean * factor if offset is None else offset - mean * factor
    return x * factor + shift


@op()
def layer_normalization(
    xp: Any, x: Any, gamma: Any = None, beta: Any = None, axis: Any = -1,
    epsilon: float | None = None,
) -> Any:  # fmt: skip
    """Return x normalized along axes. Mirrors `keras.ops.layer_normalization`."""
    x = to_float(x)
    axes = tuple(axis) if isinstance(axis, list | tuple) else axis
    tiny = default_epsilon() if epsilon is None else epsilon
    off = x - xp.mean(x, axis=axes, keepdims=True)
    spread = xp.mean(xp.square(off), axis=axes, keepdims=True)
    y = off / xp.sqrt(spread + dtype_of(x).type(tiny))
    y = y if gamma is None else OPS["multiply"](y, gamma)
    return y if beta is None else OPS["add"](y, beta)


@op()
def rms_normalization(
    xp: Any, x: Any, scale: Any = None, axis: Any = -1, epsilon: float | None = None
) -> Any:
    """Return x over its root mean square. Mirrors `keras.ops.rms_normalization`."""
    x = to_float(x)
    axes = tuple(axis) if isinstance(axis, list | tuple) else axis
    tiny = default_epsilon() if epsilon is None else epsilon
    squares = xp.mean(xp.square(x), axis=axes, keepdims=True)
    y = x / xp.sqrt(squares + dtype_of(x).type(tiny))
    return y if scale is None else OPS["multiply"](y, scale)


@op(3)
def dot_product_attention(
    xp: Any, query: Any, key: Any, value: Any, bias: Any = None, mask: Any = None,
    scale: float | None = None, is_causal: bool = False, flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Any:  # fmt: skip
    """Return values weighted by the fit of queries to keys (B, T, N, H).

    Mirrors `keras.ops.dot_product_attention`; `flash_attention` makes no difference.
    """
    query, key, value = to_floats(query, key, value)
    groups = query.shape[2] // key.shape[2]
    if groups > 1:
        key, value = OPS["repeat"](key, groups, axis=2), OPS["repeat"](value, groups, axis=2)
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = OPS["einsum"]("btnh,bsnh->bnts", query, key) * factor
    if attn_logits_soft_cap is not None:
        scores = OPS["tanh"](scores / attn_logits_soft_cap) * attn_logits_soft_cap
    scores = scores if bias is None else OPS["add"](scores, bias)
    allowed = np.ones((1, 1, 1, 1), bool) if mask is None else np.asarray(mask, bool)
    if is_causal:
        steps = query.shape[1], key.shape[1]
        allowed = allowed & np.tril(np.ones(steps, bool))
    low = np.finfo(dtype_of(query)).min * 0.7
    scores = OPS["where"](allowed, scores, dtype_of(query).type(low))
    return OPS["einsum"]("bnts,bsnh->btnh", OPS["softmax"](scores), value)


@op(2)
def psnr(xp: Any, x1: Any, x2: Any, max_val: float) -> Any:
    """Return the ratio of the peak to the noise, in decibel. Mirrors `keras.ops.psnr`."""
    x1, x2 = to_floats(x1, x2)
    error = xp.mean(xp.square(x1 - x2))
    return 20 * math.log10(max_val) - 10 / math.log(10) * xp.log(error)
