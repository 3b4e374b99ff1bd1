"""The registry of the optimizers, and the rounding they share."""

from typing import Any, TypeVar

import numpy as np

from rnn_engine.registry import Registry

registry = Registry("optimizer")

_Class = TypeVar("_Class", bound=type)


def register(cls: _Class) -> _Class:
    """Register a class under its name and its name in lower case."""
    return registry.register(*dict.fromkeys((cls.__name__, cls.__name__.lower())))(cls)


def through_float32(number: Any, value: float) -> Any:
    """Round a hyperparameter as `keras.ops.cast` does on TensorFlow.

    A Python float becomes a float32 tensor there before it is cast to the dtype
    of the variable, so that float64 variables see 0.9 as 0.89999998.
    """
    return number(np.float32(value))
