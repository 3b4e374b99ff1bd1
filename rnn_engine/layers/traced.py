"""Layers with a `call` of the user's: run on arrays, recorded when they have to go back.

In a model, `forward` records what `call` does and `backward` goes back through the record.
Below a `GradientTape` of the user's, `call` is a part of that tape's record. Each layer of
the library is one step of a record, with its `backward` by hand.
"""

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine.autodiff import recording
from rnn_engine.checks import as_bools, as_float_array, as_numbers
from rnn_engine.graph.inside import penalized
from rnn_engine.graph.nest import flatten, map_structure, pack_as
from rnn_engine.layers.calls import (
    alone,
    current,
    inside,
    penalty_scale,
    scaled_penalties,
    signature_of,
)
from rnn_engine.tensor import Tensor, as_tensor, mask_of
from rnn_engine.variable import Variable, apart


@dataclass(slots=True)
class Record:
    """What `forward` of a layer of the user's saves.

    Attributes
    ----------
    tape : GradientTape
    inputs : list
        The node of each array among the arguments, None of integers.
    form, options : nests of the input and of the other arguments
    outputs : list
        The leaves of what `call` returned.
    losses : list
        What `add_loss` was given meanwhile.
    """

    tape: Any
    inputs: list[Any]
    form: Any
    options: int
    outputs: list[Any]
    losses: list[Any]


# --- in a model: forward and backward ---------------------------------------------------------


def forward(
    layer: Any, x: Any, training: bool = False, mask: Any = None, keep: bool = False, **options: Any
) -> Any:
    """Return what `call` returns as arrays, their masks, and the record if it is to go back."""
    if not (training or keep):
        with alone(), recording.silenced(), np.errstate(all="ignore"):
            x = map_structure(as_tensor, x)
            with inside(layer, training) as context:
                y = with_masks(invoke(layer, x, training, mask, options), None)
                _add_activity(layer, y, context.losses)
            out = _mask_out(layer, x, y, mask)
        record = Record(None, [], None, 0, [], context.losses)
        return map_structure(lambda leaf: plain(layer, leaf), y), out, record
    from rnn_engine.autodiff.tape import GradientTape

    engine = recording.load()
    tape = GradientTape(persistent=True)
    nodes: list[Any] = []

    def watched(leaf: Any) -> Any:
        if not isinstance(leaf, np.ndarray):
            return leaf
        floating = leaf.dtype.kind == "f"
        nodes.append(engine.root(leaf.dtype) if floating else None)
        return engine.box(leaf, tape.trace, nodes[-1]) if floating else as_tensor(leaf)

    form = x
    with alone(), recording.silenced(), tape, np.errstate(all="ignore"):
        x = map_structure(watched, x)
        tensors = len(nodes)
        options = {name: map_structure(watched, value) for name, value in options.items()}
        with inside(layer, training) as context:
            y = invoke(layer, x, training, mask, options)
            _add_activity(layer, y, context.losses)
        out = _mask_out(layer, x, y, mask)
    leaves = flatten(y)
    record = Record(tape, nodes, form, len(nodes) - tensors, leaves, context.losses)
    return pack_as(y, [plain(layer, leaf) for leaf in leaves]), out, record


def _mask_out(layer: Any, x: Any, y: Any, mask: Any) -> Any:
    """Return the masks of what `call` returned: those that it has, else those of `compute_mask`."""
    own = map_structure(mask_of, y)
    if all(part is not None for part in flatten(own)):
        return own
    given = mask is not None and any(part is not None for part in flatten(mask))
    if layer.supports_masking:
        if given or layer.makes_masks:
            return layer.compute_mask(x, mask)
    elif given:
        layer.warn_of_mask()
    return None


def _add_activity(layer: Any, y: Any, losses: list[Any]) -> None:
    """Add the penalty on the activity of a layer to the losses of the call."""
    if layer.activity_regularizer is not None:
        for leaf in flatten(y):
            losses.append(regularized(layer.activity_regularizer, leaf) / leaf.shape[0])


def regularized(regularizer: Any, value: Any) -> Any:
    """Return a penalty on a tensor or variable, as the open tapes record it."""
    from rnn_engine.autodiff import steps

    def function(array: Any) -> steps.Outputs:
        number = np.asarray(regularizer(array), array.dtype)
        return [number], lambda g, wanted: [g[0] * regularizer.gradient(array)]

    def again(x: Any) -> list[Any]:
        ops: Any = importlib.import_module("rnn_engine.ops")
        if type(regularizer).__name__ not in ("L1", "L2", "L1L2"):
            raise NotImplementedError(
                f"There is no gradient of a gradient of the regularizer {regularizer!r}; write it "
                f"in ops."
            )
        l1, l2 = getattr(regularizer, "l1", 0.0), getattr(regularizer, "l2", 0.0)
        return [l1 * ops.sum(ops.abs(x)) + l2 * ops.sum(ops.square(x))]

    return as_tensor(steps.record(function, [value], again=again)[0])


