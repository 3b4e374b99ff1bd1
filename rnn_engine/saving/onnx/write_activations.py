"""Activations as nodes, and as what ONNX's recurrent operators call them."""

import math
from typing import Any

from rnn_engine import activations
from rnn_engine.saving.onnx.writer import NotInONNXError, Value, Writer

_NODES = {
    "relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "softplus": "Softplus",
    "softsign": "Softsign", "exponential": "Exp", "mish": "Mish", "hard_silu": "HardSwish",
}  # fmt: skip
_RECURRENT = {
    "relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "softplus": "Softplus",
    "softsign": "Softsign",
}  # fmt: skip
_OF_ONNX = {
    "onnx_hard_sigmoid": "HardSigmoid", "onnx_scaled_tanh": "ScaledTanh", "onnx_affine": "Affine",
}  # fmt: skip
_SELU = (1.6732631921768188, 1.0507010221481323)


def told(activation: Any) -> tuple[str, dict[str, Any]]:
    """Return the name of an activation and its arguments."""
    found = activations.get(activation)
    return str(found.name), dict(getattr(found, "arguments", {}))


def in_recurrence(activation: Any) -> tuple[str, list[float], list[float]]:
    """Return ONNX's name of an activation in a recurrent operator, its alpha and its beta.

    Raises
    ------
    ValueError
        If there is none.
    """
    name, arguments = told(activation)
    if name in _RECURRENT and not arguments:
        return _RECURRENT[name], [], []
    if name == "linear":
        return "Affine", [1.0], [0.0]
    if name == "leaky_relu":
        return "LeakyRelu", [float(arguments.get("negative_slope", 0.2))], []
    if name == "elu":
        return "Elu", [float(arguments.get("alpha", 1.0))], []
    if name in ("hard_sigmoid", "hard_sigmoid_keras2"):
        return "HardSigmoid", [1 / 6 if name == "hard_sigmoid" else 0.2], [0.5]
    if name in _OF_ONNX:
        return _OF_ONNX[name], [float(arguments["alpha"])], [float(arguments["beta"])]
    raise NotInONNXError(f"ONNX's recurrent operators have no activation {name!r}.")


def activated(w: Writer, value: Value, activation: Any) -> Value:
    """Return an activation of a tensor.

    Raises
    ------
    ValueError
        If it is not written.
    """
    name, arguments = told(activation)
    made = _node(w, value, name, arguments)
    return Value(made, value.shape, value.dtype, value.mask)


def _node(w: Writer, value: Value, name: str, arguments: dict[str, Any]) -> str:
    x = value.name

    def number(n: float) -> str:
        return w.number(n, value.dtype)

    if name == "relu" and arguments:
        return relu(w, value, **arguments)
    if name in _NODES and not arguments:
        return str(w.op(_NODES[name], x))
    match name:
        case "linear":
            return x
        case "relu6":
            return str(w.op("Clip", x, number(0.0), number(6.0)))
        case "elu" | "celu":
            return str(w.op(name.capitalize(), x, alpha=float(arguments.get("alpha", 1.0))))
        case "selu":
            return str(w.op("Selu", x, alpha=_SELU[0], gamma=_SELU[1]))
        case "leaky_relu":
            slope = float(arguments.get("negative_slope", 0.2))
            return str(w.op("LeakyRelu", x, alpha=slope))
        case "hard_sigmoid" | "hard_sigmoid_keras2":
            alpha = 1 / 6 if name == "hard_sigmoid" else 0.2
            return str(w.op("HardSigmoid", x, alpha=alpha, beta=0.5))
        case "silu":
            return str(w.op("Mul", x, w.op("Sigmoid", x)))
        case "gelu" | "gelu_approximate":
            approximate = name != "gelu" or arguments.get("approximate", False)
            return _gelu(w, value, bool(approximate))
        case "softmax" | "log_softmax":
            kind = "Softmax" if name == "softmax" else "LogSoftmax"
            return str(w.op(kind, x, axis=int(arguments.get("axis", -1))))
        case "log_sigmoid":
            return str(w.op("Neg", w.op("Softplus", w.op("Neg", x))))
        case "tanh_shrink":
            return str(w.op("Sub", x, w.op("Tanh", x)))
        case "hard_tanh":
            return str(w.op("Clip", x, number(-1.0), number(1.0)))
        case "onnx_hard_sigmoid":
            return str(w.op("HardSigmoid", x, **arguments))
        case "squareplus":
            b = float(arguments.get("b", 4))
            root = w.op("Sqrt", w.op("Add", w.op("Mul", x, x), number(b)))
            return str(w.op("Mul", w.op("Add", x, root), number(0.5)))
    raise NotInONNXError(f"the activation {name!r} {arguments or ''} is not written.")


def relu(
    w: Writer, value: Value, negative_slope: Any = 0.0, max_value: Any = None, threshold: Any = 0.0
) -> str:
    """Return Keras's relu with all its arguments: x above a threshold, a slope below."""
    x = value.name
    level = w.number(threshold, value.dtype)
    above = w.op("GreaterOrEqual", x, level)
    below = w.op("Mul", w.op("Sub", x, level), w.number(negative_slope, value.dtype))
    top = x if max_value is None else w.op("Min", x, w.number(max_value, value.dtype))
    return str(w.op("Where", above, top, below))


def _gelu(w: Writer, value: Value, approximate: bool) -> str:
    x = value.name

    def number(n: float) -> str:
        return w.number(n, value.dtype)

    if approximate:
        cube = w.op("Mul", w.op("Mul", x, x), x)
        inner = w.op("Add", x, w.op("Mul", cube, number(0.044715)))
        wave = w.op("Tanh", w.op("Mul", inner, number(math.sqrt(2 / math.pi))))
    else:
        wave = w.op("Erf", w.op("Mul", x, number(math.sqrt(0.5))))
    return str(w.op("Mul", w.op("Mul", x, number(0.5)), w.op("Add", wave, number(1.0))))
