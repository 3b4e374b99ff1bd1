"""`Sequential`: layers in a row, with weights, summary and the training methods."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from rnn_engine.checks import as_float_array, as_gradient
from rnn_engine.layers.base import Layer, Shape, build_lock, registry
from rnn_engine.layers.input_layer import InputLayer
from rnn_engine.layers.logits import LogitsPath
from rnn_engine.saving import Saveable
from rnn_engine.summary import summary_table
from rnn_engine.training import Trainer


class Model(Trainer, Saveable, Layer):
    """Base of the models (`keras.Model`), of which there is one, `Sequential`.

    For ``isinstance(model, Model)``. Keras also makes models of symbolic tensors
    (``Model(inputs, outputs)``) and of subclasses with a `call` of their own; this
    library, where backward is written by hand, has neither.

    Raises
    ------
    TypeError
        If it is itself called.
    """

    _locks_layers = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not isinstance(self, Sequential):
            raise TypeError(
                "Models are made with `Sequential([...])` here. `Model(inputs, outputs)` and "
                "models that subclass `Model` are not part of this library."
            )
        super().__init__(*args, **kwargs)


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

    def __init__(
        self,
        layers: Sequence[Layer] | None = None,
        trainable: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(trainable=trainable, name=name, **kwargs)
        self._layers: list[Layer] = []
        self._input_layer: InputLayer | None = None
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

    @property
    def sublayers(self) -> list[Layer]:
        """The layers inside this one."""
        return self._layers

    def add(self, layer: Layer, rebuild: bool = True) -> None:
        """Append a layer.

        Raises
        ------
        ValueError
            If it is no layer, an `Input` behind other layers, or of a name that
            another layer has.
        """
        if not isinstance(layer, Layer):
            raise ValueError(
                f"Only instances of `rnn_engine.layers.Layer` can be added to a Sequential model. "
                f"Received: {layer!r} (of type {type(layer)})"
            )
        if isinstance(layer, InputLayer):
            if self._layers or self._input_layer is not None:
                raise ValueError(
                    f"Sequential model '{self.name}' has already been configured: an Input must "
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
            self._layers.append(layer)
        if rebuild:
            self._maybe_build()

    def pop(self, rebuild: bool = True) -> Layer | None:
        """Remove the last layer and return it; None if there is none."""
        if not self._layers:
            return None
        layer = self._layers.pop()
        self.compiled = False
        if rebuild and self.build_shape is not None:
            self.built = False
            self.build(self.build_shape)
        return layer

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by its name or its place.

        Raises
        ------
        ValueError
            If there is none, or not exactly one of the two is given.
        """
        if (name is None) == (index is None):
            raise ValueError("Provide either a layer name or a layer index at `get_layer`.")
        if index is not None:
            if index >= len(self._layers):
                raise ValueError(
                    f"Was asked to retrieve layer at index {index} but model only has "
                    f"{len(self._layers)} layers."
                )
            return self._layers[index]
        for layer in self._layers:
            if layer.name == name:
                return layer
        names = [layer.name for layer in self._layers]
        raise ValueError(f"No such layer: {name}. Existing layers are: {names}.")

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
        return self._layers[0].given_batch_shape if self._layers else None

    def build(self, input_shape: Any = None) -> None:
        """Build every layer for inputs of `input_shape`, batch axis included.

        Raises
        ------
        ValueError
            If the shape is unknown or does not fit a layer.
        """
        shape = self._known_shape() if input_shape is None else tuple(input_shape)
        if shape is None:
            raise ValueError(
                f"Sequential model '{self.name}' has no defined input shape yet: give its first "
                f"layer an `input_shape`, or call `build(input_shape)`."
            )
        with build_lock:
            if not self.built:
                self.create_weights(shape)
                self.build_shape = shape
                self.built = True

    def create_weights(self, input_shape: Shape) -> None:
        """Build the layers in their order."""
        if not self._layers:
            raise ValueError(
                f"Sequential model {self.name} cannot be built because it has no layers."
            )
        shape: Any = input_shape
        for layer in self._layers:
            if not layer.built:
                layer.path_prefix = f"{self.path_prefix}{self.name}/"
                layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self._output_shape = shape
        self._fits = None
        # A layer that multiplies by weights makes a new array.
        self._passes_on = not any(layer.weights for layer in self._layers)
        self._mixed = any(
            below._foreign or layer.compute_dtype != below.output_dtype
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
        self._require_built("input_shape")
        return self.build_shape

    @property
    def output_shape(self) -> Any:
        """Shape of the output, batch axis included."""
        self._require_built("output_shape")
        return self._output_shape

    def _require_built(self, what: str) -> None:
        if not self.built:
            raise AttributeError(
                f"Sequential model '{self.name}' has no defined {what} yet: it is not built."
            )

    # --- the way of the data --------------------------------------------------

    @property
    def takes_integers(self) -> bool:  # type: ignore[override]  # the first layer decides
        """Whether integer inputs stay integers."""
        return bool(self._layers) and self._layers[0].takes_integers

    @property
    def compute_dtype(self) -> str:
        """The float type of the first layer, to which data are converted."""
        return self._layers[0].dtype if self._layers else self.dtype

    @property
    def output_dtype(self) -> str:
        """Type of the last layer's output."""
        return self._layers[-1].output_dtype if self._layers else self.dtype

    def convert(self, inputs: Any) -> np.ndarray:
        """Return the inputs as an array of the first layer's type."""
        if self.takes_integers:
            return np.asarray(inputs)
        return as_float_array(inputs, np.dtype(self.compute_dtype), "inputs")

    def _adjust_rank(self, x: np.ndarray) -> np.ndarray:
        """Add or drop a last axis of size one where the built shape wants it, as Keras does."""
        shape = self.build_shape
        if shape is not None and x.ndim != len(shape):
            if x.ndim == len(shape) - 1 and shape[-1] == 1:
                return x[..., None]
            if x.ndim == len(shape) + 1 and x.shape[-1] == 1:
                return x[..., 0]
        return x

    def forward_with_mask(
        self, x: np.ndarray, training: bool = False, mask: Any = None, keep: bool = False
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

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = False) -> Any:
        """Go back through the layers, adding the gradients of the weights.

        The gradient by the input is only computed, and returned, with `need_dx`.
        """
        return self.backward_below(len(self._layers), dy, saved, need_dx)

    def backward_below(self, end: int, dy: Any, saved: Any, need_dx: bool) -> Any:
        """Go back through the layers below number `end`, from the gradient by their output."""
        for i in range(end - 1, -1, -1):
            if dy is None:  # indices have no gradient, nor has what they were made from
                break
            if self._mixed:
                dy = dy.astype(self._layers[i].output_dtype, copy=False)
            dy = self._layers[i].backward_with_penalty(dy, saved[i], need_dx or i > 0)
        return dy

    def logits_path(self, training: bool) -> LogitsPath | None:
        """Return the way to the logits of the output, None if it has none."""
        return LogitsPath.find(self, training)

    def returns_input(self, training: bool) -> bool:
        """Whether every layer does, and adds no gradient on the way."""
        return all(
            layer.activity_regularizer is None and layer.returns_input(training)
            for layer in self._layers
        )

    @property
    def has_penalties(self) -> bool:
        """Whether a weight or an activity is penalized."""
        weights = any(v.regularizer is not None for v in self.weights)
        return weights or any(layer.activity_regularizer is not None for layer in self._inner())

    def _inner(self) -> Iterator[Layer]:
        """Yield all layers, those inside others too."""
        waiting = self.layers
        while waiting:
            layer = waiting.pop()
            yield layer
            waiting += layer.sublayers

    def regularization(self, saved: Any = None) -> float:
        """Add the gradients of the weights' penalties; return the sum of all penalties.

        Those on activities are in `saved`, their gradients are added by backward.
        """
        total = 0.0
        for variable in self.trainable_variables:
            if variable.regularizer is not None:
                total += float(variable.regularizer(variable.value))
                value = variable.value
                what = f"The gradient of the regularizer of {variable.path!r}"
                slope = variable.regularizer.gradient(value)
                variable.grad[...] += as_gradient(slope, value.shape, value.dtype, what)
        return total if saved is None else total + self.penalties(saved)

    def penalties(self, saved: Any) -> float:
        """Return the penalties on activities in what `forward_with_mask` saved."""
        total = 0.0
        for layer, kept in zip(self._layers, saved, strict=True):
            total += layer.penalties(kept)
        return total

    def reset_state(self) -> None:
        """Forget what stateful layers carry from batch to batch."""
        for layer in self._layers:
            if getattr(layer, "stateful", True):  # Bidirectional raises otherwise, as in Keras
                layer.reset_state()

    reset_states = reset_state

    # --- showing and saving ---------------------------------------------------

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Print a table of the layers (`keras.Model.summary`).

        Parameters
        ----------
        line_length : int, optional
            Width of the table.
        positions : list of float, optional
            Ends of the columns, as fractions of the width.
        print_fn : callable, optional
            Takes the table as one string instead of `print`.
        expand_nested, show_trainable : bool
            Show the layers of nested models; show a column on being trained.
        layer_range : pair of str, optional
            Names of the first and last layer to show.
        """
        text = summary_table(
            self, line_length, positions, expand_nested, show_trainable, layer_range
        )
        if print_fn is None:
            print(text)
        else:
            print_fn(text + "\n")

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
        model = cls(name=config.get("name"))
        made: dict[str, Layer] = {}
        for entry in config["layers"]:
            layer = registry.deserialize(entry)
            # Names differ, so a name met again is that of a layer used twice.
            model.add(made.setdefault(layer.name, layer), rebuild=False)
        if (shape := config.get("build_input_shape")) is not None:
            model.build(shape)
        else:
            model._maybe_build()
        model._trainable = config.get("trainable", True)
        return model