def backward(layer: Any, dy: Any, saved: Record, need_dx: bool = True) -> Any:
    """Add the gradients of all variables that `call` read; return that by the input."""
    engine, tape = recording.load(), saved.tape
    slopes = flatten(dy) if len(saved.outputs) > 1 else [dy]
    pairs = [
        (seen._node, np.asarray(slope, seen.dtype).reshape(seen.shape))
        for leaf, slope in zip(saved.outputs, slopes, strict=True)
        if slope is not None and (seen := tape._seen(leaf)) is not None
    ]
    pairs += [
        (seen._node, np.full(seen.shape, penalty_scale(), seen.dtype))
        for loss in saved.losses
        if (seen := tape._seen(loss)) is not None
    ]
    variables = [v for v in tape.watched_variables() if v.trainable]
    nodes = [tape.node_of(variable) for variable in variables]
    wanted = {*nodes, *(node for node in saved.inputs if node is not None)}
    found = engine.walk_back([node for node, _ in pairs], [slope for _, slope in pairs], wanted)
    for variable, node in zip(variables, nodes, strict=True):
        if (gradient := found.get(node)) is not None:
            variable.add_gradient(gradient)
    gradients = [
        None if node is None else _array(found.get(node), leaf)
        for node, leaf in zip(saved.inputs, _arrays(saved), strict=True)
    ]
    inputs = len(saved.inputs) - saved.options
    dx = pack_as(saved.form, gradients[:inputs])
    return (dx, *gradients[inputs:]) if saved.options else dx


def _arrays(saved: Record) -> list[Any]:
    leaves = [leaf for leaf in flatten(saved.form) if isinstance(leaf, np.ndarray)]
    return leaves + [None] * saved.options


def _array(gradient: Any, like: Any) -> Any:
    if gradient is None:
        return None if like is None else np.zeros(like.shape, like.dtype)
    return np.asarray(gradient)


def penalty(saved: Any) -> float:
    """Return the sum of what `add_loss` was given while a record was made."""
    return float(sum(float(np.sum(np.asarray(loss))) for loss in saved.losses))


def plain(layer: Any, value: Any) -> Any:
    """Return a leaf of what `call` returned as a plain array, floats in the layer's type."""
    if value is None:
        return None
    array = as_numbers(np.asarray(value), f"The output of layer {layer.name!r}")
    return array.astype(layer._np_dtype, copy=False) if array.dtype.kind == "f" else array


# --- calling ----------------------------------------------------------------------------------


def invoke(layer: Any, x: Any, training: Any, mask: Any, options: dict[str, Any]) -> Any:
    """Return what the `call` of a layer returns for tensors."""
    if layer.input_spec is not None:
        from rnn_engine.layers.input_spec import check_inputs

        check_inputs(layer.input_spec, x, layer.name)
    takes = signature_of(type(layer).call)
    kwargs = dict(options)
    if takes.training and "training" not in kwargs:
        kwargs["training"] = takes.default if training is None else training
    if takes.mask and "mask" not in kwargs:
        kwargs["mask"] = mask
    context = current()
    if context is not None and context.layer is layer:
        return layer.call(x, **kwargs)
    with inside(layer, training):
        return layer.call(x, **kwargs)


def call(layer: Any, inputs: Any, args: Any, training: Any, mask: Any, kwargs: Any) -> Any:
    """Return the tensors of a call that has more to it than plain arrays.

    That is: of a layer of the user's, inside of one, below a tape, or of tensors with masks.
    """
    context = current()
    if context is None:
        layer.clear_losses()
    elif training is None:
        training = context.training
    inputs, options = layer.bind(inputs, *args, **kwargs)
    mask = masks_of(inputs) if mask is None else mask
    if layer._traced:
        return _call_users(layer, inputs, training, mask, options)
    if not recording.is_recording() and not any(map(_on_tape, flatten((inputs, options)))):
        x = layer.convert(map_structure(untaped, inputs))
        if not layer.built:
            layer.build(layer.shape_for(x))
        given = {name: map_structure(untaped, value) for name, value in options.items()}
        y, out, saved = layer.forward_with_mask(x, bool(training), _bools(mask), **given)
        if layer.notes_losses:
            note(layer, layer.penalties(saved))
            y = x.copy() if y is x else y
        if layer._gives_half and context is None:
            y = layer.halved(y)
        return layer.nested_outputs(with_masks(y, out), options)
    if hasattr(layer, "forward_by_layers") and len(recording.open_tapes()) > 1 and not options:
        # Each layer is a step of its own, through which a gradient of a gradient can go.
        with inside(layer, training):
            return layer.nested_outputs(layer.forward_by_layers(inputs, training, mask), options)
    y = _as_step(layer, type(layer), inputs, training, mask, options)
    if layer.activity_regularizer is not None:
        losses: list[Any] = []
        _add_activity(layer, y, losses)
        layer.add_loss(losses)
    return layer.nested_outputs(y, options)


