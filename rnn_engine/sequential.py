"""`Sequential`: layers in a row."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from rnn_engine.checks import as_float_array
from rnn_engine.graph import KerasTensor, flatten, map_structure
from rnn_engine.graph.inside import penalized
from rnn_engine.layers.base import Layer, Shape, build_lock, registry
from rnn_engine.layers.input_layer import InputLayer
from rnn_engine.layers.logits import LogitsPath
from rnn_engine.model import Model, adjusted
from rnn_engine.training.form import Column, DataForm

# What a model takes as the layer that it is; Keras's takes none of them.
_OF_LAYERS = {"activity_regularizer", "autocast", "dtype", "input_shape", "batch_input_shape"}


@registry.register()
class Sequential(Model):
    """A stack of layers, each fed with the output of the one before (`keras.Sequential`).

    Parameters
    ----------
    layers : list of Layer, optional
    trainable : bool
    name : str, optional

    The model is built, that is, has weights, as soon as it knows the shape of its
    input: from an `Input`, from ``input_shape`` of its first layer, or else from the
    first data it sees.

    Raises
    ------
    ValueError
        If something else than a layer is added, or two layers have one name.

    Examples
    --------
    >>> from rnn_engine.layers import Dense, SimpleRNN
    >>> model = Sequential([SimpleRNN(10, input_shape=(5, 1)), Dense(1)])
    >>> model.count_params(), model.output_shape
    (131, (None, 1))
    """

    _form: DataForm | None = None  # of the data, once somebody asked

    def __init__(
        self,
        layers: Sequence[Layer] | None = None,
        trainable: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        for unknown in kwargs.keys() - _OF_LAYERS:
            raise TypeError(f"Sequential.__init__() got an unexpected keyword argument {unknown!r}")
        super().__init__(trainable=trainable, name=name, **kwargs)
        self._layers: list[Layer] = []
        self._input_layer: InputLayer | None = None
        self._tensors: list[Any] = []  # the input's, and what each layer makes of the one before
        self._mixed = False  # whether numbers change their type between layers
        self._passes_on = False  # whether the output may be the input, or a view of it
        for layer in layers or ():
            self.add(layer, rebuild=False)
        self._maybe_build()

    # --- the stack ------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers, without an `InputLayer`."""
        return self._layers.copy()

    @layers.setter
    def layers(self, value: Any) -> None:
        raise AttributeError(
            "`Sequential.layers` attribute is reserved and should not be used. Use `add()` and "
            "`pop()` to change the layers in this model."
        )

    @property
    def sublayers(self) -> list[Layer]:
        """The layers inside this one."""
        return self._layers

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Append a layer; what `Input` returns may come first.

        Raises
        ------
        ValueError
            If it is no layer, an `Input` behind other layers, or of a name that
            another layer has.
        """
        origin = layer.node.operation if isinstance(layer, KerasTensor) and layer.node else layer
        if isinstance(origin, InputLayer):
            layer = origin
        if not isinstance(layer, Layer):
            raise ValueError(
                f"Only instances of `keras.Layer` can be added to a Sequential model. "
                f"Received: {layer!r} (of type {type(layer)})"
            )
        if isinstance(layer, InputLayer):
            if self._layers or self._input_layer is not None:
                known = self._input_layer.batch_shape if self._input_layer else None
                raise ValueError(
                    f"Sequential model '{self.name}' has already been configured to use input "
                    f"shape {known}. You cannot add a different Input layer to it: an Input must "
                    f"come first, and once. Received: {layer!r}"
                )
            self._input_layer = layer
        else:
            same = [other for other in self._layers if other.name == layer.name]
            if same and same[0] is not layer:
                raise ValueError(
                    f"All layers added to a Sequential model should have unique names. Name "
                    f"'{layer.name}' is already the name of a layer in this model. Update the "
                    f"`name` argument to pass a unique name."
                )
            self._append(layer)
        self._form = None
        if rebuild:
            self._maybe_build()

    def _append(self, layer: Layer) -> None:
        if not self._layers and self._input_layer is None and layer.given_batch_shape:
            self._input_layer = InputLayer(batch_shape=layer.given_batch_shape)
        self._layers.append(layer)

    def pop(self, rebuild: bool = True) -> Layer | None:
        """Remove the last layer and return it; None if there is none."""
        if not self._layers:
            return None
        layer = self._layers.pop()
        self._form = None
        del self._tensors[len(self._layers) + 1 :]
        self.compiled = False
        if rebuild and self.build_shape is not None:
            self.built = False
            self.build(self.build_shape)
        return layer

    # --- building -------------------------------------------------------------

    def _maybe_build(self) -> None:
        """Build, or build the layers added since, if the input's shape is known."""
        shape = self.build_shape or self._known_shape()
        if shape is not None and self._layers:
            self.built = False
            self.build(shape)

    def _known_shape(self) -> Shape | None:
        if self._input_layer is not None:
            return self._input_layer.batch_shape
        first: Any = self._layers[0] if len(self._layers) > 1 else None
        return first.build_shape if isinstance(first, Model) and first.built else None

    def build(self, input_shape: Any = None) -> None:
        """Build every layer for inputs of `input_shape`, batch axis included.

        Raises
        ------
        ValueError
            If the shape is unknown, another than that of the input, or does not fit a layer.
        """
        shape = self._known_shape() if input_shape is None else tuple(input_shape)
        if shape is None:
            raise ValueError(
                f"Sequential model '{self.name}' has no defined input shape yet: give its first "
                f"layer an `input_shape`, or call `build(input_shape)`."
            )
        with build_lock:
            known = self.build_shape if self.built else None
            if (
                known is not None
                and self._input_layer is not None
                and (
                    len(known) != len(shape)
                    or any(None not in p and p[0] != p[1] for p in zip(known, shape, strict=True))
                )
            ):
                raise ValueError(
                    f"Sequential model '{self.name}' has already been configured to use input "
                    f"shape {tuple(known)}. You cannot build it with input_shape {shape}"
                )
            if not self.built:
                self.create_weights(shape)
                self.build_shape = shape
                self.built = True

    def create_weights(self, input_shape: Shape) -> None:
        """Build the layers in their order, as a chain of calls on symbolic tensors."""
        if not self._layers:
            raise ValueError(
                f"Sequential model {self.name} cannot be built because it has no layers. Call "
                f"`model.add(layer)`."
            )
        first = self._input_layer
        if first is None:
            first = InputLayer(batch_shape=input_shape, dtype=self._layers[0].kernel_dtype)
        elif first.batch_shape != input_shape:
            raise ValueError(
                f"Sequential model '{self.name}' has already been configured to use input shape "
                f"{first.batch_shape}. You cannot build it with input_shape {input_shape}"
            )
        if not self._tensors or self._tensors[0] is not first.output:
            self._tensors = [first.output]
        for layer in self._layers[len(self._tensors) - 1 :]:
            if not layer.built:
                layer.path_prefix = f"{self.path_prefix}{self.name}/"
            self._tensors.append(layer(self._tensors[-1]))
        self._input_layer = first
        self._fits = None
        self.note_losses()
        self._gives_half = self._layers[-1]._gives_half
        # A layer that multiplies by weights makes a new array.
        self._passes_on = not any(layer.weights for layer in self._layers)
        self._mixed = any(
            below._foreign or layer.kernel_dtype != below.output_dtype
            for below, layer in pairwise(self._layers)
        )

    def build_from_data(self, x: np.ndarray) -> None:
        """Build the model for data like `x`, if it is not built yet."""
        if not self.built:
            self.build(self.shape_for(x))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output for inputs of `input_shape`."""
        shape = tuple(input_shape)
        for layer in self._layers:
            shape = layer.compute_output_shape(shape)
        return shape

    @property
    def input_shape(self) -> Any:
        """Shape of the input the model was built for."""
        return self._of_graph("input shape", 0).shape

    @property
    def output_shape(self) -> Any:
        """Shape of the output, batch axis included; a tuple where there are several."""
        return map_structure(lambda tensor: tensor.shape, self._of_graph("output shape", -1))

    @property
    def inputs(self) -> list[Any]:
        """The symbolic input, in a list."""
        return [self._of_graph("inputs", 0)]

    @property
    def outputs(self) -> list[Any]:
        """The symbolic outputs."""
        return flatten(self._of_graph("outputs", -1))

    @property
    def input(self) -> Any:
        """The symbolic input. In Keras a `Sequential` has it only where it was called itself."""
        return self._of_graph("input", 0)

    @property
    def output(self) -> Any:
        """The symbolic output."""
        return self._of_graph("output", -1)

    @property
    def output_names(self) -> list[str]:
        """The name of the last layer."""
        return [self._layers[-1].name]

    def _of_graph(self, what: str, index: int) -> Any:
        if not self.built:
            told = f"Sequential model '{self.name}' has no defined {what} yet."
            if what in ("input", "output"):  # Keras's words differ
                told = (
                    f"The layer {self.name} has never been called and thus has no defined {what}."
                )
            raise AttributeError(told)
        return self._tensors[index]

    # --- the way of the data --------------------------------------------------

    @property
    def takes_strings(self) -> bool:
        """Whether the inputs are strings, which the first layer turns into numbers."""
        return bool(self._layers) and getattr(self._layers[0], "takes_strings", False)

    @property
    def takes_integers(self) -> bool:  # type: ignore[override]  # the first layer decides
        """Whether integer inputs stay integers."""
        return bool(self._layers) and self._layers[0].takes_integers

    @property
    def kernel_dtype(self) -> str:
        """The float type of the first layer, to which data are converted."""
        return self._layers[0].dtype if self._layers else self.dtype

    @property
    def output_dtype(self) -> str:
        """Type of the last layer's output."""
        return self._layers[-1].output_dtype if self._layers else self.dtype

    def data_form(self) -> DataForm:
        """Return how the data look: one input and one output."""
        if self._form is None:
            dtype = np.dtype(self.kernel_dtype)
            column = Column("x", None if self.takes_strings else dtype, self.takes_integers)
            self._form = DataForm((column,), dtype, flat=self._by_name)
        return self._form

    def _by_name(self, inputs: dict[str, Any]) -> list[Any]:
        """Return the input in a dict that has it under its name, in a list."""
        names = [self.inputs[0].name, self.inputs[0].node.operation.name] if self.built else []
        for name in names:
            if name in inputs:
                return [inputs[name]]
        raise ValueError(
            f"The structure of `inputs` doesn't match the expected structure.\n"
            f"Expected: {names[:1]}\nReceived: inputs={list(inputs)}"
        )

    def convert(self, inputs: Any) -> np.ndarray:
        """Return the inputs as an array of the first layer's type."""
        if self.takes_integers:
            return np.asarray(inputs)
        return as_float_array(inputs, np.dtype(self.kernel_dtype), "inputs")

    def _adjust_rank(self, x: np.ndarray) -> np.ndarray:
        x = adjusted(x, self.build_shape)
        first = self._input_layer
        if first is not None and self.build_shape is not None and x.ndim != len(self.build_shape):
            raise ValueError(
                f"Invalid input shape for input of shape {x.shape} with name "
                f"'{first.output.name}' and path ''. Expected shape {self.build_shape}, but input "
                f"has incompatible shape {x.shape}"
            )
        return x

    def forward_with_mask(
        self,
        x: np.ndarray,
        training: bool = False,
        mask: Any = None,
        keep: bool = False,
        **options: Any,
    ) -> Any:
        """Return ``(y, mask of y, saved)``; `keep` if backward will follow out of training."""
        if not self.built:
            self.build(self.shape_for(x))
        x = self._adjust_rank(x)
        saved = []
        for layer in self._layers:
            if self._mixed:
                x = layer.convert(x)
            x, mask, kept = layer.forward_with_mask(x, training, mask, keep)
            saved.append(kept)
        return x, mask, saved

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return ``(y, saved)``; y is the caller's own, even of layers that only pass x on."""
        y, _, saved = self.forward_with_mask(x, training, mask)
        if self._passes_on and type(y) is np.ndarray and np.may_share_memory(x, y):
            y = y.copy()
        return y, saved

    def forward_by_layers(self, x: Any, training: bool | None, mask: Any) -> Any:
        """Return the output by a call of each layer, for tapes that record them one by one."""
        for i, layer in enumerate(self._layers):
            x = layer(
                x, training=training, **({"mask": mask} if i == 0 and mask is not None else {})
            )
        return x

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = False) -> Any:
        """Go back through the layers, adding the gradients of the weights.

        The gradient by the input is only computed, and returned, with `need_dx`.
        """
        return self.backward_below(len(self._layers), dy, saved, need_dx)

    def backward_below(self, end: int, dy: Any, saved: Any, need_dx: bool) -> Any:
        """Go back through the layers below number `end`, from the gradient by their output."""
        for i in range(end - 1, -1, -1):
            # Indices have no gradient, nor has what they were made from, but for penalties.
            if dy is None and not penalized(self._layers[i]):
                continue
            if self._mixed and dy is not None:
                dy = dy.astype(self._layers[i].output_dtype, copy=False)
            dy = self._layers[i].backward_with_penalty(dy, saved[i], need_dx or i > 0)
        return dy

    def logits_path(self, training: bool) -> LogitsPath | None:
        """Return the way to the logits of the output, None if it has none."""
        return LogitsPath.find(self, training)

    def check_input(self, x: np.ndarray) -> None:
        """Raise as `forward` would where the shape of `x` does not fit; values do not count."""
        self.checked_output_shape(x)

    def checked_output_shape(self, x: np.ndarray) -> Any:
        """Check the shape of the input of every layer; return the output's, None if unknown."""
        shape = self._adjust_rank(x).shape
        for layer in self._layers:
            layer.check_input(np.broadcast_to(np.zeros((), x.dtype), shape))
            if not layer.tells_shapes:
                return None
            try:
                shape = layer.compute_output_shape(shape)
            except (IndexError, TypeError, ValueError):  # the layer says better what is wrong
                return None
            if not all(isinstance(size, int) for size in shape):  # several outputs
                return None
        return shape

    def returns_input(self, training: bool) -> bool:
        """Whether every layer does, and adds no gradient on the way."""
        return all(
            layer.activity_regularizer is None and layer.returns_input(training)
            for layer in self._layers
        )

    def penalties(self, saved: Any) -> float:
        """Return the penalties on activities in what `forward_with_mask` saved."""
        total = 0.0
        for layer, kept in zip(self._layers, saved, strict=True):
            total += layer.penalties(kept)
        return total

    # --- saving ---------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return name and layers, ready for JSON."""
        config: dict[str, Any] = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": self.dtype,
            "layers": [],
        }
        stack = [self._input_layer] if self._input_layer is not None else []
        config["layers"] = [registry.serialize(layer) for layer in [*stack, *self._layers]]
        if self.built:
            config["build_input_shape"] = self.build_shape
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Sequential":
        """Build a model from what `get_config` returned; its weights are new."""
        if not isinstance(config, dict) or "layers" not in config:
            raise ValueError(
                f"A Sequential model configuration must be a dictionary containing the 'name' and "
                f"'layers' keys. Received: config={config}"
            )
        model = cls(name=config.get("name"))
        made: dict[str, Layer] = {}
        for entry in config["layers"]:
            layer = registry.deserialize(entry)
            # Names differ, so a name met again is that of a layer used twice; `add` would look
            # through all layers for each.
            layer = made.setdefault(layer.name, layer)
            if isinstance(layer, Layer) and not isinstance(layer, InputLayer):
                model._append(layer)
            else:
                model.add(layer, rebuild=False)
        if (shape := config.get("build_input_shape")) is not None:
            model.build(shape)
        else:
            model._maybe_build()
        model._trainable = config.get("trainable", True)
        return model

    def __getstate__(self) -> dict[str, Any]:
        # Each node before what is made of it, so that a long row of layers can be pickled.
        nodes = [tensor.node for tensor in self._tensors if isinstance(tensor, KerasTensor)]
        return {"_nodes": nodes, **super().__getstate__(), "_form": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({key: value for key, value in state.items() if key != "_nodes"})
