"""Ops of a graph as nodes: arithmetic, indices, axes."""

import inspect
from typing import Any

import numpy as np

from rnn_engine import layers
from rnn_engine.saving.onnx.write_activations import activated
from rnn_engine.saving.onnx.writer import NotInONNXError, Value, Writer

_OF_TWO = {
    "add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div", "true_divide": "Div",
    "power": "Pow", "less": "Less", "less_equal": "LessOrEqual", "greater": "Greater",
    "greater_equal": "GreaterOrEqual", "equal": "Equal", "logical_and": "And",
    "logical_or": "Or", "logical_xor": "Xor", "maximum": "Max", "minimum": "Min",
    "matmul": "MatMul",
}  # fmt: skip
_COMPARING = {"less", "less_equal", "greater", "greater_equal", "equal"}
_OF_ONE = {
    "negative": "Neg", "absolute": "Abs", "abs": "Abs", "round": "Round", "sqrt": "Sqrt",
    "log": "Log", "exp": "Exp", "erf": "Erf", "floor": "Floor", "ceil": "Ceil", "sign": "Sign",
    "logical_not": "Not", "reciprocal": "Reciprocal", "copy": "Identity",
    "stop_gradient": "Identity", "sin": "Sin", "cos": "Cos", "tan": "Tan", "sinh": "Sinh",
    "cosh": "Cosh", "arcsin": "Asin", "arccos": "Acos", "arctan": "Atan", "arcsinh": "Asinh",
    "arccosh": "Acosh", "arctanh": "Atanh",
}  # fmt: skip
_REDUCE = {
    "sum": "ReduceSum", "mean": "ReduceMean", "max": "ReduceMax", "min": "ReduceMin",
}  # fmt: skip
_ACTIVATIONS = {
    "relu", "tanh", "sigmoid", "softplus", "softsign", "elu", "selu", "silu", "leaky_relu",
    "hard_sigmoid", "relu6", "log_sigmoid",
}  # fmt: skip


def write_op(
    w: Writer, operation: Any, args: Any, kwargs: dict[str, Any], outputs: list[Any]
) -> list[Value]:
    """Write the nodes of a call of an op; `outputs` are its symbolic tensors.

    Raises
    ------
    ValueError
        If it is not written.
    """
    name = operation.op
    if len(outputs) != 1:
        raise NotInONNXError(f"the op {name!r} has several outputs, which is not written.")
    given = _bound(operation.function, args, kwargs)
    made = _named(w, name, given, str(outputs[0].dtype))
    return [Value(made, outputs[0].shape, outputs[0].dtype)]


def _named(w: Writer, name: str, given: dict[str, Any], dtype: str) -> str:
    """Write an op whose output has a type; ONNX's take no others than Keras turns theirs into."""
    values = list(given.values())
    if name in _OF_TWO:
        one, two = _operands(w, values[:2], _type_of_operands(name, values[:2], dtype))
        kind = _OF_TWO[name]
        return str(w.op(kind, one, two))
    x = values[0]
    if name in ("concatenate", "stack", "where"):
        return _joined(w, name, given, dtype)
    if not isinstance(x, Value):
        raise NotInONNXError(f"the op {name!r} of a constant is not written.")
    if name in _OF_ONE or name in _ACTIVATIONS or name == "square":
        x = w.cast(x, dtype)  # truth for truth, too
    if name in _OF_ONE:
        return str(w.op(_OF_ONE[name], x.name))
    if name in _ACTIVATIONS and len(values) == 1:
        return activated(w, x, name).name
    if name == "square":
        return str(w.op("Mul", x.name, x.name))
    if name == "cast":
        return w.cast(x, str(np.dtype(given["dtype"]))).name
    if name in _REDUCE:
        return _reduced(w, name, x, given)
    return _moved(w, name, x, given)


