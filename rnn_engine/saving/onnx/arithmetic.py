"""Operators that compute element by element, and over axes."""

import math
from typing import Any

import numpy as np

from rnn_engine import activations, layers
from rnn_engine import ops as _ops
from rnn_engine.saving.onnx.activations import AFFINE, HARD_SIGMOID, SCALED_TANH
from rnn_engine.saving.onnx.builder import Builder, handles
from rnn_engine.saving.onnx.folding import axes_of
from rnn_engine.saving.onnx.graph import Node
from rnn_engine.saving.onnx.views import (
    UNKNOWN,
    BoundBatchError,
    View,
    alone,
    check_size,
    last,
    replaced,
    together,
)

ops: Any = _ops  # its names come from a table

_LAYERS = {
    "Relu": "relu", "Tanh": "tanh", "Sigmoid": "sigmoid", "Softplus": "softplus",
    "Softsign": "softsign", "Exp": "exponential", "Mish": "mish", "HardSwish": "hard_silu",
}  # fmt: skip
_OF_ONE = {
    "Neg": "negative", "Abs": "absolute", "Sqrt": "sqrt", "Log": "log", "Erf": "erf",
    "Floor": "floor", "Ceil": "ceil", "Round": "round", "Sign": "sign", "Sin": "sin",
    "Cos": "cos", "Tan": "tan", "Sinh": "sinh", "Cosh": "cosh", "Atan": "arctan",
    "Asin": "arcsin", "Acos": "arccos", "Reciprocal": "reciprocal", "Not": "logical_not",
    "IsNaN": "isnan",
}  # fmt: skip
_OF_TWO = {
    "Add": "add", "Sub": "subtract", "Mul": "multiply", "Div": "divide", "Pow": "power",
    "Less": "less", "LessOrEqual": "less_equal", "Greater": "greater",
    "GreaterOrEqual": "greater_equal", "Equal": "equal", "And": "logical_and",
    "Or": "logical_or", "Xor": "logical_xor",
}  # fmt: skip
_OF_MANY = {"Sum": "add", "Max": "maximum", "Min": "minimum", "Mean": "add"}
_REDUCE = {
    "ReduceSum": "sum", "ReduceMean": "mean", "ReduceMax": "max", "ReduceMin": "min",
    "ReduceProd": "prod",
}  # fmt: skip


def activation_of(name: str, alpha: float | None, beta: float | None) -> Any:
    """Return the activation of one of ONNX's names, None if there is none like it here."""
    if name in ("Relu", "Tanh", "Sigmoid", "Softplus", "Softsign"):
        return activations.get(name.lower())
    if name == "LeakyRelu":
        slope = 0.01 if alpha is None else alpha
        return activations.leaky_relu.with_arguments(negative_slope=slope)
    if name == "Elu":
        return activations.elu.with_arguments(alpha=1.0 if alpha is None else alpha)
    if name == "ThresholdedRelu":
        level = 1.0 if alpha is None else alpha
        return activations.threshold.with_arguments(threshold=level, default_value=0.0)
    if name == "HardSigmoid":
        alpha, beta = (0.2 if alpha is None else alpha), (0.5 if beta is None else beta)
        if abs(alpha - 1 / 6) < 1e-7 and beta == 0.5:
            return activations.get("hard_sigmoid")
        return HARD_SIGMOID.with_arguments(alpha=alpha, beta=beta)
    if name == "ScaledTanh":
        alpha, beta = (1.0 if n is None else n for n in (alpha, beta))
        return SCALED_TANH.with_arguments(alpha=alpha, beta=beta)
    if name == "Affine":
        alpha, beta = (1.0 if alpha is None else alpha), (0.0 if beta is None else beta)
        if (alpha, beta) == (1.0, 0.0):
            return activations.get("linear")
        return AFFINE.with_arguments(alpha=alpha, beta=beta)
    return None


@handles(*_LAYERS)
def _activation(b: Builder, node: Node, v: list[Any]) -> Any:
    view = b.view(node, v[0])
    return view.like(layers.Activation(_LAYERS[node.op])(view.tensor))


@handles("LeakyRelu", "Elu", "ThresholdedRelu")
def _with_alpha(b: Builder, node: Node, v: list[Any]) -> Any:
    view = b.view(node, v[0])
    alpha = None if node.get("alpha") is None else node.real("alpha", 0.0)
    made: Any = layers.Activation(activation_of(node.op, alpha, None))
    if node.op == "LeakyRelu":
        made = layers.LeakyReLU(negative_slope=0.01 if alpha is None else alpha)
    return view.like(made(view.tensor))


@handles("HardSigmoid")
def _hard_sigmoid(b: Builder, node: Node, v: list[Any]) -> Any:
    view = b.view(node, v[0])
    found = activation_of(node.op, node.real("alpha", 0.2), node.real("beta", 0.5))
    return view.like(layers.Activation(found)(view.tensor))


