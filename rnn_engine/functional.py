"""`Functional`: a model of a graph of layers."""

import warnings
from typing import Any

import numpy as np

from rnn_engine.autodiff.recording import OPEN
from rnn_engine.checks import as_float_array
from rnn_engine.functional_config import config_to_graph, graph_to_config
from rnn_engine.graph import KerasTensor, flatten, is_nested, map_structure, pack_as
from rnn_engine.graph.layout import Layout, copies
from rnn_engine.graph.order import operations_by_depth, rebuilt_from
from rnn_engine.layers.base import BY_NAME, Layer, registry
from rnn_engine.layers.calls import call_in_context, current, is_special
from rnn_engine.layers.input_layer import Input
from rnn_engine.layers.logits import GraphLogits
from rnn_engine.layers.traced import note
from rnn_engine.model import Model, adjusted
from rnn_engine.random import Place
from rnn_engine.tensor import Tensor, as_tensor
from rnn_engine.training.form import Column, DataForm
from rnn_engine.variable import writes


@registry.register()
class Functional(Model):
    """A model of the calls between symbolic inputs and outputs; what `Model` makes of them.

    The graph is laid out once: a pass goes through its nodes in a fixed order, backward the
    other way round, and gradients meet where a tensor is used more than once. Masks go along
    with each tensor.

    Inside the library data come as one array where there is one input (or output), else as a
    flat list; callers see the form in which `inputs` and `outputs` were given.

    Parameters
    ----------
    inputs, outputs : KerasTensor, or list, tuple or dict of them
        Inputs that other layers have made are replaced by inputs of their own, so that a part
        of a model is a model.
    name : str, optional
    trainable : bool, optional

    Raises
    ------
    ValueError
        If something is no symbolic tensor, an output depends on a tensor that is no input,
        or two layers have one name.
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any) -> None:
        _check_tensors(inputs, "inputs")
        _check_tensors(outputs, "outputs")
        _warn_of_names(inputs)
        trainable = kwargs.pop("trainable", None)
        Layer.__init__(self, name=name, **kwargs)
        begins = [t.node is not None and t.node.is_input for t in flatten(inputs)]
        if not all(begins):
            inputs, outputs = rebuilt_from(inputs, outputs, _input_like)
        self._inputs_struct, self._outputs_struct = inputs, outputs
        self._place = Place()
        self.layout = Layout(flatten(inputs), flatten(outputs))
        self._operations = operations_by_depth(self.layout.inputs, self.layout.outputs)
        # In files their weights stand under this name.
        self._layers = [made for made in self._operations if isinstance(made, Layer)]
        self._takes: list[bool] | None = None
        self._passes_on = any(self.layout.passed_on)
        self.note_losses()
        # The type of the one input, where it is of floats: arrays of it need no look.
        one = len(self.layout.inputs) == 1 and self.layout.inputs[0].dtype
        self._one_float = np.dtype(one) if one in ("float32", "float64") else None
        self._halved = [bool(getattr(_giver(t), "_gives_half", False)) for t in self.layout.outputs]
        self._gives_half = any(self._halved)
        self._form: DataForm | None = None
        self.built, self.build_shape = True, self.input_shape
        if trainable is not None:
            self.trainable = trainable

    # --- the graph ------------------------------------------------------------

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic inputs, in a flat list."""
        return self.layout.inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic outputs, in a flat list."""
        return self.layout.outputs

    @property
    def input(self) -> Any:
        """The symbolic inputs in the form in which they were given."""
        return self._inputs_struct

    @property
    def output(self) -> Any:
        """The symbolic outputs in the form in which they were given."""
        return self._outputs_struct

    @property
    def operations(self) -> list[Any]:
        """The layers and operations of the graph, in Keras's order."""
        return list(self._operations)

    @property
    def sublayers(self) -> list[Layer]:
        """The layers of the graph, inputs included."""
        return self._layers

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs' layers."""
        return [tensor.node.operation.name for tensor in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """Names of the layers that make the outputs."""
        return [tensor.node.operation.name for tensor in self.outputs]

    @property
    def input_shape(self) -> Any:
        """Shape of the input; a list of shapes where there are several."""
        return _shapes(self.inputs)

    @property
    def output_shape(self) -> Any:
        """Shape of the output; a list of shapes where there are several."""
        return _shapes(self.outputs)

    def build(self, input_shape: Any = None) -> None:
        """Do nothing: the layers were built when they were called."""

    def build_from_data(self, x: Any) -> None:
        """Do nothing: see `build`."""

    @property
    def kernel_dtype(self) -> str:
        """The float type of the first input."""
        return _float_type(self.inputs[0], self.dtype)

    @property
    def output_dtype(self) -> str:
        """Type of the first output."""
        return self.outputs[0].dtype

    def compute_output_spec(self, inputs: Any, **options: Any) -> Any:
        """Return symbolic outputs for symbolic inputs of perhaps other shapes."""
        given = flatten(inputs)
        same = zip(given, self.inputs, strict=True)
        if all(x.shape == known.shape for x, known in same):
            return self._flat_outputs([KerasTensor(t.shape, t.dtype) for t in self.outputs])
        return self._flat_outputs(
            [
                KerasTensor(shape, t.dtype)
                for shape, t in zip(
                    self.layout.output_shapes([x.shape for x in given]), self.outputs, strict=True
                )
            ]
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output, a list of them where there are several."""
        shapes = [input_shape] if len(self.inputs) == 1 else list(input_shape)
        if isinstance(input_shape, dict):
            shapes = self._by_form(input_shape)
        if len(self.inputs) == 1 and input_shape and isinstance(input_shape[0], list | tuple):
            shapes = list(input_shape)
        found = self.layout.output_shapes([tuple(shape) for shape in shapes])
        return found[0] if len(found) == 1 else found

    def _flat_outputs(self, values: list[Any]) -> Any:
        return values[0] if len(values) == 1 else tuple(values)

    def nested_outputs(self, outputs: Any, options: Any = None) -> Any:
        """Return outputs in the form in which the model's outputs were given."""
        if self._outputs_struct is self.layout.outputs[0]:
            return outputs
        values = [outputs] if len(self.outputs) == 1 else outputs
        packed = pack_as(self._outputs_struct, values)
        if isinstance(packed, list | tuple) and len(packed) == 1:
            return packed[0]
        return packed

    # --- the way of the data --------------------------------------------------

    def bind(self, inputs: Any, *args: Any, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Return the inputs, one or a flat list, in the order of the model's."""
        if args or kwargs:
            raise TypeError(
                f"A model takes inputs, training and mask, got also {[*args, *kwargs.values()]}."
            )
        flat = self._by_form(inputs)
        return flat[0] if len(flat) == 1 else flat, {}

    def _by_form(self, inputs: Any) -> list[Any]:
        """Return a nest of inputs as a flat list, dicts by the names of the inputs.

        Raises
        ------
        ValueError
            If it does not fit the form of the model's inputs.
        """
        form = self._inputs_struct
        if isinstance(inputs, dict):
            named = form if isinstance(form, dict) else None
            if named is None and all(not is_nested(part) for part in _entries(form)):
                named = {tensor.name: tensor for tensor in self.inputs}
                layers = dict(zip(self.input_names, self.inputs, strict=True))
                named = named if set(named) <= set(inputs) else layers
            if named is not None and set(named) <= set(inputs):
                places = {id(t): i for i, t in enumerate(self.inputs)}
                flat: list[Any] = [None] * len(places)
                for name, part in named.items():
                    leaves = zip(flatten(part), flatten(inputs[name]), strict=True)
                    for tensor, value in leaves:
                        flat[places[id(tensor)]] = value
                return flat
        elif len(self.inputs) == 1:
            return [_only(inputs)]
        elif isinstance(inputs, list | tuple):
            in_order = not isinstance(form, dict) or list(form) == sorted(form)
            flat = flatten(inputs)
            if in_order and len(flat) == len(self.inputs):
                return flat
        if not isinstance(inputs, dict):
            count = len(flatten(inputs))
            if count != len(self.inputs):
                raise ValueError(
                    f'Layer "{self.name}" expects {len(self.inputs)} named input(s) with keys '
                    f"{self.input_names}, but it received {count} input tensors. Pass inputs as a "
                    f"dict, or as a list in this order. Inputs received: arrays of the shapes "
                    f"{', '.join(str(np.shape(x)) for x in flatten(inputs))}"
                )
        expected = map_structure(lambda tensor: tensor.name, form)
        received = map_structure(lambda x: f"Tensor(shape={np.shape(x)})", inputs)
        raise ValueError(
            f"The structure of `inputs` doesn't match the expected structure.\n"
            f"Expected: {expected}\nReceived: inputs={received}"
        )

    def convert(self, inputs: Any) -> Any:
        """Return the inputs as arrays of the types that they have in the graph."""
        if type(inputs) is np.ndarray and inputs.dtype is self._one_float:
            return inputs
        flat = [inputs] if len(self.inputs) == 1 else inputs
        arrays = [
            _converted(x, tensor, integer)
            for x, tensor, integer in zip(flat, self.inputs, self._integers(), strict=True)
        ]
        return arrays[0] if len(arrays) == 1 else arrays

    def _adjusted(self, arrays: list[Any]) -> list[Any]:
        """Return the inputs with the axes of their tensors.

        Raises
        ------
        ValueError
            If there are other axes, or other sizes than those that are known.
        """
        arrays = [adjusted(x, tensor.shape) for x, tensor in zip(arrays, self.inputs, strict=True)]
        for place, (x, tensor) in enumerate(zip(arrays, self.inputs, strict=True)):
            wanted = tensor.shape
            fits = x.ndim == len(wanted) and all(
                size is None or size == found
                for size, found in zip(wanted[1:], x.shape[1:], strict=True)
            )
            if not fits:
                name = self.input_names[place]
                raise ValueError(
                    f"Input {place} with name '{name}' of layer '{self.name}' is incompatible "
                    f"with the layer: expected shape={wanted}, found shape={x.shape}"
                )
        return arrays

    def _integers(self) -> list[bool]:
        """Return for each input whether integers stay integers: where only indices are wanted."""
        if self._takes is None:
            self._takes = []
            for place in self.layout.input_places:
                users = [step for step in self.layout.steps if place in step.sources]
                indices = [getattr(step.operation, "takes_integers", False) for step in users]
                self._takes.append(bool(indices) and all(indices))
        return self._takes

    @property
    def takes_strings(self) -> bool:
        """Whether the one input is of strings."""
        return len(self.inputs) == 1 and self.inputs[0].dtype == "string"

    @property
    def takes_integers(self) -> bool:  # type: ignore[override]  # the first layers decide
        """Whether integer inputs stay integers."""
        return all(self._integers())

    def __call__(
        self,
        inputs: Any = BY_NAME,
        *args: Any,
        training: bool | None = None,
        mask: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Apply the model to arrays, or to symbolic tensors, of which it then is a layer.

        With ``training=None`` each layer follows the `training` that it was called with when
        the graph was made.
        """
        if inputs is BY_NAME:
            inputs = self.input_by_name(kwargs)
        plain = type(inputs) is np.ndarray and len(self.layout.inputs) == 1
        if not plain or args or kwargs or OPEN or current() is not None:
            if any(isinstance(leaf, KerasTensor) for leaf in flatten(inputs)):
                return self.symbolic_call(inputs, *args, training=training, mask=mask, **kwargs)
            if OPEN or is_special(inputs, args, kwargs):
                return call_in_context(self, inputs, args, training, mask, kwargs)
            inputs = self.bind(inputs, *args, **kwargs)[0]
        x, before = self.convert(inputs), writes.count
        y, saved = self.forward(x, training, mask)
        if (writes.count != before or before & 1) and not training and self._repeats:
            with writes.lock:  # weights were written meanwhile: see `Layer.__call__`
                y, saved = self.forward(x, training, mask)
        if self.notes_losses:
            self.clear_losses()
            note(self, self.penalties(saved))
        y = self.halved(y) if self._gives_half else y
        y = y.view(Tensor) if type(y) is np.ndarray else map_structure(as_tensor, y)
        return self.nested_outputs(y)

    def halved(self, y: Any) -> Any:
        """Return outputs, those of layers with a half type in it."""
        if len(self._halved) == 1:
            return super().halved(y)
        pairs = zip(y, self._halved, strict=True)
        return tuple(super(Functional, self).halved(part) if half else part for part, half in pairs)

    def forward_with_mask(
        self,
        x: Any,
        training: bool | None = False,
        mask: Any = None,
        keep: bool = False,
        **options: Any,
    ) -> Any:
        """Return ``(y, mask of y, saved)``; `keep` if backward will follow out of training."""
        if len(self.layout.inputs) == 1:
            shape = self.build_shape
            fits = shape is not None and x.shape[1:] == shape[1:]  # nothing to look at further
            x, mask = [x] if fits else self._adjusted([x]), [mask]
        else:
            mask = [None] * len(x) if mask is None else flatten(mask)
            x = self._adjusted(x)
        ys, masks, saved = self.layout.forward(x, mask, training, keep)
        if len(ys) == 1:
            return ys[0], masks[0], saved
        return tuple(ys), masks, saved

    def forward(self, x: Any, training: bool | None = False, mask: Any = None) -> Any:
        """Return ``(y, saved)``; the caller's own, even where layers only pass x on."""
        y, _, saved = self.forward_with_mask(x, training, mask)
        if self._passes_on:
            several = len(self.outputs) > 1
            ys = copies(list(y) if several else [y], flatten(x), self.layout.passed_on)
            y = tuple(ys) if several else ys[0]
        return y, saved

    def forward_by_layers(self, x: Any, training: bool | None, mask: Any) -> Any:
        """Return the outputs by a call of each layer, for tapes that record them one by one."""
        values = dict(zip(map(id, self.layout.inputs), flatten(x), strict=True))
        for place, part in enumerate(flatten(mask) if mask is not None else ()):
            if part is not None:
                values[id(self.layout.inputs[place])]._keras_mask = part
        for node in self.layout.nodes:
            args, kwargs = node.filled([values[id(tensor)] for tensor in node.inputs])
            if isinstance(node.operation, Layer):
                if training is not None:
                    kwargs["training"] = training
                found = node.operation(*args, **kwargs)
            else:
                found = node.operation.function(*args, **kwargs)
            values.update(zip(map(id, node.outputs), flatten(found), strict=True))
        outputs = [values[id(tensor)] for tensor in self.layout.outputs]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def backward(self, dy: Any, saved: Any, need_dx: bool = False, from_logits: Any = ()) -> Any:
        """Go back through the graph, adding the gradients of the weights.

        Parameters
        ----------
        dy : array, or tuple of them
            One an output; None for one that nothing depends on.
        need_dx : bool
            Whether to return the gradients by the inputs: one, or a list.
        from_logits : iterable of pairs, optional
            Ways to logits, and gradients by those.
        """
        dys = [dy] if len(self.outputs) == 1 else list(dy or [None] * len(self.outputs))
        dxs = self.layout.backward(dys, saved, need_dx, from_logits)
        return dxs[0] if len(dxs) == 1 else dxs

    def logits_path(self, training: bool) -> Any:
        """Return the way to the logits of the output, None if it has none."""
        return GraphLogits.find(self, 0, training) if len(self.outputs) == 1 else None

    def logits_paths(self, training: bool) -> list[Any]:
        """Return the way to the logits of each output."""
        return [GraphLogits.find(self, i, training) for i in range(len(self.outputs))]

    def weights_behind(self, numbers: list[int]) -> set[int]:
        """Return the `id` of the weights that the outputs of these numbers depend on."""
        layers = self.layout.behind(numbers)
        return {id(v) for layer in layers for v in getattr(layer, "weights", ())}

    def data_form(self) -> DataForm:
        """Return how the data of the inputs and outputs look."""
        if self._form is None:
            several = len(self.inputs) > 1
            columns = [
                Column(
                    f"x[{tensor.name!r}]" if several else "x",
                    _column_type(tensor, self.dtype),
                    integers or "int" in tensor.dtype,
                )
                for tensor, integers in zip(self.inputs, self._integers(), strict=True)
            ]
            names: list[str | None] = [None]
            if len(self.outputs) > 1:
                names = output_names(self._outputs_struct, self.output_names)
            self._form = DataForm(
                tuple(columns),
                np.dtype(_float_type(self.outputs[0], self.dtype)),
                tuple(names),
                {name: i for i, name in enumerate(self.output_names)},
                isinstance(self._outputs_struct, dict),
                self._by_form,
            )
        return self._form

    def returns_input(self, training: bool) -> bool:
        """Whether every step does, and adds no gradient on the way."""
        return False

    def penalties(self, saved: Any) -> float:
        """Return the penalties on activities in what `forward_with_mask` saved."""
        return self.layout.penalties(saved)

    def check_input(self, x: Any) -> None:
        """Raise as `forward` would where the shape of `x` does not fit; values do not count."""
        self.checked_output_shape(x)

    def checked_output_shape(self, x: Any) -> Any:
        """Check the shapes of the inputs of every layer; return the output's, None if unknown."""
        xs = [x] if len(self.inputs) == 1 else x
        xs = self._adjusted(xs)
        shapes = self.layout.checked_shapes(xs)
        return shapes[0] if len(shapes) == 1 else shapes

    # --- saving ---------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return name, layers and the calls that join them, ready for JSON."""
        return {"name": self.name, "trainable": self.trainable, **graph_to_config(self)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Build a model from what `get_config` returned; its weights are new."""
        inputs, outputs = config_to_graph(config)
        model = cls(inputs, outputs, name=config.get("name"))
        model._trainable = config.get("trainable") is not False
        return model

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        # See `Layout.__getstate__`. The form holds on to this model.
        return {"layout": state.pop("layout"), **state, "_form": None}


def _giver(tensor: KerasTensor) -> Any:
    return None if tensor.node is None else tensor.node.operation


def _check_tensors(value: Any, argument: str) -> None:
    found = flatten(value)
    for x in found:
        if not isinstance(x, KerasTensor):
            raise ValueError(
                f"All `{argument}` values must be KerasTensors. Received: {argument}={value} "
                f"including invalid value {x} of type {type(x)}"
            )
    if not found:
        raise ValueError(f"`{argument}` argument cannot be empty. Received: {argument}={value}")


def _warn_of_names(inputs: Any) -> None:
    if isinstance(inputs, dict):
        for key, tensor in inputs.items():
            if isinstance(tensor, KerasTensor) and key != tensor.name:
                warnings.warn(
                    f"When providing `inputs` as a dict, all keys in the dict must match the names "
                    f"of the corresponding tensors. Received key '{key}' mapping to value {tensor} "
                    f"which has name '{tensor.name}'. Change the tensor name to '{key}' (via "
                    f"`Input(..., name='{key}')`)",
                    stacklevel=4,
                )


def _input_like(tensor: KerasTensor) -> Any:
    return Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=f"{tensor.name}CLONE")


def _shapes(tensors: list[KerasTensor]) -> Any:
    shapes = [tensor.shape for tensor in tensors]
    return shapes[0] if len(shapes) == 1 else shapes


def _entries(form: Any) -> list[Any]:
    return list(form) if isinstance(form, list | tuple) else [form]


def output_names(form: Any, of_layers: list[str]) -> list[str | None]:
    """Return what losses and metrics call several outputs by, as Keras does.

    Outputs in a dict by their keys, in nests by their paths, in a list by their layers.
    """
    if not isinstance(form, dict) and not any(map(is_nested, form)):
        return list(of_layers)
    names: list[str | None] = []

    def walk(part: Any, path: tuple[Any, ...]) -> None:
        if isinstance(part, dict):
            for key in sorted(part):
                walk(part[key], (*path, key))
        elif isinstance(part, list | tuple):
            for number, entry in enumerate(part):
                walk(entry, (*path, number))
        else:
            last = of_layers[len(names)] if isinstance(path[-1], int) else path[-1]
            names.append("/".join(str(name) for name in (*path[:-1], last)))

    walk(form, ())
    return names


def _only(inputs: Any) -> Any:
    """Return the array in a list of just one, or `inputs`."""
    if isinstance(inputs, list | tuple) and len(inputs) == 1 and hasattr(inputs[0], "shape"):
        return inputs[0]
    return inputs


def _float_type(tensor: KerasTensor, default: str) -> str:
    return tensor.dtype if tensor.dtype in ("float32", "float64") else default


def _converted(value: Any, tensor: KerasTensor, integers: bool) -> Any:
    """Return an input as an array of its tensor's type; integers stay if they are indices."""
    if tensor.dtype == "string":
        return np.asarray(value)
    if integers and getattr(value, "dtype", None) is not None and value.dtype.kind in "iu":
        return np.asarray(value)
    array = as_float_array(value, np.dtype(_float_type(tensor, "float64")), tensor.name)
    return array.astype(tensor.dtype, copy=False)


def _column_type(tensor: KerasTensor, default: str) -> Any:
    """Return the type in which data for an input are wanted; None for text."""
    if tensor.dtype == "string":
        return None
    return np.dtype(_float_type(tensor, default) if "float" in tensor.dtype else tensor.dtype)
