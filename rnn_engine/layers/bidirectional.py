"""`Bidirectional`."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine.autodiff.recording import OPEN
from rnn_engine.graph import is_symbolic, map_structure
from rnn_engine.layers.base import Layer, Penalized, registry
from rnn_engine.layers.calls import call_in_context, is_special
from rnn_engine.layers.cell import check_count
from rnn_engine.layers.rnn import pack_like
from rnn_engine.layers.wrapper import build_inside, deserialize_layer, penalized, remake
from rnn_engine.tensor import as_tensor

MERGE_MODES = ("sum", "mul", "ave", "concat", None)
_SHARED = ("stateful", "return_sequences", "return_state")


@dataclass(slots=True)
class SavedDirections:
    """What backward of a `Bidirectional` needs.

    Attributes
    ----------
    layers : what both layers saved
    shapes : those of both outputs
    factors : both outputs, where they were multiplied, or None
    states : how many the forward layer returned
    """

    layers: list[Any]
    shapes: list[tuple[int, ...]]
    factors: tuple[np.ndarray, np.ndarray] | None
    states: int


@registry.register()
class Bidirectional(Layer):
    """A recurrent layer read in both directions (`keras.layers.Bidirectional`).

    Parameters
    ----------
    layer : recurrent Layer
        `SimpleRNN`, `LSTM`, `GRU` or `RNN`. As in Keras the wrapper makes two new layers
        with its settings; it stays as it is.
    merge_mode : str or None
        ``"concat"``, ``"sum"``, ``"mul"``, ``"ave"``; with None both outputs are
        returned, one after the other.
    weights : list of array, optional
        Initial weights, first those of the forward layer. Keras 3 takes them without
        using them; here they are used.
    backward_layer : recurrent Layer, optional
        Used as it is for the way back; it must have ``go_backwards`` other than `layer`
        has, and may be of another kind. A layer like the first one if None.

    With `return_sequences`, masked steps have zero output whatever the layers say, as in
    Keras; the outputs of the way back are turned into the order of the input. States are
    returned, and taken as `initial_state`, first those of the forward layer.

    Raises
    ------
    ValueError
        If a layer or the merge mode is none, or the two layers do not fit.
    TypeError
        If the layer is not recurrent.

    Examples
    --------
    >>> from rnn_engine.layers import SimpleRNN
    >>> layer = Bidirectional(SimpleRNN(3, return_sequences=True))
    >>> layer(np.zeros((1, 4, 2))).shape
    (1, 4, 6)
    """

    saves_on_demand = True
    call_arguments = ("initial_state",)
    passes_penalties = True

    def __init__(
        self,
        layer: Layer,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Layer | None = None,
        **kwargs: Any,
    ) -> None:
        _check_layers(layer, backward_layer)
        if merge_mode not in MERGE_MODES:
            raise ValueError(
                f"Invalid merge mode. Received: {merge_mode}. Merge mode should be one of "
                f"{MERGE_MODES}"
            )
        super().__init__(**kwargs)
        self.merge_mode = merge_mode
        way = layer.name.removeprefix("forward_")
        self.forward_layer: Any = remake(layer, name=f"forward_{way}")
        if backward_layer is None:
            way = layer.name.removeprefix("backward_")
            backward_layer = remake(layer, name=f"backward_{way}", go_backwards=True)
        self.backward_layer: Any = backward_layer
        self._check_directions()
        inner: Any
        for inner in self.sublayers:
            inner.zero_output_for_mask = inner.return_sequences
        self.stateful = self.forward_layer.stateful
        self.return_sequences = self.forward_layer.return_sequences
        self.return_state = self.forward_layer.return_state
        self._initial_weights = None if weights is None else list(weights)

    def _check_directions(self) -> None:
        first, second = self.forward_layer, self.backward_layer
        if first.go_backwards == second.go_backwards:
            raise ValueError(
                "Forward layer and backward layer should have different `go_backwards` value. "
                f"Received: forward_layer.go_backwards {first.go_backwards}, "
                f"backward_layer.go_backwards={second.go_backwards}"
            )
        for name in _SHARED:
            if getattr(first, name) != getattr(second, name):
                raise ValueError(
                    "Forward layer and backward layer are expected to have the same value for "
                    f'attribute "{name}", got "{getattr(first, name)}" for forward layer and '
                    f'"{getattr(second, name)}" for backward layer'
                )
        sizes = [getattr(layer, "output_size", None) for layer in (first, second)]
        if self.merge_mode in ("sum", "mul", "ave") and sizes[0] != sizes[1]:
            raise ValueError(
                f'merge_mode "{self.merge_mode}" puts the outputs of both directions together '
                f"element by element, so that they must have the same units. Received: {sizes[0]} "
                f"of forward layer {first.name!r}, {sizes[1]} of backward layer {second.name!r}; "
                f'merge_mode "concat" and None take different ones.'
            )

    @property
    def sublayers(self) -> list[Any]:
        """Both layers, the forward one first."""
        return [self.forward_layer, self.backward_layer]

    def create_weights(self, input_shape: Any) -> None:
        """Build both layers."""
        for layer in self.sublayers:
            build_inside(self, layer, input_shape)
        if self._initial_weights is not None:
            half = len(self._initial_weights) // 2
            self.forward_layer.set_weights(self._initial_weights[:half])
            self.backward_layer.set_weights(self._initial_weights[half:])

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output; a tuple of shapes where there are several."""
        shapes = [layer.compute_output_shape(input_shape) for layer in self.sublayers]
        outputs = [shape[0] if self.return_state else shape for shape in shapes]
        states = [state for shape in shapes if self.return_state for state in shape[1:]]
        if self.merge_mode is None:
            return (*outputs, *states)
        y = outputs[0]
        if self.merge_mode == "concat":
            y = (*y[:-1], sum(shape[-1] for shape in outputs))
        return (y, *states) if self.return_state else y

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask where the output has time steps, once for each output; states have none.

        A tuple with the states, or where both outputs are returned.
        """
        mask = mask if self.return_sequences else None
        masks = (mask, mask) if self.merge_mode is None else (mask,)
        if self.return_state:
            masks += (None,) * sum(len(layer.state_sizes) for layer in self.sublayers)
        return masks[0] if len(masks) == 1 else masks

    # --- states ---------------------------------------------------------------

    @property
    def states(self) -> Any:
        """The states of both layers, if they are stateful and built."""
        first, second = self.forward_layer.states, self.backward_layer.states
        return (*first, *second) if first and second else None

    def reset_state(self) -> None:
        """Make the states zero.

        Raises
        ------
        AttributeError
            If the layers are not stateful.
        """
        if not self.stateful:
            raise AttributeError("Layer must be stateful.")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    def _halves(self, initial_state: Any) -> tuple[Any, Any]:
        """Return the initial states of both layers."""
        if initial_state is None:
            return None, None
        given = initial_state if isinstance(initial_state, list | tuple) else []
        # One a state, or as Keras has those of stacked cells, a list a cell.
        for sizes in ("state_size", "state_sizes"):
            first, second = (len(getattr(layer, sizes)) for layer in self.sublayers)
            if len(given) == first + second:
                return list(given[:first]), list(given[first:])
        raise ValueError(
            f"initial_state of layer {self.name!r} must be a list of {first + second} states, "
            f"{first} of the forward layer and then {second} of the backward layer, got "
            f"{type(initial_state).__name__} of length {len(given)}."
        )

    def __call__(  # type: ignore[override]  # the state comes second, as in Keras
        self,
        inputs: Any = None,
        initial_state: Any = None,
        *,
        training: bool | None = None,
        mask: Any = None,
        sequences: Any = None,
    ) -> Any:
        """Apply the layer; a stateful one is built for the batch size it meets first.

        The input may be called `sequences`, as Keras 3 has it, or `inputs`, as Keras 2 had it.
        """
        inputs = sequences if inputs is None else inputs
        if is_symbolic(inputs, initial_state):
            given = {} if initial_state is None else {"initial_state": initial_state}
            return self.symbolic_call(inputs, training=training, mask=mask, **given)
        if OPEN or self.notes_losses or is_special(inputs, initial_state, {}):
            given = {} if initial_state is None else {"initial_state": initial_state}
            return call_in_context(self, inputs, (), training, mask, given)
        x = self.convert(inputs)
        if not self.built:
            self.build(x.shape if self.stateful else (None, *x.shape[1:]))
        result = self.forward(x, bool(training), mask, initial_state)[0]
        result = map_structure(as_tensor, result)
        return self.nested_outputs(result, {"initial_state": initial_state})

    def nested_outputs(self, outputs: Any, options: dict[str, Any]) -> Any:
        """Return the outputs with the states of stacked cells in lists, as Keras has them."""
        if not self.return_state:
            return outputs
        result, initial_state = outputs, options.get("initial_state")
        outputs = 2 if self.merge_mode is None else 1
        half = outputs + len(self.forward_layer.state_sizes)
        forms = self._halves(initial_state)
        parts = zip(self.sublayers, (result[outputs:half], result[half:]), forms, strict=True)
        states = [pack_like(layer, part, form) for layer, part, form in parts]
        return (*result[:outputs], *states[0], *states[1])

    # --- the way of the data --------------------------------------------------

    def check_input(self, x: np.ndarray) -> None:
        """Check the input as both layers do."""
        for layer in self.sublayers:
            layer.check_input(x)

    def forward(
        self,
        x: np.ndarray,
        training: bool = False,
        mask: Any = None,
        initial_state: Any = None,
        keep: bool = False,
    ) -> Any:
        """Return the merged output, or the tuple of outputs and states, and `saved`."""
        results, kept = [], []
        for layer, state in zip(self.sublayers, self._halves(initial_state), strict=True):
            given = layer.convert(x)
            result, saved = layer.forward(given, training, mask, initial_state=state, keep=keep)
            kept.append(penalized(layer, result, saved))
            y, *states = result if self.return_state else (result,)
            results.append((y.astype(self._np_dtype, copy=False), *states))
        (y, *states), (y_rev, *states_rev) = results
        shapes = [y.shape, y_rev.shape]
        if self.return_sequences:
            y_rev = y_rev[:, ::-1]
        if self.merge_mode is None:
            out: Any = (y, y_rev, *states, *states_rev)
        else:
            out = self._merge(y, y_rev)
            out = (out, *states, *states_rev) if self.return_state else out
        factors = (y, y_rev) if self.merge_mode == "mul" else None
        return out, SavedDirections(kept, shapes, factors, len(states))

    def _merge(self, y: np.ndarray, y_rev: np.ndarray) -> np.ndarray:
        if self.merge_mode == "concat":
            units = y.shape[-1]
            shape = (*y.shape[:-1], units + y_rev.shape[-1])
            if self.return_sequences and len(shape) == 3:  # time-major in memory, as its parts are
                out = np.empty((shape[1], shape[0], shape[2]), y.dtype).transpose(1, 0, 2)
            else:
                out = np.empty(shape, y.dtype)
            out[..., :units] = y
            out[..., units:] = y_rev
            return out
        if self.merge_mode == "mul":
            return y * y_rev
        total = y + y_rev
        if self.merge_mode == "ave":
            total /= 2
        return total

    def backward(self, dy: Any, saved: "SavedDirections", need_dx: bool = True) -> Any:
        """Add the weight gradients of both layers; return dx (B, T, F), or None.

        `dy` has the form of the output; any part may be None. Where the call had an
        `initial_state`, the tuple of dx and the gradients by the states is returned.

        Raises
        ------
        ValueError
            If the gradients are not of the shapes of the outputs.
        """
        dys, dstates = self._parts(dy, saved)
        halves = dstates[: saved.states], dstates[saved.states :]
        dx, dbefore = None, []
        for i, layer in enumerate(self.sublayers):
            given = dys[i]
            if given is not None:
                given = given.astype(layer.dtype, copy=False)
                if i == 1 and self.return_sequences:
                    given = given[:, ::-1]
            result = layer.backward_with_penalty(
                (given, *halves[i]) if self.return_state else given, saved.layers[i], need_dx
            )
            part = result
            if isinstance(result, tuple):
                part, *before = result
                dbefore += before
            if need_dx:
                part = part.astype(self._np_dtype, copy=False)
                dx = part if dx is None else dx + part
        return (dx, *dbefore) if dbefore else dx

    def _parts(self, dy: Any, saved: "SavedDirections") -> tuple[tuple[Any, Any], list[Any]]:
        """Return the gradients by the outputs of both layers, and those by their states."""
        outputs = saved.shapes
        if self.merge_mode is not None:
            outputs = saved.shapes[:1]
            if self.merge_mode == "concat":
                y = saved.shapes[0]
                outputs = [(*y[:-1], y[-1] + saved.shapes[1][-1])]
        parts = [dy]
        if self.return_state or self.merge_mode is None:
            states = [n for layer in self.sublayers for n in layer.state_sizes]
            wanted = [*outputs, *(states if self.return_state else ())]
            check_count(self.name, dy, wanted, "dy")
            parts = list(dy)
        dys = [
            None if part is None else self.gradient_like(part, shape)
            for part, shape in zip(parts, outputs, strict=False)
        ]
        split = (dys[0], dys[1]) if self.merge_mode is None else self._split(dys[0], saved)
        return split, parts[len(outputs) :]

    def _split(self, dy: Any, saved: "SavedDirections") -> tuple[Any, Any]:
        """Return the gradients by the outputs that were merged."""
        if dy is None:
            return None, None
        if self.merge_mode == "concat":
            units = saved.shapes[0][-1]
            return dy[..., :units], dy[..., units:]
        if saved.factors is not None:
            y, y_rev = saved.factors
            return dy * y_rev, dy * y
        if self.merge_mode == "ave":
            dy = dy / 2
        return dy, dy

    def penalties(self, saved: Any) -> float:
        """Return the penalties on activities: this layer's and those of both inside."""
        kept = (saved.saved if type(saved) is Penalized else saved).layers
        inner = zip(self.sublayers, kept, strict=True)
        return super().penalties(saved) + sum(layer.penalties(part) for layer, part in inner)

    # --- configuration --------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": registry.serialize(self.forward_layer),
            "backward_layer": registry.serialize(self.backward_layer),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "Bidirectional":
        """Build the layers from what `get_config` returned; their weights are new."""
        settings = dict(config)
        for key in ("layer", "backward_layer"):
            settings[key] = deserialize_layer(settings.get(key), custom_objects)
        return cls(**settings)


def _check_layers(layer: Any, backward_layer: Any) -> None:
    if not isinstance(layer, Layer):
        raise ValueError(
            "Please initialize `Bidirectional` layer with a `rnn_engine.layers.Layer` instance. "
            f"Received: {layer}"
        )
    if backward_layer is not None and not isinstance(backward_layer, Layer):
        raise ValueError(
            "`backward_layer` need to be a `rnn_engine.layers.Layer` instance. "
            f"Received: {backward_layer}"
        )
    for inner in (layer, backward_layer):
        if inner is not None and not hasattr(inner, "go_backwards"):
            raise TypeError(
                f"Bidirectional needs a recurrent layer, one with `go_backwards`, "
                f"`return_sequences`, `return_state` and `stateful`. Received: {inner}"
            )
