"""What a class of the user's that is a `Layer` gets: the methods around its `call`."""

import functools
import inspect
from typing import Any

import numpy as np

from rnn_engine.autodiff import recording
from rnn_engine.checks import as_float_array
from rnn_engine.graph import KerasTensor
from rnn_engine.graph.nest import flatten, map_structure
from rnn_engine.layers import traced
from rnn_engine.layers.calls import alone, current, inside, signature_of
from rnn_engine.layers.guard import is_ours
from rnn_engine.tensor import as_tensor, mask_of
from rnn_engine.variable import Variable


def adopt(cls: Any) -> None:
    """Give a class of the user's what it needs where it has a `call` or `build` of its own."""
    own = vars(cls)
    if "build" in own:
        cls.build = _once(own["build"])
    if "call" not in own:
        return
    if "forward" in own:
        cls._traced = False
        return
    cls._traced = True
    cls.saves_on_demand = True
    cls.several_inputs = False
    users = _users_bases(cls)
    for name, method in _METHODS.items():
        if name == "compute_output_shape" and _tells_shapes(cls):
            continue
        if not any(name in vars(base) for base in (cls, *users)):
            setattr(cls, name, method)
    makes = not is_ours(cls.compute_mask)
    if not any("supports_masking" in vars(base) for base in (cls, *users)):
        cls.supports_masking = makes
    if "makes_masks" not in own:
        cls.makes_masks = makes


def _bases(layer: Any) -> tuple[Any, ...]:
    return type(layer).__mro__


def _users_bases(cls: Any) -> list[Any]:
    return [base for base in cls.__mro__ if base is not object and not is_ours(base)]


def _tells_shapes(cls: Any) -> bool:
    """Whether the class of the library below tells the shape of its output.

    As in Keras that holds for the user's class too, unless it says otherwise. The class below
    asks for it while it builds and runs; to run `call` for the answer would not end.
    """
    parent = next(base for base in cls.__mro__ if is_ours(base))
    return parent.compute_output_shape.__qualname__ != "Layer.compute_output_shape"


def _once(build: Any) -> Any:
    """Return a user's `build` as it is called: once, with the layer around what it builds."""

    @functools.wraps(build)
    def once(self: Any, *args: Any, **kwargs: Any) -> Any:
        from rnn_engine.layers.base import build_lock
        from rnn_engine.layers.calls import stand_below

        with build_lock:
            if self.__dict__.get("_building"):  # super().build() of another user's class
                return build(self, *args, **kwargs)
            if self.built:
                return None
            stand_below(self)
            self._building = True
            try:
                with inside(self, None):
                    build(self, *args, **kwargs)
            finally:
                self._building = False
            if self.build_shape is None and (args or kwargs):
                self.build_shape = args[0] if args else next(iter(kwargs.values()))
            self.built = True
            return None

    return once


# --- the methods of a layer with a `call` -----------------------------------------------------


def _forward(
    self: Any, x: Any, training: bool = False, mask: Any = None, keep: bool = False, **options: Any
) -> Any:
    """Return ``(y, saved)``: what `call` returns, and the record of it."""
    y, _, saved = traced.forward(self, x, training, mask, keep, **options)
    return y, saved


def _backward(self: Any, dy: Any, saved: Any, need_dx: bool = True) -> Any:
    """Go back through the record."""
    return traced.backward(self, dy, saved, need_dx)


def _forward_with_mask(
    self: Any, x: Any, training: bool = False, mask: Any = None, keep: bool = False, **options: Any
) -> Any:
    """Return ``(y, mask of y, saved)``."""
    return traced.forward(self, x, training, mask, keep, **options)


def _backward_with_penalty(self: Any, dy: Any, saved: Any, need_dx: bool = True) -> Any:
    """Go back; the penalties are in the record."""
    return traced.backward(self, dy, saved, need_dx)


def _penalties(self: Any, saved: Any) -> float:
    """Return what `add_loss` was given while a record was made."""
    return 0.0 if saved is None else traced.penalty(saved)