@handles("Selu", "Celu", "Gelu", "Swish")
def _other_activations(b: Builder, node: Node, v: list[Any]) -> Any:
    view = b.view(node, v[0])
    name, x = node.op, view.tensor
    if name == "Gelu":
        approximate = node.get("approximate", "none") == "tanh"
        return view.like(ops.gelu(x, approximate=approximate))
    if name == "Selu":
        alpha, gamma = node.real("alpha", 1.6732632), node.real("gamma", 1.050701)
        if abs(alpha - 1.6732632) > 1e-6 or abs(gamma - 1.050701) > 1e-6:
            raise node.refuse("its alpha or gamma is not that of SELU.")
        return view.like(layers.Activation("selu")(x))
    alpha = node.real("alpha", 1.0)
    if name == "Celu":
        return view.like(ops.celu(x, alpha))
    return view.like(ops.multiply(x, ops.sigmoid(ops.multiply(x, alpha))))


@handles("PRelu")
def _prelu(b: Builder, node: Node, v: list[Any]) -> Any:
    slope, view = b.fitted(node, v[1], b.view(node, v[0]))
    x = view.tensor
    return view.like(ops.where(ops.less(x, 0.0), ops.multiply(x, slope), x))


@handles("Softmax", "LogSoftmax")
def _softmax(b: Builder, node: Node, v: list[Any]) -> Any:
    view = b.view(node, v[0])
    axis = view.axis(node.number("axis", 1 if b.version < 13 else -1), node)
    if b.version < 13 and axis != view.rank - 1:
        raise node.refuse("it goes over several axes, as before version 13.")
    tensor, groups, place = alone(view, axis)
    if node.op == "Softmax":
        made = layers.Softmax(axis=place)(tensor)
    else:
        made = ops.log_softmax(tensor, place)
    return View(made, groups, view.axes, view.order)


@handles(*_OF_ONE)
def _of_one(b: Builder, node: Node, v: list[Any]) -> Any:
    view = b.view(node, v[0])
    return view.like(getattr(ops, _OF_ONE[node.op])(view.tensor))


@handles("Clip")
def _clip(b: Builder, node: Node, v: list[Any]) -> Any:
    view = b.view(node, v[0])
    ends = [b.constant(node, v, i, "limit") for i in (1, 2)]
    low, high = (None if e is None else float(e.reshape(())) for e in ends)
    if b.version < 11:
        low, high = node.real("min", -math.inf), node.real("max", math.inf)
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    if low == 0.0 and high == 6.0:
        return view.like(layers.Activation("relu6")(view.tensor))
    return view.like(ops.clip(view.tensor, low, high))


def pair(b: Builder, node: Node, one: Any, two: Any, op: str) -> View:
    """Return what an op gives for two operands, of which one is a tensor at least."""
    function = getattr(ops, op)
    if isinstance(one, View) and isinstance(two, View):
        tensors, groups, axes = together([one, two], node)
        _check_joined(tensors)
        return View(function(*tensors), groups, axes, one.order)
    if isinstance(one, View):
        constant, view = b.fitted(node, two, one)
        _check_joined([view.tensor, constant])
        return view.like(function(view.tensor, _short(constant, view.tensor)))
    constant, view = b.fitted(node, one, b.view(node, two))
    _check_joined([view.tensor, constant])
    return view.like(function(_short(constant, view.tensor), view.tensor))


def _check_joined(tensors: list[Any]) -> None:
    """Refuse what tensors give under broadcasting if it would take too much memory."""
    columns = zip(*(t.shape for t in tensors), strict=True)
    check_size([max(UNKNOWN if n is None else n for n in sizes) for sizes in columns])


def _short(constant: np.ndarray, tensor: Any) -> Any:
    """Return a constant without the axes in front that broadcasting adds, one as a number."""
    if constant.size == 1:
        return constant.reshape(()).item()
    while constant.ndim > 1 and constant.shape[0] == 1:
        constant = constant[0]
    return constant


@handles(*_OF_TWO)
def _of_two(b: Builder, node: Node, v: list[Any]) -> Any:
    if len(v) != 2:
        raise node.refuse("it takes two inputs.")
    views = [part for part in v if isinstance(part, View)]
    if node.op == "Div" and views[0].dtype.kind in "iu":
        raise node.refuse("whole numbers are divided.")
    return pair(b, node, v[0], v[1], _OF_TWO[node.op])


@handles("Mod")
def _rest(b: Builder, node: Node, v: list[Any]) -> Any:
    if len(v) != 2 or node.number("fmod", 0):
        raise node.refuse("only the rest that has the sign of the divisor is read.")
    if isinstance(v[1], np.ndarray) and not np.all(v[1]):
        raise node.refuse("it divides by zero.")
    return pair(b, node, v[0], v[1], "mod")


@handles(*_OF_MANY)
def _of_many(b: Builder, node: Node, v: list[Any]) -> Any:
    total = v[0]
    for part in v[1:]:
        if not isinstance(total, View) and not isinstance(part, View):
            raise node.refuse("two of its operands are constants.")
        total = pair(b, node, total, part, _OF_MANY[node.op])
    if node.op == "Mean":
        return total.like(ops.divide(total.tensor, float(len(v))))
    return total


