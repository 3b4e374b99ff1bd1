"""The config of a graph as Keras writes it, and back: layers, and the calls that join them."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from rnn_engine.graph import KerasTensor, Node, flatten, map_structure
from rnn_engine.layers.base import registry
from rnn_engine.registry import custom_objects
from rnn_engine.utils.naming import to_snake_case

_TENSOR = "__keras_tensor__"
_ARRAY = "__numpy__"
_ARRAYS = (_ARRAY, "__tensor__")
_ELLIPSIS = "__ellipsis__"


def graph_to_config(model: Any) -> dict[str, Any]:
    """Return layers with the calls on each, and where inputs and outputs come from."""
    own = {id(node) for node in model.layout.nodes}
    own.update(id(tensor.node) for tensor in model.inputs)
    numbers: dict[int, int] = {}  # which call of its operation within this model a node is
    layers = []
    for operation in model.operations:
        nodes = [node for node in operation._inbound_nodes if id(node) in own]
        numbers.update((id(node), number) for number, node in enumerate(nodes))
    for operation in model.operations:
        entry = registry.serialize(operation)
        entry["name"] = operation.name
        entry["inbound_nodes"] = [
            _call_to_config(node, numbers)
            for node in operation._inbound_nodes
            if id(node) in own and not node.is_input
        ]
        layers.append(entry)

    def place(tensor: KerasTensor) -> list[Any]:
        # Keras counts the making of a model inside this one as its first call.
        first = int(hasattr(tensor.node.operation, "layout"))
        return [tensor.node.operation.name, numbers[id(tensor.node)] + first, tensor.index]

    return {
        "layers": layers,
        "input_layers": map_structure(place, model.input),
        "output_layers": map_structure(place, model.output),
    }


def _call_to_config(node: Node, numbers: dict[int, int]) -> dict[str, Any]:
    def written(leaf: Any) -> Any:
        if isinstance(leaf, KerasTensor):
            history = [leaf.node.operation.name, numbers[id(leaf.node)], leaf.index]
            config = {"shape": list(leaf.shape), "dtype": leaf.dtype, "keras_history": history}
            return {"class_name": _TENSOR, "config": config}
        if isinstance(leaf, np.ndarray):
            config = {"value": leaf.tolist(), "dtype": leaf.dtype.name}
            return {"class_name": _ARRAY, "config": config}
        if isinstance(leaf, slice):
            ends = {"start": leaf.start, "stop": leaf.stop, "step": leaf.step}
            return {"class_name": "__slice__", "config": ends}
        if leaf is Ellipsis:
            return {"class_name": _ELLIPSIS, "config": {}}
        return leaf.item() if isinstance(leaf, np.generic) else leaf

    kwargs = {name: map_structure(written, value) for name, value in node.kwargs.items()}
    return {"args": list(map_structure(written, node.args)), "kwargs": kwargs}


def config_to_graph(config: dict[str, Any]) -> tuple[Any, Any]:
    """Return the symbolic inputs and outputs of a new graph of new layers.

    Raises
    ------
    ValueError
        If calls are missing, or depend on one another in a circle.
    """
    made: dict[str, Any] = {}
    calls: dict[str, list[Node]] = {}
    waiting: dict[str, list[Any]] = {}
    settings: dict[str, dict[str, Any]] = {}
    for entry in config["layers"]:
        operation = _operation(entry)
        name = entry.get("name", operation.name)
        made[name] = operation
        if not hasattr(
            operation, "forward_with_mask"
        ):  # Keras has settings where ours are arguments
            settings[name] = {k: v for k, v in entry["config"].items() if k not in ("name", "op")}
        begins = [node for node in operation._inbound_nodes if node.is_input]
        calls[name] = begins[:1]
        waiting[name] = list(entry.get("inbound_nodes") or ())

    def tensor_at(history: Any, first: int = 0) -> KerasTensor:
        name, number, index = history[:3]
        nodes = calls[name]
        if not 0 <= number - first < len(nodes):
            raise IndexError(f"call {number} of {name!r} is not made yet")
        found: KerasTensor = nodes[number - first].outputs[index]
        return found

    while any(waiting.values()):
        before = sum(map(len, waiting.values()))
        for name, data in waiting.items():
            while data:
                try:
                    args, kwargs = _read_call(data[0], tensor_at)
                except IndexError:  # of what it takes, something is not made yet
                    break
                if name in settings:
                    args, kwargs = _of_op(made[name], args, kwargs, settings[name])
                made[name](*args, **kwargs)
                calls[name].append(made[name]._inbound_nodes[-1])
                del data[0]
        if sum(map(len, waiting.values())) == before:
            raise ValueError(
                "Invalid Functional model configuration. The graph of the Functional model either "
                "has loops or disconnected nodes. The following nodes failed to be resolved: "
                f"{[name for name, data in waiting.items() if data]}"
            )

    def ends(places: Any) -> Any:
        if isinstance(places, list | tuple) and len(places) == 3 and isinstance(places[0], str):
            return tensor_at(places, int(hasattr(made[places[0]], "layout")))
        if isinstance(places, dict):
            return {key: ends(part) for key, part in places.items()}
        if not isinstance(places, list | tuple):
            raise ValueError(f"Invalid Functional model configuration. No place: {places!r}")
        return type(places)(ends(part) for part in places)

    try:
        return ends(config["input_layers"]), ends(config["output_layers"])
    except (IndexError, KeyError) as error:
        raise ValueError(f"Invalid Functional model configuration. Missing node: {error}") from None


def _of_op(operation: Any, args: Any, kwargs: Any, settings: Any) -> Any:
    """Return the arguments of a call of an op, of which its class has some in Keras.

    Raises
    ------
    ValueError
        If what it gives would be too large.
    """
    if not hasattr(operation, "op"):
        return args, {**kwargs, **settings}
    from rnn_engine.ops.sizes import check_size  # few files hold any

    args, kwargs = _with_settings(operation, args, kwargs, settings)
    check_size(operation.op, operation.function, args, kwargs)
    return args, kwargs


def _with_settings(operation: Any, args: Any, kwargs: Any, settings: Any) -> Any:
    if not settings:
        return args, kwargs
    from rnn_engine.ops.keras_classes import OPS as KERAS_OPS

    parameters = inspect.signature(operation.function).parameters
    known = {*settings, *KERAS_OPS.get(operation.op, ("", ()))[1]}
    free = [name for name in parameters if name not in known]
    if any(p.kind is p.VAR_POSITIONAL for p in parameters.values()):  # the settings come first
        return [*settings.values(), *args], kwargs
    if len(args) > len(free):
        raise TypeError(f"{operation.op} takes {len(free)} arguments, got {len(args)}.")
    if list(parameters)[: len(args)] == free[: len(args)]:
        return args, {**kwargs, **settings}
    return (), {**dict(zip(free, args, strict=False)), **kwargs, **settings}


def is_operation(class_name: str) -> bool:
    """Whether a class of Keras's, or ours, is one of `rnn_engine.ops`, such as ``NotEqual``."""
    from rnn_engine.ops.dispatch import OPS  # few files hold any

    return class_name == "OpCall" or to_snake_case(class_name) in OPS


