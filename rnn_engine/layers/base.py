"""`Layer`: weights, names, building; what every layer shares.

A layer is a pair of methods beside each other::

    y, saved = layer.forward(x, training, mask)
    dx = layer.backward(dy, saved)

`saved` holds whatever backward needs, so that a layer has no state between the two
and prediction is re-entrant. Parameter gradients are added to ``variable.grad``.
"""

import inspect
import os
import threading
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine import constraints, initializers, regularizers
from rnn_engine.autodiff.recording import OPEN
from rnn_engine.checks import (
    TooLargeError,
    as_bools,
    as_float_array,
    as_gradient,
    as_numbers,
    check_memory,
    no_tensor,
    too_large,
)
from rnn_engine.config import MIXED, policy_name, standardize_dtype
from rnn_engine.graph import KerasTensor, Node, Operation, is_symbolic, map_structure
from rnn_engine.graph.inside import is_stateful, penalized
from rnn_engine.initializers.deferred import blank
from rnn_engine.initializers.initializer import check_shape
from rnn_engine.layers.calls import (
    call_in_context,
    is_special,
    penalty_scale,
    signature_of,
    stand_below,
)
from rnn_engine.layers.guard import check_change, describe_sizes, is_ours
from rnn_engine.layers.proofs import Proved, proved, shape_of
from rnn_engine.registry import Registry
from rnn_engine.tensor import Tensor, as_tensor
from rnn_engine.utils.naming import auto_name
from rnn_engine.variable import Variable, writes, writing

registry = Registry("layer")

BY_NAME: Any = type("_ByName", (), {"__repr__": lambda self: "<by name>"})()
"""Stands for the input of a call that gives it by the name that it has in `call`."""

Shape = tuple[int | None, ...]

# Threads that share a layer may all be the first to call it. Compilation may happen under
# this lock, and never the other way round; a child of `fork` must not find it taken.
build_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=build_lock.acquire,
        after_in_parent=build_lock.release,
        after_in_child=build_lock.release,
    )


@dataclass(slots=True)
class Penalized:
    """What a layer with an activity regularizer saves: its own `saved`, output and penalty."""

    saved: Any
    output: Any
    penalty: float