def note(layer: Any, loss: Any) -> None:
    """Add to the losses of a call the sum of those of the layers inside, in place of these."""
    if isinstance(loss, float):
        loss = np.asarray(loss, layer._np_dtype)
    for inner in layer.sublayers:
        inner.clear_losses()
    layer.add_loss(as_tensor(loss))


def call_as(layer: Any, parent: Any, inputs: Any, args: Any, kwargs: Any) -> Any:
    """Return what a class of the library makes of a call: for ``super().call(...)``."""
    training, mask = kwargs.pop("training", None), kwargs.pop("mask", None)
    context = current()
    # As in Keras: only layers that call others ask the call around, which nobody has told.
    if training is None and context is not None and _calls_others(layer, parent):
        training = context.training
    inputs, options = parent.bind(layer, inputs, *args, **kwargs)
    if mask is None:
        mask = masks_of(inputs)
    return _as_step(layer, parent, inputs, training, mask, options)


def _calls_others(layer: Any, parent: Any) -> bool:
    """Whether a class of the library calls layers inside; recurrent ones tell their cells."""
    recurrent = hasattr(parent, "state_sizes")
    return not recurrent and bool(parent.sublayers.fget(layer))


def _on_tape(value: Any) -> bool:
    return hasattr(value, "_node")


def _call_users(layer: Any, inputs: Any, training: Any, mask: Any, options: Any) -> Any:
    x = layer.convert(inputs)
    options = {name: layer.convert(value) for name, value in options.items()}
    if not layer.built:
        layer.build_for(x, options)
        layer.built = True
    with np.errstate(all="ignore"), inside(layer, training) as context:
        y = map_structure(as_tensor, invoke(layer, x, training, mask, options))
        losses: list[Any] = []
        _add_activity(layer, y, losses)
        if losses:
            layer.add_loss(losses)
    del context
    own = all(mask_of(leaf) is not None for leaf in flatten(y))
    return y if own else with_masks(y, _mask_out(layer, x, y, mask))


def _as_step(
    layer: Any, cls: Any, inputs: Any, training: Any, mask: Any, options: dict[str, Any]
) -> Any:
    """Return what a class of the library makes of a call, as one step of the record."""
    from rnn_engine.autodiff import steps

    leaves = flatten(inputs)
    names = [n for n, v in options.items() if any(map(_is_tensor, flatten(v)))]
    given = [leaf for name in names for leaf in flatten(options[name])]
    convert = layer.convert if cls is type(layer) else lambda x: _floats(layer, cls, x)
    if not layer.built:
        layer.build(cls.shape_for(layer, convert(map_structure(untaped, inputs))))
    variables = layer.trainable_weights
    # Beside its own penalty, which the caller sees to.
    noted = layer.passes_penalties and any(map(penalized, layer.sublayers))
    form: Any = None
    mask_out: Any = None
    way_back: Any = None

    def filled_options(tensors: Any) -> dict[str, Any]:
        following = iter(tensors)
        return {
            **options,
            **{n: map_structure(lambda _: next(following), options[n]) for n in names},
        }

    def again(*tensors: Any) -> list[Any]:
        from rnn_engine.autodiff import in_ops

        def slope(dy: Any) -> Any:
            return way_back([dy], [True] * len(tensors))[0]

        given = filled_options(tensors[len(leaves) :])
        call = in_ops.Call(bool(training), _bools(mask), given, form, slope)
        return flatten(in_ops.called(layer, cls, pack_as(inputs, tensors[: len(leaves)]), call))

    def function(*arrays: Any) -> steps.Outputs:
        nonlocal form, mask_out, way_back
        x = convert(pack_as(inputs, arrays[: len(leaves)]))
        filled = filled_options(arrays[len(leaves) :])
        keep = {"keep": True} if cls.saves_on_demand else {}
        given = (layer, x, bool(training), _bools(mask))
        with recording.silenced(), alone():
            if hasattr(cls, "fit"):  # a model keeps what its layers save
                form, mask_out, saved = cls.forward_with_mask(*given, keep=True, **filled)
            else:
                form, saved = cls.forward(*given, **keep, **filled)
                mask_out = cls.compute_mask(layer, x, mask)
        outputs = flatten(form)
        count = len(outputs)
        if noted:
            outputs = [*outputs, np.asarray(cls.penalties(layer, saved), layer._np_dtype)]

        def back(gradients: list[Any], wanted: list[bool]) -> list[Any]:
            slope = gradients[count] if noted else 1.0
            gradients = gradients[:count]
            dy = gradients[0] if count == 1 else pack_as(form, gradients)
            scale = scaled_penalties(0.0 if slope is None else float(slope))
            with apart(variables) as found, recording.silenced(), scale:
                dx = cls.backward(layer, dy, saved, any(wanted[: len(arrays)]))
            return [*_by_arguments(dx, len(leaves), len(arrays)), *found()]

        way_back = back
        return outputs, back

    tensors = steps.record(function, [*leaves, *given], variables, again)
    if noted:
        note(layer, tensors.pop())
    return with_masks(pack_as(form, [as_tensor(tensor) for tensor in tensors]), mask_out)


