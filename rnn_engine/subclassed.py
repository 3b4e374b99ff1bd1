"""Models with a `call` of the user's: what they need besides what any layer with one needs."""

from dataclasses import replace
from typing import Any

import numpy as np

from rnn_engine.config import floatx
from rnn_engine.graph.nest import flatten, map_structure, pack_as
from rnn_engine.layers import traced
from rnn_engine.layers.base import Layer, build_lock
from rnn_engine.layers.users import build_with, compute_output_shape
from rnn_engine.model import Model
from rnn_engine.training.form import Column, DataForm

_FIRST = 2  # rows of the first data with which the layers inside are built, where these do


def adopt_model(cls: Any, own: set[str]) -> None:
    """Give a user's subclass of `Model` that has a `call` the methods below, but for its own."""
    for name, method in METHODS.items():
        if name not in own:
            setattr(cls, name, method)


def _see_data(self: Any, x: Any) -> None:
    """Note the form of the inputs, a nest of arrays."""
    if isinstance(x, list | tuple | dict) and all(hasattr(leaf, "shape") for leaf in flatten(x)):
        self._nest = map_structure(lambda leaf: None, x)


def _data_form(self: Any) -> DataForm:
    """Return how the data look: the inputs as they came, one output."""
    dtype = np.dtype(floatx())
    nest = self.__dict__.get("_nest")
    if nest is None:
        return DataForm((Column("x", dtype, True),), dtype, learn=self.learned_form)
    names = [f"x[{i}]" for i in range(len(flatten(nest)))]
    return DataForm(tuple(Column(name, dtype, True) for name in names), dtype, flat=flatten)


def _learned_form(self: Any, x: Any) -> DataForm:
    """Return how the data look of which `x` are the inputs of one batch."""
    self.see_data(x)
    return replace(_data_form(self), learn=None)


def _packed(self: Any, x: Any) -> Any:
    """Return a flat list of inputs in the form in which they came."""
    nest = self.__dict__.get("_nest")
    if nest is None or not isinstance(x, list):
        return pack_as(nest, [x]) if nest is not None and not isinstance(x, dict | tuple) else x
    return pack_as(nest, x)


def _data_of(self: Any, data: Any) -> Any:
    """Return a batch for a step of one's own, its inputs in their form."""
    nest = self.__dict__.get("_nest")
    if nest is None:
        return data
    if isinstance(data, tuple) and len(data) > 1:
        return (_packed(self, data[0]), *data[1:])
    return _packed(self, data[0] if isinstance(data, tuple) else data)


def _forward_with_mask(
    self: Any, x: Any, training: bool = False, mask: Any = None, keep: bool = False, **options: Any
) -> Any:
    """Return ``(y, mask of y, saved)``."""
    return traced.forward(self, _packed(self, x), training, mask, keep, **options)


def _forward(self: Any, x: Any, training: bool = False, mask: Any = None, **options: Any) -> Any:
    """Return ``(y, saved)``."""
    y, _, saved = _forward_with_mask(self, x, training, mask, **options)
    return y, saved


def _backward(self: Any, dy: Any, saved: Any, need_dx: bool = False) -> Any:
    """Go back through the record."""
    return traced.backward(self, dy, saved, need_dx)


def _build_from_data(self: Any, x: Any) -> None:
    """Build the layers by a call of the first rows of data."""
    if self.__dict__.get("_seen_tail") is not None:
        return
    whole = _packed(self, x)
    first = map_structure(lambda leaf: np.ascontiguousarray(leaf[:_FIRST]), whole)
    with build_lock:
        if not self.built:
            self.build_for(self.convert(first), {})
            self.built = True
        try:
            y, _, _ = traced.forward(self, self.convert(first), False)
        except Exception:  # a `call` for batches of one size: if it fails for that, it says why
            first = whole
            y, _, _ = traced.forward(self, self.convert(first), False)
    self._seen_tail = [np.shape(leaf)[1:] for leaf in flatten(y)]
    self._seen_input = [np.shape(leaf)[1:] for leaf in flatten(first)]
    shape = map_structure(lambda leaf: (None, *np.shape(leaf)[1:]), first)
    self.build_shape = self.build_shape or shape


def _build_for(self: Any, x: Any, options: dict[str, Any]) -> None:
    """Build for an input: by the user's `build`; without one a call builds what is inside."""
    if type(self).build is _build:
        self.built = True
        self.build_shape = map_structure(lambda leaf: (None, *np.shape(leaf)[1:]), x)
    else:
        build_with(self, map_structure(lambda leaf: tuple(np.shape(leaf)), x), options)


def _build(self: Any, input_shape: Any = None) -> None:
    """Build the layers by a call on zeros of a shape."""
    with build_lock:
        if self.built or input_shape is None:
            return
        self.build_shape = input_shape
        self.built = True
        try:
            self.call_on_zeros(input_shape)
        except Exception as error:
            self.built = False
            raise ValueError(
                f"Model {self.name!r} cannot be built by a call on zeros of shape {input_shape}: "
                f"{error}. Call it on real data instead."
            ) from error


def _call_on_zeros(self: Any, input_shape: Any) -> Any:
    """Return the shape of the output for zeros, floats or, where these do not do, indices."""
    try:
        return compute_output_shape(self, input_shape)
    except ValueError:
        return compute_output_shape(self, input_shape, "int32")


def _compute_output_shape(self: Any, input_shape: Any) -> Any:
    """Return the shape of the output, that of the first data where the sizes agree."""
    seen = self.__dict__.get("_seen_tail")
    entries = input_shape if isinstance(input_shape, list) else [input_shape]
    if seen is not None and [tuple(e[1:]) for e in entries] == self._seen_input:
        shapes = [(entries[0][0], *tail) for tail in seen]
        return shapes[0] if len(shapes) == 1 else shapes
    unknown = [(None, *entry[1:]) for entry in entries]
    found = self.call_on_zeros(unknown if len(entries) > 1 else unknown[0])
    if isinstance(found, tuple) and (not found or not isinstance(found[0], list | tuple)):
        return (entries[0][0], *found[1:])
    return found


def _checked_output_shape(self: Any, x: Any) -> Any:
    """Return None: only a call tells what the model takes."""
    return None


METHODS = {
    "see_data": _see_data,
    "data_form": _data_form,
    "learned_form": _learned_form,
    "data_of": _data_of,
    "forward_with_mask": _forward_with_mask,
    "forward": _forward,
    "backward": _backward,
    "build_from_data": _build_from_data,
    "build": _build,
    "build_for": _build_for,
    "call_on_zeros": _call_on_zeros,
    "compute_output_shape": _compute_output_shape,
    "checked_output_shape": _checked_output_shape,
}


class Holder(Model):
    """A user's model without a `call`: its layers are its attributes, for a `train_step`.

    Such a class gets this one as its base when its first model is made.
    """

    see_data = _see_data
    data_form = _data_form
    learned_form = _learned_form
    data_of = _data_of
    checked_output_shape = _checked_output_shape

    @property
    def sublayers(self) -> list[Layer]:
        """The layers among the attributes, in lists and dicts too."""
        return traced.held(self, Layer)

    @property
    def own_variables(self) -> list[Any]:
        """The weights of `add_weight`, and the variables among the attributes."""
        return traced.held_variables(self)

    def build_from_data(self, x: Any) -> None:
        """Count as built: what is inside is built by its calls."""
        self.built = True