class Layer(Operation):
    """Base class of the layers (`keras.layers.Layer`).

    Called on an array, a layer computes; called on a symbolic tensor, such as `Input`
    returns, it becomes a node of a graph, of which `Model` makes a model.

    Parameters
    ----------
    activity_regularizer : Regularizer, optional
        Penalty on the output, divided by the batch size; part of the loss where the
        layer stands in a model.
    trainable : bool
        Whether an optimizer updates the weights.
    dtype : str, optional
        ``"float32"`` or ``"float64"``; `config.floatx` if None.
    autocast : bool
        Accepted: the input is cast to `dtype` in any case. With False, Keras computes with
        the type that it came in.
    name : str, optional
        Made from the class name if None.
    input_shape : tuple, optional
        Shape of a sample, with which a `Sequential` is built at once. Keras warns
        at this argument, this library does not. `batch_shape` and `input_dim` are
        taken as well.

    Raises
    ------
    ValueError
        At an unknown argument, a `name` that is no string or has a slash in it, or
        `trainable` that is no bool.
    """

    # Integer inputs (indices) stay integers.
    takes_integers = False
    # Whether the mask goes on; else it ends here, with Keras's warning. True unless a
    # layer says otherwise, where Keras wants a layer to say so.
    supports_masking = True
    # Whether a row's output in training depends on the other rows of the batch.
    mixes_rows = False
    # `forward` saves what backward needs only in training, or with its argument `keep`.
    saves_on_demand = False
    # Whether `forward` or `backward` is a user's: the arrays that come from them are proved.
    _foreign = False
    # Whether the output has a mask although the input has none.
    makes_masks: Any = False
    # Whether it has a `call` of a user's, which is recorded to go back; see `traced`.
    _traced = False
    # Whether an inner layer cannot be replaced once this one is built; a model's can.
    _locks_layers = True
    # Whether the config has an `activity_regularizer` of None too, as Keras's of this layer.
    _tells_of_penalty = False
    built = False
    # What a layer of a user's says of its inputs: see `InputSpec`.
    input_spec: Any = None
    # `compute_output_shape` of the library's class, by which that builds and computes, whatever a
    # user's class says of what its own `call` makes of it.
    _shape_below: Callable[..., Any]
    # Attributes, besides the arguments of the constructor, that kernels take sizes from.
    _sizes: tuple[str, ...] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "call" in vars(cls) or not is_ours(cls):
            from rnn_engine.layers.users import adopt

            adopt(cls)
        owners = (base for base in cls.__mro__ if "compute_output_shape" in vars(base))
        owner = next(base for base in owners if is_ours(base))
        cls._shape_below = vars(owner)["compute_output_shape"]
        methods = (cls.forward, cls.backward, cls.compute_mask)
        cls._foreign = not (cls._traced or all(map(is_ours, methods)))

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; not one that a built layer computes with the memory of.

        Raises
        ------
        AttributeError
            If it is a size that the weights were made with, or the type.
        ValueError
            If it is a weight, or a layer that comes too late, as in Keras.
        """
        # Not through `__dict__`: an instance that has been asked for it is slower ever after.
        if self.built or name == "dtype":
            check_change(self, name, getattr(self, name, None), value)
        object.__setattr__(self, name, value)

    # Whether `forward` takes a list of arrays (with a list of masks, or None) rather than one
    # array; `backward` then returns a list of gradients.
    several_inputs = False
    # Whether, in a graph, the masks of the inputs reach a call that has tensors among its other
    # arguments. Keras hands them on only where an argument is called ``mask`` or ``NAME_mask``:
    # a recurrent layer with an `initial_state` sees none, though its output has it.
    masks_beside_options = False
    # Name of a mixed policy (`dtype_policies`), or None, and whether what leaves is float16.
    _policy: str | None = None
    _gives_half = False
    # Whether penalties of layers inside go back through it, also from no gradient at all.
    passes_penalties = False
    # Whether what a call adds to the loss, here or inside, is noted for `losses`.
    notes_losses = False
    # Names of the arguments of a call that may follow the input without a name.
    call_arguments: tuple[str, ...] = ()
    # What Keras's `call` names the input.
    input_argument = "inputs"

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.given_batch_shape = _batch_shape(kwargs)
        if kwargs:
            from rnn_engine.missing import renamed

            raise ValueError(
                f"Unrecognized keyword arguments passed to {type(self).__name__}: {kwargs}"
                f"{renamed(kwargs)}"
            )
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.name = auto_name(type(self).__name__) if name is None else _checked_name(name)
        self.autocast = autocast
        policy = policy_name() if dtype is None else _policy_of(dtype)
        if policy in MIXED:
            self._policy, self._gives_half, policy = policy, policy == "mixed_float16", "float32"
        self._np_dtype = np.dtype(standardize_dtype(policy))
        self.dtype = self._np_dtype.name
        if not isinstance(trainable, bool):
            raise ValueError(
                f"Expected `trainable` to be a boolean. Received: trainable={trainable!r} (of type "
                f"{type(trainable)})"
            )
        self._trainable = trainable
        self._variables: list[Variable] = []
        self._inbound_nodes: list[Node] = []
        self.path_prefix = ""
        self.built = False
        self.build_shape: Shape | None = None

    # --- building -------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Create the weights for inputs of `input_shape`, batch axis included.

        Building twice changes nothing, as in Keras.
        """
        with build_lock:
            if not self.built:
                stand_below(self)
                shape: Any = input_shape if isinstance(input_shape, dict) else tuple(input_shape)
                self.create_weights(shape)
                self.build_shape = shape
                self.built = True
                self.note_losses()

    def note_losses(self) -> None:
        """Find out whether a call adds to the loss: what is inside is there now."""
        self.notes_losses = penalized(self)

    def create_weights(self, input_shape: Shape) -> None:
        """Create the weights; layers without any need not override this."""

    def add_weight(
        self,
        shape: Any = (),
        initializer: Any = None,
        dtype: Any = None,
        name: str | None = None,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        autocast: bool = True,
        **settings: Any,
    ) -> Variable:
        """Create a weight of this layer (`keras.layers.Layer.add_weight`).

        Parameters
        ----------
        shape : tuple of int
        initializer : str, Initializer or callable, optional
            ``"glorot_uniform"`` if None, zeros for integers.
        dtype : str, optional
            That of the layer if None.
        name : str, optional
            May have a path before it.
        trainable : bool
        regularizer, constraint : optional
        autocast, aggregation, synchronization
            Accepted, as in Keras.

        Raises
        ------
        TypeError, ValueError
            If the shape is none, is larger than this machine's memory (`TooLargeError`, which
            is a `MemoryError` too), or the initializer returns another shape, or no numbers.
        """
        if unknown := settings.keys() - {"aggregation", "synchronization", "use_resource"}:
            raise TypeError(f"add_weight() got an unexpected keyword argument {min(unknown)!r}")
        if isinstance(shape, str):
            raise ValueError(
                f"`name` must be passed as a keyword argument. Received: "
                f"add_weight('{shape}', ...). Use: add_weight(shape=..., name='{shape}')."
            )
        if shape is None:
            shape = ()
        if isinstance(dtype, str) and name is None and not _is_dtype(dtype):
            dtype, name = None, dtype  # as the layers of the library write it: the name third
        kind = self._np_dtype if dtype is None else np.dtype(_dtype_name(dtype))
        if initializer is None:
            initializer = "glorot_uniform" if kind.kind == "f" else "zeros"
        name = name or "variable"
        shape = check_shape(shape)
        path = f"{self.path_prefix}{self.name}/{name}"
        to_come = blank(shape, kind.name, path)
        array = to_come
        if to_come is None:
            array = self._first_value(name, shape, initializer, kind.name)
        variable = Variable(
            array,
            name=name.rsplit("/", 1)[-1],
            path=path,
            trainable=trainable,
            dtype=kind,
            regularizer=regularizers.get(regularizer),
            constraint=constraints.get(constraint),
            adopt=to_come is not None,
        )
        self._variables.append(variable)
        return variable

    def _first_value(
        self, name: str, shape: tuple[int, ...], initializer: Any, dtype: str
    ) -> np.ndarray:
        """Return what the initializer gives for a weight, proved."""
        what = f"Weight {name!r} of layer {self.name!r} ({describe_sizes(self)})"
        check_memory(what, shape, dtype)
        try:
            value = initializers.get(initializer)(shape, dtype=dtype)
        except MemoryError:
            raise too_large(what, shape, dtype) from None
        array = as_numbers(value, f"What the initializer of {name!r} of layer {self.name!r} gives")
        if array.shape != shape:
            raise ValueError(
                f"The initializer of weight {name!r} of layer {self.name!r} must return an array "
                f"of the shape that it is called with. Expected {shape}, got {array.shape}."
            )
        return array

    def get_build_config(self) -> dict[str, Any] | None:
        """Return the shape that `build` saw, None before it."""
        return {"input_shape": self.build_shape} if self.built else None

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build with what `get_build_config` returned."""
        if config and config.get("input_shape") is not None:
            self.build(config["input_shape"])

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output for inputs of `input_shape`."""
        return tuple(input_shape)

    @property
    def tells_shapes(self) -> bool:
        """Whether `compute_output_shape` can be relied on; a user's layer may lack its own."""
        ours = type(self).__module__.partition(".")[0] == __name__.partition(".")[0]
        own = type(self).compute_output_shape is not Layer.compute_output_shape
        return (ours or own) and all(getattr(x, "tells_shapes", True) for x in self.sublayers)

    def check_input(self, x: np.ndarray) -> None:
        """Raise as `forward` would where the shape of `x` does not fit; values do not count."""

    # --- the way of the data --------------------------------------------------

    def __call__(
        self,
        inputs: Any = BY_NAME,
        *args: Any,
        training: bool | None = None,
        mask: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Apply the layer to an array, building it first if needed.

        Parameters
        ----------
        inputs : array-like or KerasTensor
            Anything NumPy reads as numbers, converted to the layer's dtype; layers of several
            inputs take a list. For symbolic tensors the output is symbolic.
        training : bool, optional
            False if None. In a graph, that of the call of the model comes first, as in Keras.
        mask : array-like of bool, optional
            False marks time steps to leave out. A NumPy array cannot carry its mask
            with it, as Keras's tensors do: pass it on, or use a model.
        """
        if type(inputs) is not np.ndarray or self._traced or OPEN:
            if inputs is BY_NAME:
                inputs = self.input_by_name(kwargs)
            if is_symbolic(inputs, args, list(kwargs.values())):
                return self.symbolic_call(inputs, *args, training=training, mask=mask, **kwargs)
            if self._traced or OPEN or is_special(inputs, args, kwargs):
                return call_in_context(self, inputs, args, training, mask, kwargs)
        if self.notes_losses:
            return call_in_context(self, inputs, args, training, mask, kwargs)
        inputs, options = self.bind(inputs, *args, **kwargs)
        x = self.convert(inputs)
        if not self.built:
            self.build(self.shape_for(x))
            if penalized(self):
                return call_in_context(self, x, (), training, mask, options)
        if mask is not None and type(x) is np.ndarray:
            mask = as_bools(mask)
        before = writes.count
        try:
            y = self.forward(x, bool(training), mask, **options)[0]
            if writes.count != before or before & 1:
                y = self._again(y, x, training, mask, **options)
        except MemoryError as error:
            raise self._too_large(error, x) from None
        if self._foreign:
            y = self._proved_output(y)
        if self._gives_half:
            y = self.halved(y)
        if self.makes_masks:
            y = y.view(Tensor)
            y._keras_mask = as_tensor(self.compute_mask(x, mask))
            return y
        return y.view(Tensor) if type(y) is np.ndarray else map_structure(as_tensor, y)

    def input_by_name(self, kwargs: dict[str, Any]) -> Any:
        """Take the input out of the arguments of a call that names it as `call` does."""
        name = self.input_argument
        if self._traced:
            name = next(iter(signature_of(type(self).call).names), name)
        if name not in kwargs:
            raise TypeError(f"missing a required argument: {name!r}")
        return kwargs.pop(name)

    def halved(self, y: Any) -> Any:
        """Return outputs in the half type of the policy, as they leave a layer or a model."""
        if isinstance(y, list | tuple):
            return type(y)(map(self.halved, y))
        floats = isinstance(y, np.ndarray) and y.dtype.kind == "f"
        return y.astype(np.float16) if floats else y

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Do what a call of the layer does: for ``super().call(...)`` in a `call` of one's own."""
        from rnn_engine.layers.users import call_of_parent

        return call_of_parent(self, *args, **kwargs)

    def add_loss(self, loss: Any) -> None:
        """Add a number, or a list of them, to the loss of the model; for use in `call`."""
        from rnn_engine.layers.users import add_loss

        add_loss(self, loss)

    def clear_losses(self) -> None:
        """Forget what `add_loss` was given."""
        self._call_losses: list[Any] = []
        for layer in self.sublayers:
            layer.clear_losses()

    def warn_of_mask(self) -> None:
        """Say that a mask ends here."""
        warnings.warn(
            f"Layer '{self.name}' (of type {type(self).__name__}) was passed an input with a mask "
            f"attached to it. However, this layer does not support masking and will therefore "
            f"destroy the mask information. Downstream layers will not see the mask.",
            stacklevel=3,
        )

    def _again(self, y: Any, x: Any, training: Any, mask: Any = None, **kwargs: Any) -> Any:
        """Return the output of one set of weights, which were written to while y was computed."""
        if training or not self._repeats:
            return y
        with writes.lock:
            return self.forward(x, False, mask, **kwargs)[0]

    @property
    def _repeats(self) -> bool:
        """Whether a prediction can be made again: a stateful layer has moved on."""
        return not is_stateful(self)

    def _too_large(self, error: MemoryError, x: Any) -> MemoryError:
        """Return the error that says which layer there is no memory for."""
        if isinstance(error, TooLargeError):
            return error
        return TooLargeError(
            f"There is no memory for the output of layer {self.name!r} ({describe_sizes(self)}) "
            f"for an input of shape {np.shape(x)}: {error}"
        )

    def bind(self, inputs: Any, *args: Any, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Return the input, or the nest of inputs, of a call and its other arguments by name.

        `forward` gets them as ``forward(x, training, mask, **options)``. Where tensors are
        among the options, `backward` returns the tuple of dx and their gradients.
        """
        if len(args) > len(self.call_arguments):
            raise TypeError(
                f"{type(self).__name__} takes {1 + len(self.call_arguments)} positional "
                f"argument(s), got {1 + len(args)}."
            )
        return inputs, {**dict(zip(self.call_arguments, args, strict=False)), **kwargs}

    def symbolic_call(
        self, *args: Any, training: bool | None = None, mask: Any = None, **kwargs: Any
    ) -> Any:
        """Return symbolic outputs for symbolic inputs, and remember the call as a node."""
        inputs, options = self.bind(*args, **kwargs)
        self._check_options(options)
        shapes = map_structure(lambda leaf: getattr(leaf, "shape", None), inputs)
        if self.built:
            self._check_symbolic(inputs)
        else:
            self.build(shapes)
        outputs = self.compute_output_spec(inputs, **options)
        given = {"training": training, "mask": mask}
        kwargs.update((name, value) for name, value in given.items() if value is not None)
        Node(self, args, kwargs, outputs)
        return self.nested_outputs(outputs, options)

    def _check_options(self, options: dict[str, Any]) -> None:
        """Raise TypeError at an argument that a call on arrays would refuse, too."""
        taken = inspect.signature(self.forward).parameters
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
            return
        for name in options:
            if name not in taken and name not in self.call_arguments:
                raise TypeError(
                    f"got an unexpected keyword argument '{name}' in a call of layer '{self.name}'"
                )

    def compute_output_spec(self, inputs: Any, **options: Any) -> Any:
        """Return the symbolic output, or the tuple of outputs, for symbolic inputs."""
        shape = self.compute_output_shape(map_structure(lambda leaf: leaf.shape, inputs))
        if any(isinstance(size, list | tuple) for size in shape):  # several outputs
            return tuple(KerasTensor(part, self.output_dtype) for part in shape)
        return KerasTensor(shape, self.output_dtype)

    def nested_outputs(self, outputs: Any, options: dict[str, Any]) -> Any:
        """Return the outputs in the form in which a call of the layer returns them."""
        return outputs

    def _check_symbolic(self, inputs: Any) -> None:
        """Check the shapes of symbolic inputs, as far as they are known, as `forward` would."""
        stateful = is_stateful(self)

        def sample(tensor: Any) -> Any:
            known = None not in tensor.shape[-1:] and (tensor.shape[:1] != (None,) or not stateful)
            if not known or tensor.dtype == "string":
                return None
            shape = tuple(1 if size is None else size for size in tensor.shape)
            return np.broadcast_to(np.zeros((), tensor.dtype), shape)

        samples = map_structure(sample, inputs)
        if all(part is not None for part in (samples if self.several_inputs else [samples])):
            self.check_input(samples)

    def shape_for(self, x: np.ndarray) -> Shape:
        """Return the shape to build for, given the first data.

        Its batch size is only fixed where a stateful layer needs it.
        """
        if self.several_inputs:
            return [(None, *part.shape[1:]) for part in x]  # type: ignore[return-value]  # one each
        return (len(x) if is_stateful(self) else None, *x.shape[1:])

    def convert(self, inputs: Any) -> Any:
        """Return the inputs as arrays of the layer's type: one, or a list of them."""
        if self.several_inputs:
            return [as_float_array(x, self._np_dtype, "inputs") for x in inputs]
        if not isinstance(inputs, np.ndarray):
            inputs = self._one_input(inputs)
        if self.takes_integers:
            return np.asarray(inputs)
        return as_float_array(inputs, self._np_dtype, "inputs")

    def _one_input(self, inputs: Any) -> Any:
        """Return the input, that of a list of one; raise if there are several, or it is no data."""
        if (error := no_tensor(inputs, self.name)) is not None:
            raise error
        arrays = isinstance(inputs, list | tuple) and all(getattr(x, "ndim", 0) for x in inputs)
        if not arrays or not len(inputs):
            return inputs
        if len(inputs) > 1:
            shapes = ", ".join(str(tuple(x.shape)) for x in inputs)
            raise ValueError(
                f'Layer "{self.name}" expects 1 input(s), but it received {len(inputs)} input '
                f"tensors. Inputs received: arrays of the shapes {shapes}"
            )
        return inputs[0]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return ``(y, saved)`` for ``(x, training=False, mask=None)``."""
        raise NotImplementedError(
            f"Layer {type(self).__name__} does not have a `call` method implemented, nor a "
            "forward(x, training, mask)."
        )

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Add the gradients of the weights and return that of the input."""
        raise TypeError(f"{type(self).__name__} must define backward(dy, saved, need_dx).")

    def forward_with_mask(
        self,
        x: Any,
        training: bool = False,
        mask: Any = None,
        keep: bool = False,
        **options: Any,
    ) -> Any:
        """Return ``(y, mask of y, saved)``; `keep` if backward will follow out of training."""
        if self.saves_on_demand:
            y, saved = self.forward(x, training, mask, keep=keep, **options)
        else:
            y, saved = self.forward(x, training, mask, **options)
        if self._foreign:
            y = self._proved_output(y)
            saved = Proved(saved, shape_of(x), shape_of(y))
        if self.activity_regularizer is not None:
            saved = Penalized(saved, y, self._activity_penalty(y))
        if mask is None or self.supports_masking:
            mask = self.compute_mask(x, mask)
            if mask is not None and self._foreign and type(y) is np.ndarray:
                mask = as_bools(mask, f"The mask that layer {self.name!r} computes")
            return y, mask, saved
        self.warn_of_mask()
        return y, None, saved

    def backward_with_penalty(self, dy: Any, saved: Any, need_dx: bool = True) -> Any:
        """Go back, the penalty on the output's activity included.

        Takes what `forward_with_mask` saved.
        """
        if type(saved) is Penalized:
            dy, saved = self._add_activity_gradient(dy, saved.output), saved.saved
        if type(saved) is Proved:
            return self._proved_backward(dy, saved, need_dx)
        return self.backward(dy, saved, need_dx)

    def _proved_output(self, y: Any) -> Any:
        """Return what a user's `forward` gave as arrays of numbers, floats of the layer's type."""
        if isinstance(y, list | tuple):
            return type(y)(map(self._proved_output, y))
        array = as_numbers(y, f"The output of layer {self.name!r}")
        return array.astype(self._np_dtype, copy=False) if array.dtype.kind == "f" else array

    def _proved_backward(self, dy: Any, saved: Proved, need_dx: bool) -> Any:
        """Go back through a user's layer; what it gives has the shape of its input."""
        dtype = self._np_dtype
        dy = proved(dy, saved.y_shape, dtype, f"The gradient for layer {self.name!r}")
        dx = self.backward(dy, saved.saved, need_dx)
        what = f"The gradient by its input that layer {self.name!r} returns"
        if isinstance(dx, tuple) and not isinstance(saved.x_shape, list):  # by its options too
            first = None if dx[0] is None else proved(dx[0], saved.x_shape, dtype, what)
            return (first, *(part if part is None else as_numbers(part, what) for part in dx[1:]))
        return None if dx is None else proved(dx, saved.x_shape, dtype, what)

    def gradient_like(self, dy: Any, shape: tuple[int, ...]) -> Any:
        """Return a gradient that `backward` is handed, proved to be of the output's `shape`.

        None stays None: on the way to logits, layers that return their input have no other.

        Raises
        ------
        ValueError
            If it is of another, or holds no numbers.
        """
        if dy is None or (
            type(dy) is np.ndarray and dy.dtype is self._np_dtype and dy.shape == shape
        ):
            return dy
        return as_gradient(dy, shape, self._np_dtype, f"The gradient for layer {self.name!r}")

    def penalties(self, saved: Any) -> float:
        """Return the penalties on activities in what `forward_with_mask` saved."""
        return saved.penalty if type(saved) is Penalized else 0.0

    def _activity_penalty(self, y: Any) -> float:
        outputs = y if isinstance(y, list | tuple) else [y]
        return float(sum(self.activity_regularizer(output) / len(output) for output in outputs))

    def _add_activity_gradient(self, dy: Any, y: Any) -> Any:
        """Return dy plus the gradient of the penalty; both may be tuples."""
        if isinstance(y, list | tuple):
            return tuple(map(self._add_activity_gradient, dy or [None] * len(y), y))
        what = f"The gradient of the activity regularizer of layer {self.name!r}"
        slope = as_gradient(self.activity_regularizer.gradient(y), y.shape, y.dtype, what)
        slope = slope / y.dtype.type(len(y))
        if (scale := penalty_scale()) != 1.0:
            slope = slope * y.dtype.type(scale)
        return slope if dy is None else dy + slope

    def returns_input(self, training: bool) -> bool:
        """Whether `forward` returns the very array it is given, and backward that gradient.

        The logits of a softmax or sigmoid below are then those of the output still.
        """
        return False

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask of the output: that of the input, unless overridden."""
        return mask

    def reset_state(self) -> None:
        """Forget what a stateful layer carries from batch to batch."""

    # --- weights --------------------------------------------------------------

    @property
    def sublayers(self) -> "list[Layer]":
        """The layers inside this one."""
        return []

    @property
    def trainable(self) -> bool:
        """Whether an optimizer updates the weights; setting it reaches inner layers."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for layer in self.sublayers:
            layer.trainable = value

    @property
    def path(self) -> str:
        """Name of the layer with those of the models it was built in before it."""
        return f"{self.path_prefix}{self.name}"

    @property
    def dtype_policy(self) -> Any:
        """Policy of the types of weights and outputs, a `DTypePolicy`."""
        from rnn_engine.dtype_policies import DTypePolicy

        # What only names the type of its data, such as an Input of words, has the default.
        floating = str(self.dtype).startswith("float")
        return DTypePolicy(self._policy or (self.dtype if floating else None))

    @property
    def compute_dtype(self) -> str:
        """Type of what leaves the layer: `dtype`, or the half type of a mixed policy.

        Computed is in `dtype` in any case, which `kernel_dtype` tells.
        """
        return MIXED.get(self._policy or "", self.dtype)

    @property
    def kernel_dtype(self) -> str:
        """Type that the layer computes in: `dtype`."""
        return self.dtype

    @property
    def output_dtype(self) -> str:
        """Type of the output: `dtype`, but for layers that hand on what another one put out."""
        return self.dtype

    @property
    def variable_dtype(self) -> str:
        """Type of the weights: `dtype`."""
        return self.dtype

    @property
    def weights(self) -> list[Variable]:
        """All weights, in Keras's order."""
        held = self.own_variables
        own = [v for v in held if v.trainable] + [v for v in held if not v.trainable]
        return _unique([*own, *(v for layer in self.sublayers for v in layer.weights)])

    @property
    def own_variables(self) -> list[Variable]:
        """The weights of this layer without those of the layers inside it."""
        return self._variables

    variables = weights

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that an optimizer updates."""
        if not self.trainable:
            return []
        own = [v for v in self.own_variables if v.trainable]
        return _unique([*own, *(v for layer in self.sublayers for v in layer.trainable_weights)])

    trainable_variables = trainable_weights

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that no optimizer updates."""
        trained = {id(v) for v in self.trainable_weights}
        return [v for v in self.weights if id(v) not in trained]

    non_trainable_variables = non_trainable_weights

    @property
    def losses(self) -> list[Any]:
        """Penalties of the regularizers on trained weights, and what `add_loss` was given.

        The latter, and penalties on activities, come from the last call outside of `fit`:
        those of the layers inside a model, or another layer, as one sum.
        """
        regularized = [v for v in self.trainable_weights if v.regularizer is not None]
        if OPEN or self._traced or self.notes_losses:
            from rnn_engine.layers.users import losses_of

            return losses_of(self, regularized)
        return [v.value.dtype.type(v.regularizer(v.value)) for v in regularized]

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of all weights, in Keras's order."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: Iterable[Any]) -> None:
        """Write all weights, in the order of `get_weights`.

        Raises
        ------
        ValueError
            If count or shapes differ; nothing is changed then.
        """
        values = [np.asarray(w) for w in weights]
        targets = self.weights
        if len(values) != len(targets):
            raise ValueError(
                f"You called `set_weights(weights)` on layer '{self.name}' with a weight list of "
                f"length {len(values)}, but the layer was expecting {len(targets)} weights."
            )
        for variable, value in zip(targets, values, strict=True):
            if variable.shape != value.shape:
                raise ValueError(
                    f"Layer {self.name} weight shape {variable.shape} is not compatible with "
                    f"provided weight shape {value.shape} (weight {variable.path!r})."
                )
            if value.dtype.kind not in "biuf":
                raise ValueError(f"Weight {variable.path!r} got values of dtype {value.dtype}.")
        with writing(targets):
            for variable, value in zip(targets, values, strict=True):
                variable.write(value)

    def count_params(self) -> int:
        """Return the number of numbers in all weights.

        Raises
        ------
        ValueError
            If the layer is not built.
        """
        if not self.built:
            raise ValueError(
                f"You tried to call `count_params` on layer '{self.name}', but the layer isn't "
                f"built. You can build it manually via: `layer.build(input_shape)`."
            )
        return sum(v.value.size for v in self.weights)

    # --- configuration --------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        config: dict[str, Any] = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": self.dtype if self._policy is None else serialized_policy(self._policy),
        }
        if self.activity_regularizer is not None or self._tells_of_penalty:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Build a layer from what `get_config` returned.

        Raises
        ------
        TypeError
            If the class does not take these settings; the message tells why.
        """
        try:
            return cls(**config)
        except Exception as error:
            raise TypeError(
                f"Error when deserializing class '{cls.__name__}' using config={config}.\n\n"
                f"Exception encountered: {error}"
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        # The graphs that a layer stands in are no part of it: a model brings its own along.
        state = {**vars(self), "_inbound_nodes": []}
        state.pop("_call_losses", None)  # values of a tape, perhaps
        return state

    def __dir__(self) -> list[str]:
        """Return the names for programs: what completion shows."""
        from rnn_engine.public import public

        return public(super().__dir__())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def _checked_name(name: Any) -> str:
    # A slash parts the names of layers in the path of a weight.
    if not isinstance(name, str) or "/" in name:
        raise ValueError(
            f"Argument `name` must be a string and cannot contain character `/`. Received: "
            f"name={name!r} (of type {type(name)})"
        )
    return name


def _unique(variables: Iterable[Variable]) -> list[Variable]:
    """Return the variables once each: a layer may stand in a model twice."""
    return list({id(v): v for v in variables}.values())


def _is_dtype(name: str) -> bool:
    try:
        np.dtype(name)
    except TypeError:
        return False
    return True


def _dtype_name(dtype: Any) -> Any:
    """Return the type of a Keras dtype policy, or `dtype` itself."""
    if isinstance(dtype, dict):
        return dtype.get("config", {}).get("name")
    # A policy's name is that of its type, or of a mixed one.
    return dtype.name if hasattr(dtype, "variable_dtype") else dtype


def _policy_of(dtype: Any) -> str:
    """Return the name of the policy that the argument `dtype` of a layer means."""
    name = _dtype_name(dtype)
    try:
        return name if name in MIXED else standardize_dtype(name)
    except (TypeError, ValueError):  # no policy: its own words, which are Keras's
        from rnn_engine.dtype_policies import get

        return get(name).name


def serialized_policy(name: str) -> dict[str, Any]:
    """Return a policy as Keras's configs hold it."""
    return {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": {"name": name},
        "registered_name": None,
    }


def _batch_shape(kwargs: dict[str, Any]) -> Shape | None:
    """Take the arguments out of `kwargs` that give the input's shape."""
    batch_size = kwargs.pop("batch_size", None)
    shape: Shape | None = None
    if (dim := kwargs.pop("input_dim", None)) is not None:
        shape = (batch_size, int(dim))
    if (given := kwargs.pop("input_shape", None)) is not None:
        if isinstance(given, int) or not hasattr(given, "__iter__"):
            raise ValueError(
                f"`input_shape` is the shape of a sample without the batch axis, a tuple such as "
                f"(timesteps, features). Received: input_shape={given!r}; did you mean "
                f"input_shape=({given},)?"
            )
        shape = (batch_size, *given)
    for key in ("batch_shape", "batch_input_shape"):
        if (given := kwargs.pop(key, None)) is not None:
            shape = tuple(given)
    return shape