def _operation(entry: dict[str, Any]) -> Any:
    name = entry["class_name"]
    if name in registry.entries or name in custom_objects() or not is_operation(name):
        return registry.deserialize(entry)
    from rnn_engine.ops.symbolic import OpCall

    config = entry["config"]
    op = config["op"] if name == "OpCall" else to_snake_case(name)
    if not is_operation(op):
        raise ValueError(f"{op!r} is no function of rnn_engine.ops.")
    return OpCall(op, config.get("name"))


def _read_call(data: Any, tensor_at: Callable[[Any], KerasTensor]) -> Any:
    """Return the arguments of a call: tensors, and plain data beside them."""
    if isinstance(data, list):  # as Keras wrote it before version 3
        tensors = [tensor_at(history) for history in data]
        kwargs = data[-1][3] if len(data[-1]) > 3 else {}
        return [tensors[0] if len(tensors) == 1 else tensors], dict(kwargs)

    def read(value: Any) -> Any:
        if isinstance(value, list | tuple):
            parts = [read(part) for part in value]
            # JSON has no tuples, which indices with slices are.
            index = any(isinstance(part, slice) or part is Ellipsis for part in parts)
            return tuple(parts) if index else parts
        if not isinstance(value, dict):
            return value
        kind, config = value.get("class_name"), value.get("config") or {}
        if kind == _TENSOR:
            return tensor_at(config["keras_history"])
        if kind in _ARRAYS:
            array = np.asarray(config["value"], np.dtype(config["dtype"]))
            if array.dtype.kind not in "biuf":
                raise ValueError(f"A call takes an array of dtype {array.dtype}.")
            return array
        if kind in ("slice", "__slice__"):
            return slice(config["start"], config["stop"], config["step"])
        if kind == _ELLIPSIS:
            return Ellipsis
        if kind == "__tuple__":
            return tuple(read(part) for part in (config or value).get("items", ()))
        if isinstance(kind, str):
            raise ValueError(f"A call of a layer takes a {kind}, which is no data.")
        return {key: read(part) for key, part in value.items()}

    kwargs = {name: read(part) for name, part in data.get("kwargs", {}).items()}
    return read(data["args"]), {k: v for k, v in kwargs.items() if v is not None}


def same_calls(model: Any, copy: Callable[[Any], Any], inputs: Any = None) -> tuple[Any, Any]:
    """Return inputs and outputs of a graph that calls copies as the model's calls its layers.

    Parameters
    ----------
    copy : callable
        From an operation of the model to the one that takes its place.
    inputs : nest of KerasTensor, optional
        To begin with; copies of the model's inputs if None.
    """
    given = flatten(inputs) if inputs is not None else []
    replaced: dict[int, KerasTensor] = {}
    for number, tensor in enumerate(model.inputs):
        new = given[number] if given else copy(tensor.node.operation).output
        replaced[id(tensor)] = new
    for node in model.layout.nodes:
        args, kwargs = node.filled([replaced[id(tensor)] for tensor in node.inputs])
        outputs = copy(node.operation)(*args, **kwargs)
        replaced.update(zip(map(id, node.outputs), flatten(outputs), strict=True))

    def swap(tensor: Any) -> Any:
        return replaced[id(tensor)]

    return map_structure(swap, model.input), map_structure(swap, model.output)
