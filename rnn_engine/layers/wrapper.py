"""`Wrapper`, and what layers share that hold others."""

from typing import Any

from rnn_engine.layers.base import Layer, Penalized, Shape, registry
from rnn_engine.registry import custom_object_scope


class Wrapper(Layer):
    """Base of the layers around one other (`keras.layers.Wrapper`).

    Parameters
    ----------
    layer : Layer
        The inner one.

    Raises
    ------
    ValueError
        If it is no layer.
    """

    saves_on_demand = True

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            raise ValueError(f"{self._refusal(layer)} Received: {layer}")
        super().__init__(**kwargs)
        self.layer = layer

    def _refusal(self, layer: Any) -> str:
        """Return what is said of something that is no layer."""
        return (
            f"Layer {layer} supplied to {type(self).__name__} isn't a supported layer type. Please "
            f"ensure wrapped layer is a valid layer."
        )

    @property
    def sublayers(self) -> list[Layer]:
        """The inner layer."""
        return [self.layer]

    def create_weights(self, input_shape: Shape) -> None:
        """Build the inner layer."""
        build_inside(self, self.layer, input_shape)

    def reset_state(self) -> None:
        """Make the inner layer forget its state."""
        self.layer.reset_state()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "layer": registry.serialize(self.layer)}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Any:
        """Build the layers from what `get_config` returned; their weights are new."""
        settings = dict(config)
        return cls(deserialize_layer(settings.pop("layer"), custom_objects), **settings)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """Return the layer of a config. Mirrors `keras.layers.deserialize`.

    Raises
    ------
    ValueError, TypeError
        If it is no config of a layer, or of a class that is not known.
    """
    if not isinstance(config, dict | Layer):
        raise ValueError(
            f"`keras.layers.deserialize` was passed a `config` object that is not a "
            f"`keras.layers.Layer`. Received: {config}"
        )
    return deserialize_layer(config, custom_objects)


def build_inside(outer: Layer, layer: Layer, input_shape: Any) -> None:
    """Build a layer whose weights' paths go through `outer`."""
    if not layer.built:
        layer.path_prefix = f"{outer.path_prefix}{outer.name}/"
        layer.build(input_shape)
        layer.built = True  # a `build` of one's own may not say so


def penalized(layer: Layer, y: Any, saved: Any) -> Any:
    """Return what `forward_with_mask` of a layer would save, after a `forward` of it."""
    if layer.activity_regularizer is None:
        return saved
    return Penalized(saved, y, layer._activity_penalty(y))


def deserialize_layer(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """Return the layer or cell of a config; `custom_objects` has a user's classes by name."""
    if not isinstance(config, dict):
        return config
    with custom_object_scope(custom_objects):
        return registry.deserialize(config)


def remake(layer: Layer, **changes: Any) -> Any:
    """Return a new layer with the settings of another, but for `changes`."""
    with custom_object_scope(_classes(layer)):
        return type(layer).from_config({**layer.get_config(), **changes})


def _classes(layer: Any) -> dict[str, Any]:
    """Return the classes of a layer, its cells and the layers inside it, by their names."""
    found = {type(layer).__name__: type(layer)}
    inner = [vars(layer).get(name) for name in ("layer", "cell", "backward_layer")]
    for part in [*inner, *getattr(layer, "cells", ()), *getattr(layer, "sublayers", ())]:
        if part is not None:
            found.update(_classes(part))
    return found
