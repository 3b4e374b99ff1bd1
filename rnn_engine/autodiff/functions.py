"""A user's function of one array, differentiated: losses, activations and regularizers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from rnn_engine.autodiff import recording
from rnn_engine.tensor import as_tensor

Back = Callable[[Any], np.ndarray]


def with_way_back(function: Callable[[Any], Any], x: np.ndarray) -> tuple[np.ndarray, Back]:
    """Return ``function(x)``, and a function from the gradient by it to that by x.

    Raises
    ------
    ImportError
        If `autograd` is missing.
    """
    from rnn_engine.autodiff.tape import GradientTape

    engine = recording.load()
    tape = GradientTape(persistent=True, watch_accessed_variables=False)
    node = engine.root(x.dtype)
    with tape, np.errstate(all="ignore"):
        y = function(engine.box(x, tape.trace, node))

    def back(dy: Any) -> np.ndarray:
        seen = tape._seen(y)
        if seen is None:
            raise ValueError(
                f"There is no gradient of {_name(function)}: what it returns was not computed from "
                f"its argument, or passed through float(), int() or a NumPy array on the way."
            )
        slope = np.broadcast_to(np.asarray(dy, seen.dtype), seen.shape)
        found = engine.walk_back([seen._node], [slope], {node}).get(node)
        return np.zeros_like(x) if found is None else np.asarray(engine.value_of(found))

    return np.asarray(engine.value_of(y)), back


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def gradient_of(function: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    """Return the gradient of a function that gives one number."""
    return with_way_back(function, x)[1](1.0)


def applied(function: Callable[[Any], Any], x: Any) -> Any:
    """Return what a user's function makes of an array, in silence."""
    with np.errstate(all="ignore"):
        return np.asarray(function(as_tensor(x)))
