"""Initial weights: `keras.initializers`.

Every name finds its class through one registry; the lower-case names are the
same classes, as in Keras.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rnn_engine.initializers.constants import Constant, Identity, Ones, Zeros
from rnn_engine.initializers.distributions import RandomNormal, RandomUniform, TruncatedNormal
from rnn_engine.initializers.initializer import (
    Initializer,
    RandomInitializer,
    any_dtype,
    check_shape,
    registry,
)
from rnn_engine.initializers.orthogonal import Orthogonal
from rnn_engine.initializers.scaling import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
    compute_fans,
)
from rnn_engine.lazy import lazily, show_public
from rnn_engine.registry import made_of

constant, identity, ones, zeros = Constant, Identity, Ones, Zeros
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
glorot_normal, glorot_uniform = GlorotNormal, GlorotUniform
he_normal, he_uniform = HeNormal, HeUniform
lecun_normal, lecun_uniform = LecunNormal, LecunUniform
variance_scaling, orthogonal = VarianceScaling, Orthogonal
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "compute_fans",
    "constant",
    "deserialize",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]


def get(identifier: Any) -> Any:
    """Resolve an initializer. Mirrors `keras.initializers.get`.

    Parameters
    ----------
    identifier : str, dict, class, callable, array or None
        A callable takes ``(shape, dtype=None)``. An array gives an initializer
        that returns it, for its own shape only.

    Raises
    ------
    ValueError
        If it names no initializer.

    Examples
    --------
    >>> get("glorot_uniform")
    GlorotUniform(seed=None, input_axes=None, output_axes=None)
    """
    if isinstance(identifier, np.ndarray | np.generic):
        return _from_array(np.array(identifier))
    return registry.get(identifier)


def serialize(initializer: Any) -> Any:
    """Return a JSON-ready form of an initializer. Mirrors `keras.initializers.serialize`."""
    return registry.serialize(initializer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """Rebuild what `serialize` wrote. Mirrors `keras.initializers.deserialize`.

    `custom_objects` maps class names to a user's own classes.
    """
    if custom_objects and isinstance(config, dict) and config.get("class_name") in custom_objects:
        return made_of(custom_objects[config["class_name"]], config.get("config"))
    return registry.deserialize(config)


def _from_array(values: np.ndarray) -> Callable[..., np.ndarray]:
    def initialize(shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        if check_shape(shape) != values.shape:
            raise ValueError(
                f"shape must be {values.shape}, the shape of the array that was given as "
                f"initializer, got {tuple(shape)}."
            )
        return values.astype(any_dtype(dtype))

    return initialize


__getattr__ = lazily(__name__, {})
show_public(__name__)
