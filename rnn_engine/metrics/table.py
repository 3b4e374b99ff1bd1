"""The table of metrics: names and aliases to classes, and the per-sample functions.

A metric is one class with one `@metric` line; a per-sample function that
`MeanMetricWrapper` can be saved with is one function with `@metric_function`.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from rnn_engine.registry import Registry, made_of
from rnn_engine.utils.naming import to_snake_case

registry = Registry("metric")
functions = Registry("metric function")

_Class = TypeVar("_Class", bound=type)
_Function = TypeVar("_Function", bound=Callable[..., Any])


_ALIASES = {
    "BinaryCrossentropy": ("bce", "BCE"),
    "MeanAbsoluteError": ("mae", "MAE"),
    "MeanAbsolutePercentageError": ("mape", "MAPE"),
    "MeanSquaredError": ("mse", "MSE"),
    "MeanSquaredLogarithmicError": ("msle", "MSLE"),
}


def _names_of(name: str) -> tuple[str, ...]:
    """Return the name of a class, the snake case of it, and its aliases."""
    return tuple(dict.fromkeys((name, to_snake_case(name), *_ALIASES.get(name, ()))))


def announce(places: Mapping[str, str]) -> None:
    """Say where metrics and their functions stand by their names, as `lazy.lazily` has it."""
    for name, place in places.items():
        if name[0].islower():
            functions.announce({name: place})
        elif name != "Metric":
            registry.announce(dict.fromkeys(_names_of(name), place))


def metric(cls: _Class) -> _Class:
    """Register a class under its name, the snake case of it, and its aliases."""
    registry.register(*_names_of(cls.__name__))(cls)
    return cls


def metric_function(function: _Function) -> _Function:
    """Register a per-sample function, so that a config can name it."""
    functions.register()(function)
    return function


def serialize(metric: Any) -> Any:
    """Return a JSON-ready form of a metric. Mirrors `keras.metrics.serialize`.

    An instance gives ``{"class_name", "config"}``, a function its name.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> metrics.serialize(metrics.Mean(name="m"))
    {'class_name': 'Mean', 'config': {'name': 'm', 'dtype': 'float32'}}
    """
    return registry.serialize(metric)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """Rebuild what `serialize` wrote. Mirrors `keras.metrics.deserialize`.

    Parameters
    ----------
    config : dict or str
        ``{"class_name", "config"}``, or a name. What Keras writes is read too.
    custom_objects : dict, optional
        Classes and functions of the user by name; looked up first.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    custom = custom_objects or {}
    if isinstance(config, str):
        found = custom.get(config)
        return registry.get(config if found is None else found)
    if isinstance(config, dict) and config.get("class_name") == "function":
        return find_function(config, custom)
    if isinstance(config, dict) and config.get("class_name") in custom:
        return made_of(custom[config["class_name"]], config.get("config"))
    return registry.deserialize(config)


def get(identifier: Any) -> Any:
    """Return the metric that a name, a config, a class or an instance stands for.

    Mirrors `keras.metrics.get`: a name gives an instance with its defaults,
    functions and instances come back as they are, None gives None.

    Raises
    ------
    ValueError
        If the name is unknown or the identifier cannot be read.

    Examples
    --------
    >>> from rnn_engine import metrics
    >>> metrics.get("mae")
    <MeanAbsoluteError name=mean_absolute_error>
    """
    if isinstance(identifier, dict):
        return deserialize(identifier)
    return registry.get(identifier)


def find_function(config: Any, custom_objects: dict[str, Any]) -> Any:
    """Return the function that a name or a function config stands for."""
    name = config["config"] if isinstance(config, dict) else config
    if name in custom_objects:
        return custom_objects[name]
    return functions.lookup(name)
