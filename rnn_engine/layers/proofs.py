"""What comes from a layer of the user's: proved before a kernel sees it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine.checks import as_gradient


@dataclass(slots=True)
class Proved:
    """What a layer of the user's saves: its own `saved`, and the shapes that its arrays have."""

    saved: Any
    x_shape: Any
    y_shape: Any


def shape_of(value: Any) -> Any:
    """Return the shape of an array, a list of them for several."""
    if isinstance(value, list | tuple):
        return [shape_of(part) for part in value]
    return getattr(value, "shape", None)


def proved(value: Any, shape: Any, dtype: np.dtype, what: str) -> Any:
    """Return gradients as arrays of these shapes; those of several arrays come in a list."""
    if isinstance(shape, list):
        return [proved(v, s, dtype, what) for v, s in zip(value, shape, strict=True)]
    return value if value is None else as_gradient(value, shape, dtype, what)
