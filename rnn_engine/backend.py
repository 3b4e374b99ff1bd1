"""Settings and sessions under their old names: `keras.backend`."""

from rnn_engine.config import (
    backend,
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    standardize_dtype,
)
from rnn_engine.utils.session import clear_session, get_uid

__all__ = [
    "backend",
    "clear_session",
    "epsilon",
    "floatx",
    "get_uid",
    "image_data_format",
    "set_epsilon",
    "set_floatx",
    "standardize_dtype",
]
