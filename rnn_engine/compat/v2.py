"""`tf.compat.v2`: today's names."""

from typing import Any

import rnn_engine


def __getattr__(name: str) -> Any:
    return getattr(rnn_engine, name)
