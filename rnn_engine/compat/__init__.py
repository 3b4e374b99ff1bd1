"""Switches of TensorFlow's versions, which are accepted: `tf.compat`."""

from rnn_engine.compat import v1, v2

__all__ = ["v1", "v2"]
