"""`Lambda`: a function as a layer."""

import inspect
import weakref
from collections.abc import Callable
from typing import Any

from rnn_engine.layers.base import Layer, registry
from rnn_engine.registry import custom_objects

# Functions without a name, by a number: a config names them within one process.
_NAMELESS: "weakref.WeakValueDictionary[int, Any]" = weakref.WeakValueDictionary()


@registry.register()
class Lambda(Layer):
    """A function of tensors as a layer (`keras.layers.Lambda`).

    Training goes back through it by autograd, which takes the extra of that name.

    Parameters
    ----------
    function : callable
        Of the input, in `rnn_engine.ops` or NumPy; it may also take `mask` and `training`.
    output_shape : tuple or callable, optional
        Without the batch axis; or a function of the input's shape, batch included. Found out
        by a run on zeros if None.
    mask : callable or array, optional
        The mask of the output, or a function ``(inputs, mask)`` of it.
    arguments : dict, optional
        Further arguments of the function.

    Notes
    -----
    A config has the function's name, so that a model with a named function is read with it
    among the `custom_objects`. One without a name is found by its config only within the
    process that made it; Keras writes its code into files, which no file should bring along.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_engine import ops
    >>> Lambda(lambda x: ops.sum(x, axis=-1, keepdims=True))(np.ones((2, 3)))
    array([[3.],
           [3.]], dtype=float32)
    """

    supports_masking = True
    makes_masks = True

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"Argument `function` must be callable. Received: {function!r}")
        self.function = function
        self.arguments = dict(arguments or {})
        self._output_shape = output_shape
        self.mask = mask
        try:
            names = list(inspect.signature(function).parameters)
        except (TypeError, ValueError):  # a builtin may not tell
            names = []
        self._takes: list[str] = [name for name in ("mask", "training") if name in names]

    def call(self, inputs: Any, mask: Any = None, training: Any = None) -> Any:
        """Return the function of the input."""
        given = {"mask": mask, "training": training}
        known = {name: given[name] for name in self._takes}
        return self.function(inputs, **{**known, **self.arguments})

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the mask of the output."""
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the output."""
        from rnn_engine.layers.users import compute_output_shape

        if self._output_shape is None:
            return compute_output_shape(self, input_shape)
        if callable(self._output_shape):
            return self._output_shape(input_shape)
        first = input_shape
        while first and isinstance(first[0], list | tuple):
            first = first[0]
        return (first[0], *self._output_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; the function by its name."""
        config = {
            **super().get_config(),
            "function": _named(self.function),
            "arguments": self.arguments,
        }
        if self._output_shape is not None:
            shape = self._output_shape
            config["output_shape"] = _named(shape) if callable(shape) else shape
        if self.mask is not None:
            config["mask"] = _named(self.mask) if callable(self.mask) else self.mask
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Lambda":
        """Make a layer of what `get_config` returned.

        Raises
        ------
        ValueError
            If a function is not found.
        """
        settings = {name: _found(value) for name, value in config.items()}
        return cls(**settings)


def _named(function: Any) -> dict[str, Any]:
    name = getattr(function, "__name__", "<lambda>")
    if name != "<lambda>":
        return {"class_name": "function", "config": name, "registered_name": name}
    _NAMELESS[id(function)] = function
    return {"class_name": "__lambda__", "config": {"id": id(function)}}


def _found(value: Any) -> Any:
    """Return a function of a config, anything else as it is."""
    kind = value.get("class_name") if isinstance(value, dict) else None
    if kind == "__lambda__":
        inner = value.get("config")
        number = inner.get("id", 0) if isinstance(inner, dict) else 0
        found = _NAMELESS.get(number)
        if found is None:
            raise ValueError(
                "Requested the deserialization of a `Lambda` layer whose function is a Python "
                "`lambda`. Its code is not read from files. Give the function a name, and load the "
                "model with it among the `custom_objects`."
            )
        return found
    if kind == "function":
        name = value.get("config")
        known = custom_objects()
        if name not in known:
            from rnn_engine.ops.dispatch import OPS

            if name not in OPS:
                raise ValueError(
                    f"Could not locate function {name!r} of a `Lambda` layer: pass it in "
                    f"custom_objects."
                )
            return OPS[name]
        return known[name]
    return value