def _floats(layer: Any, cls: Any, inputs: Any) -> Any:
    """Return inputs for a class of the library, whose own way to convert is another's now."""
    integers = vars(cls).get("takes_integers", False) is True
    return map_structure(
        lambda x: np.asarray(x) if integers else as_float_array(x, layer._np_dtype, "inputs"),
        inputs,
    )


def _by_arguments(dx: Any, leaves: int, count: int) -> list[Any]:
    """Return the gradients by the inputs and the other tensors of a call, one after the other."""
    if dx is None:
        return [None] * count
    if leaves == count:
        return flatten(dx) if leaves > 1 or isinstance(dx, list | dict) else [dx]
    first, *others = dx
    return [*(flatten(first) if leaves > 1 else [first]), *others]


def _is_tensor(value: Any) -> bool:
    return isinstance(value, np.ndarray) or hasattr(value, "_node")


def untaped(value: Any) -> Any:
    """Return the values of a tensor of a tape, anything else as it is."""
    return recording.load().value_of(value) if hasattr(value, "_node") else value


# --- masks ------------------------------------------------------------------------------------


def masks_of(inputs: Any) -> Any:
    """Return the masks that tensors carry, in their form; None where none does."""
    if isinstance(inputs, Tensor) or hasattr(inputs, "_node"):
        return mask_of(inputs)
    if not isinstance(inputs, list | tuple | dict):
        return None
    masks = map_structure(mask_of, inputs)
    return masks if any(mask is not None for mask in flatten(masks)) else None


def _bools(mask: Any) -> Any:
    if mask is None or isinstance(mask, list | tuple | dict):
        return mask
    return as_bools(np.asarray(mask))


def with_masks(y: Any, mask: Any) -> Any:
    """Return tensors that carry their masks."""
    y = map_structure(as_tensor, y)
    if mask is None:
        return y
    leaves = flatten(y)
    masks = flatten(mask) if isinstance(mask, list | tuple | dict) else [mask] * len(leaves)
    for leaf, own in zip(leaves, masks, strict=False):
        if own is not None:
            leaf._keras_mask = as_tensor(np.asarray(own))
    return y


# --- what a layer of the user's holds ---------------------------------------------------------


def held(layer: Any, kind: Any) -> list[Any]:
    """Return what of a kind stands in the attributes of a layer, in lists and dicts too."""
    found: dict[int, Any] = {}

    def look(value: Any, depth: int) -> None:
        if isinstance(value, kind):
            found.setdefault(id(value), value)
        elif depth and isinstance(value, list | tuple):
            for part in value:
                look(part, depth - 1)
        elif depth and isinstance(value, dict):
            for part in value.values():
                look(part, depth - 1)

    for name, value in vars(layer).items():
        if name not in ("_inbound_nodes", "_variables", "_call_losses"):
            look(value, 4)
    return list(found.values())


def held_variables(layer: Any) -> list[Variable]:
    """Return the variables of a layer: those of `add_weight`, then those that it holds."""
    found = dict.fromkeys(layer._variables)
    found.update(dict.fromkeys(held(layer, Variable)))
    return list(found)