def _bind(self: Any, inputs: Any, *args: Any, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
    """Return the input and the other arguments by their names in `call`."""
    names = signature_of(type(self).call).names[1:]
    if len(args) > len(names):
        raise TypeError(
            f"{type(self).__name__}.call() takes {2 + len(names)} positional arguments, got "
            f"{2 + len(args)}."
        )
    return inputs, {**dict(zip(names, args, strict=False)), **kwargs}


def _convert(self: Any, inputs: Any) -> Any:
    """Return inputs as arrays, or values of a tape, floats in the layer's type."""
    return map_structure(lambda leaf: _converted(self, leaf), inputs)


def _converted(layer: Any, leaf: Any) -> Any:
    if leaf is None or isinstance(leaf, str | KerasTensor):
        return leaf
    mask = mask_of(leaf)
    if hasattr(leaf, "_node") or recording.OPEN:
        from rnn_engine.autodiff.steps import seen

        leaf = seen(leaf)
        if hasattr(leaf, "_node"):
            return leaf
    array = leaf.value if isinstance(leaf, Variable) else np.asarray(leaf)
    if array.dtype.kind == "f" and layer.autocast:
        array = as_float_array(array, layer._np_dtype, "inputs")
    if not hasattr(leaf, "dtype") and array.dtype == np.int64:
        array = array.astype(np.int32)
    tensor = as_tensor(array)
    if mask is not None:
        tensor._keras_mask = mask
    return tensor


def _shape_for(self: Any, x: Any) -> Any:
    """Return the shape, or nest of shapes, to build for."""
    return map_structure(lambda leaf: (None, *np.shape(leaf)[1:]), x)


def _build_for(self: Any, x: Any, options: dict[str, Any]) -> None:
    """Build for an input and the other arguments of a call."""
    build_with(self, _shapes(x), {n: _shapes(v) for n, v in options.items()})


def _shapes(value: Any) -> Any:
    def shape(leaf: Any) -> Any:
        found = getattr(leaf, "shape", None)
        return None if found is None else tuple(found)

    return map_structure(shape, value)


def build_with(layer: Any, shape: Any, others: dict[str, Any]) -> None:
    """Call `build` with the shape of the input, or with one for each tensor that it names."""
    wanted = list(inspect.signature(layer.build).parameters)
    if len(wanted) < 2 or not all(name.endswith("_shape") for name in wanted):
        layer.build(shape)
        return
    first = signature_of(type(layer).call).names[0]
    shapes = {f"{name}_shape": s for name, s in {first: shape, **others}.items()}
    layer.build(**{name: shapes.get(name) for name in wanted})


def _symbolic_call(
    self: Any, *args: Any, training: bool | None = None, mask: Any = None, **kwargs: Any
) -> Any:
    """Return symbolic outputs for symbolic inputs, and remember the call as a node."""
    from rnn_engine.graph import Node

    inputs, options = self.bind(*args, **kwargs)
    if not self.built:
        self.build_for(inputs, options)
        self.built = True
    outputs = self.compute_output_spec(inputs, **options)
    given = {"training": training, "mask": mask}
    kwargs.update((name, value) for name, value in given.items() if value is not None)
    Node(self, args, kwargs, flatten(outputs))
    return outputs


def _compute_output_spec(self: Any, inputs: Any, **options: Any) -> Any:
    """Return the symbolic outputs: those of `call` for arrays of zeros of these shapes."""
    from rnn_engine.ops.symbolic import spec_of

    def run(x: Any, filled: dict[str, Any]) -> Any:
        with alone(), recording.silenced(), inside(self, False), np.errstate(all="ignore"):
            y = traced.invoke(self, map_structure(as_tensor, x), False, None, filled)
        return map_structure(lambda leaf: traced.plain(self, leaf), y)

    return spec_of(run, inputs, options)


def compute_output_shape(self: Any, input_shape: Any, dtype: str | None = None) -> Any:
    """Return the shape of what `call` returns for inputs of `input_shape`."""
    several = (input_shape and isinstance(input_shape, dict)) or any(
        isinstance(part, list | tuple) for part in input_shape
    )
    entries = input_shape if several else [input_shape]
    if isinstance(input_shape, dict):
        inputs: Any = {k: KerasTensor(v, dtype or self.dtype) for k, v in input_shape.items()}
    else:
        tensors = [KerasTensor(shape, dtype or self.dtype) for shape in entries]
        inputs = tensors if several else tensors[0]
    outputs = _compute_output_spec(self, inputs)
    return map_structure(lambda tensor: tensor.shape, outputs)


def _sublayers(self: Any) -> list[Any]:
    """Return the layers among the attributes, in lists and dicts too."""
    from rnn_engine.layers.base import Layer

    return traced.held(self, Layer)


def _own_variables(self: Any) -> list[Variable]:
    """Return the weights of `add_weight`, and the variables among the attributes."""
    return traced.held_variables(self)


def _metrics(self: Any) -> list[Any]:
    """Return the metrics among the attributes."""
    from rnn_engine.metrics import Metric

    return traced.held(self, Metric)


_METHODS = {
    "forward": _forward,
    "backward": _backward,
    "forward_with_mask": _forward_with_mask,
    "backward_with_penalty": _backward_with_penalty,
    "penalties": _penalties,
    "bind": _bind,
    "convert": _convert,
    "shape_for": _shape_for,
    "build_for": _build_for,
    "symbolic_call": _symbolic_call,
    "compute_output_spec": _compute_output_spec,
    "compute_output_shape": compute_output_shape,
    "takes_integers": True,
    "passes_penalties": True,
    "sublayers": property(_sublayers),
    "own_variables": property(_own_variables),
}


# --- super().call, add_loss, losses -----------------------------------------------------------


def call_of_parent(layer: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
    """Return what the class of the library below a user's class does in a call."""
    parent: Any = next(base for base in _bases(layer) if is_ours(base) and not base._traced)
    if "forward" not in dir(parent) or parent.forward.__qualname__ == "Layer.forward":
        raise NotImplementedError(
            f"Layer {type(layer).__name__} does not have a `call()` method implemented."
        )
    return traced.call_as(layer, parent, inputs, args, kwargs)


def add_loss(layer: Any, loss: Any) -> None:
    """Add losses to those of the call around, and to what ``layer.losses`` shows."""
    context = current()
    for value in flatten(loss):
        if not (hasattr(value, "_node") or hasattr(value, "shape")):
            raise ValueError(
                "`add_loss()` can only be called from inside `build()` or `call()`, on a tensor "
                f"input. Received invalid value: {value}"
            )
        layer.__dict__.setdefault("_call_losses", []).append(value)
        if context is not None:
            context.losses.append(value)


def losses_of(layer: Any, regularized: list[Variable]) -> list[Any]:
    """Return penalties as they are recorded, and what `add_loss` was given."""
    found = [traced.regularized(v.regularizer, v) for v in regularized]
    waiting, seen = [layer], set()
    while waiting:
        one = waiting.pop(0)
        if id(one) not in seen:
            seen.add(id(one))
            found += one.__dict__.get("_call_losses", ())
            waiting += one.sublayers
    return found