@handles("Where")
def _where(b: Builder, node: Node, v: list[Any]) -> Any:
    if not all(isinstance(part, View) for part in v):
        if not isinstance(v[0], View):
            return _where_known(b, node, v)
        return _where_constants(b, node, v)
    tensors, groups, axes = together(v, node)
    _check_joined(tensors)
    return View(ops.where(*tensors), groups, axes, v[0].order)


def _where_known(b: Builder, node: Node, v: list[Any]) -> View:
    """Choose by a constant between tensors, or a tensor and one number."""
    views = [p for p in v[1:] if isinstance(p, View)]
    numbers = [getattr(p, "array", p) for p in v[1:] if not isinstance(p, View)]
    if getattr(v[0], "dtype", None) != np.bool_ or any(n.size != 1 for n in numbers):
        raise node.refuse("its condition is no truths, or it chooses a constant of many numbers.")
    tensors, groups, axes = together(views, node)
    held = View(tensors[0], groups, axes, views[0].order)
    chosen, view = b.fitted(node, v[0], held)
    if view.tensor is not held.tensor and len(views) > 1:
        raise node.refuse("its condition has axes that its tensors have not.")
    _check_joined([view.tensor, chosen])
    tensors[0] = view.tensor
    left, number = iter(tensors), [float(n.reshape(())) for n in numbers]
    parts = [next(left) if isinstance(p, View) else number[0] for p in v[1:]]
    return view.like(ops.where(chosen, *parts))


def _where_constants(b: Builder, node: Node, v: list[Any]) -> View:
    """Choose between tensors and constants of one number."""
    numbers = [p for p in v[1:] if not isinstance(p, View)]
    if any(getattr(p, "array", p).size != 1 for p in numbers):
        raise node.refuse("it chooses from a constant that is no single number.")
    parts: list[Any] = [
        p if isinstance(p, View) else float(getattr(p, "array", p).reshape(())) for p in v
    ]
    views = [p for p in parts if isinstance(p, View)]
    tensors, groups, axes = together(views, node)
    left = iter(tensors)
    return View(
        ops.where(*(next(left) if isinstance(p, View) else p for p in parts)),
        groups, axes, views[0].order,
    )  # fmt: skip


@handles(*_REDUCE, "ReduceL2", "ReduceSumSquare")
def _reduce(b: Builder, node: Node, v: list[Any]) -> Any:
    view = b.view(node, v[0])
    axes = axes_of(node, v, 1)
    if not axes and node.number("noop_with_empty_axes", 0):
        return view
    chosen = [view.axis(a, node) for a in axes] if axes else list(range(view.rank))
    if any(f.batch for a in chosen for f in view.axes[a]):
        raise BoundBatchError(f"{node}: it reduces the batch.")
    function = getattr(ops, _REDUCE.get(node.op, "sum"))
    held = view
    for axis in chosen:
        tensor, groups, place = alone(held, axis)
        if node.op in ("ReduceL2", "ReduceSumSquare") and axis == chosen[0]:
            tensor = ops.square(tensor)
        made = function(tensor, axis=place)
        groups = groups[:place] + groups[place + 1 :]
        held = View(made, groups, replaced(held.axes, axis, ()), view.order)
    if node.op == "ReduceL2":
        held = held.like(ops.sqrt(held.tensor))
    if node.number("keepdims", 1):
        return held
    return held.seen([a for i, a in enumerate(held.axes) if i not in chosen])


@handles("CumSum")
def _cumulated(b: Builder, node: Node, v: list[Any]) -> Any:
    view, place = b.view(node, v[0]), b.constant(node, v, 1, "axis")
    if place is None or place.size != 1 or place.dtype.kind not in "iu":
        raise node.refuse("its axis is no whole number.")
    if node.number("reverse", 0):
        raise node.refuse("it adds up from the end.")
    axis = view.axis(int(place.reshape(())), node)
    if any(f.batch for f in view.axes[axis]):
        raise BoundBatchError(f"{node}: it adds up over the batch.")
    tensor, groups, where = alone(view, axis)
    total = ops.cumsum(tensor, axis=where)
    if node.number("exclusive", 0):
        total = ops.subtract(total, tensor)
    return View(total, groups, view.axes, view.order)


@handles("ArgMax", "ArgMin")
def _place(b: Builder, node: Node, v: list[Any]) -> Any:
    view = b.view(node, v[0])
    axis = view.axis(node.number("axis", 0), node)
    if any(f.batch for f in view.axes[axis]) or node.number("select_last_index", 0):
        raise node.refuse("it looks through the batch, or for the last one.")
    tensor, front = last(view, axis)
    made = getattr(ops, node.op.lower())(tensor, axis=-1)
    axes = replaced(view.axes, axis, ())
    if not node.number("keepdims", 1):
        del axes[axis]
    return View(made, front, axes, view.order)