def _bound(function: Any, args: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    bound = inspect.signature(function).bind(*args, **kwargs)
    return dict(bound.arguments)


def _type_of_operands(name: str, values: list[Any], dtype: str) -> str:
    """Return the type in which an op computes: that of its output, but for those that compare."""
    if dtype != "bool":
        return dtype
    if name.startswith("logical"):
        return "bool"
    if name not in _COMPARING:
        raise NotInONNXError(f"{name} of truths is not written.")
    dtypes = {v.dtype for v in values if isinstance(v, Value)}
    if len(dtypes) > 1:
        raise NotInONNXError(f"the op {name!r} compares tensors of different types.")
    compared = dtypes.pop()
    # Truths have no order in ONNX, and compare with truths alone.
    return "int32" if compared == "bool" else compared


def _operands(w: Writer, values: list[Any], dtype: str) -> list[str]:
    return [
        w.cast(v, dtype).name
        if isinstance(v, Value)
        else w.constant(np.asarray(v, dtype), "operand")
        for v in values
    ]


def _joined(w: Writer, name: str, given: dict[str, Any], dtype: str) -> str:
    if name == "where":
        condition, one, two = given["condition"], given["x1"], given["x2"]
        truth = _operands(w, [condition], "bool")
        return str(w.op("Where", *truth, *_operands(w, [one, two], dtype)))
    parts = next(iter(given.values()))
    if not all(isinstance(part, Value) for part in parts):
        raise NotInONNXError(f"{name} of tensors and constants is not written.")
    axis = int(given.get("axis", 0 if name == "stack" else -1))
    names = _operands(w, list(parts), dtype)
    if name == "stack":
        names = [w.op("Unsqueeze", one, w.ints(axis)) for one in names]
    return str(w.op("Concat", *names, axis=axis))


def _reduced(w: Writer, name: str, x: Value, given: dict[str, Any]) -> str:
    if x.dtype == "bool":
        raise NotInONNXError(f"{name} of truths is not written.")
    axis = given.get("axis")
    axes = [] if axis is None else list(axis) if isinstance(axis, list | tuple) else [axis]
    keep = int(bool(given.get("keepdims", False)))
    inputs = [x.name] if not axes else [x.name, w.ints(*axes)]
    return str(w.op(_REDUCE[name], *inputs, keepdims=keep))


def _moved(w: Writer, name: str, x: Value, given: dict[str, Any]) -> str:
    if name == "transpose":
        axes = given.get("axes") or list(range(len(x.shape)))[::-1]
        return w.transpose(x.name, [int(a) for a in axes])
    if name == "flip":
        axis = given.get("axis")
        if not isinstance(axis, int):
            raise NotInONNXError("flip of several axes is not written.")
        ends = (w.ints(-1), w.ints(-(1 << 62)), w.ints(axis), w.ints(-1))
        return str(w.op("Slice", x.name, *ends))
    if name in ("expand_dims", "squeeze"):
        axis = given.get("axis")
        axes = [axis] if isinstance(axis, int) else list(axis or ())
        kind = "Unsqueeze" if name == "expand_dims" else "Squeeze"
        return str(w.op(kind, x.name, *([w.ints(*axes)] if axes else [])))
    if name == "reshape":
        shape = given["newshape"]
        return str(w.op("Reshape", x.name, w.ints(*(int(n) for n in shape))))
    if name == "ones_like":
        return _ones(w, x, given)
    if name == "zeros_like":
        return str(w.op("Mul", x.name, w.number(0, x.dtype)))
    if name == "cumsum" and isinstance(given.get("axis"), int):
        return str(w.op("CumSum", x.name, w.constant(np.array(given["axis"], np.int64))))
    if name == "get_item":
        return _item(w, x, given["key"])
    raise NotInONNXError(f"the op {name!r} is not written.")


def _ones(w: Writer, x: Value, given: dict[str, Any]) -> str:
    dtype = str(np.dtype(given.get("dtype") or x.dtype))
    value = w.onnx.numpy_helper.from_array(np.ones(1, dtype))
    return str(w.op("ConstantOfShape", w.op("Shape", x.name), value=value))


def _item(w: Writer, x: Value, key: Any) -> str:
    """Return what an index of numbers, slices, None and an ellipsis picks."""
    keys = list(key) if isinstance(key, tuple | list) else [key]
    if any(part is Ellipsis for part in keys):  # stands for what the others leave
        dots = next(i for i, part in enumerate(keys) if part is Ellipsis)
        left = len(x.shape) - sum(part is not None for part in keys) + 1
        keys[dots : dots + 1] = [slice(None)] * left
    name, axis = x.name, 0
    for part in keys:
        if isinstance(part, int | np.integer):
            place = w.constant(np.array(int(part), np.int64))
            name = w.op("Gather", name, place, axis=axis)
            continue
        if part is None:
            name = w.op("Unsqueeze", name, w.ints(axis))
        elif isinstance(part, slice):
            if part != slice(None):
                step = 1 if part.step is None else int(part.step)
                far = 1 << 62
                start = (0 if step > 0 else -1) if part.start is None else int(part.start)
                stop = (far if step > 0 else -far) if part.stop is None else int(part.stop)
                ends = (w.ints(start), w.ints(stop), w.ints(axis), w.ints(step))
                name = w.op("Slice", name, *ends)
        else:
            raise NotInONNXError(f"the index {part!r} is not written.")
        axis += 1
    return name


def is_op(operation: Any) -> bool:
    """Whether an operation of a graph is no layer."""
    return not isinstance(operation, layers.Layer)
