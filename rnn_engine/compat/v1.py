"""`tf.compat.v1`, as far as programs of today still name it."""

from rnn_engine.environment import accepts, answers, logging, test
from rnn_engine.random import set_seed as set_random_seed

enable_eager_execution = enable_v2_behavior = enable_resource_variables = accepts
disable_v2_behavior = disable_eager_execution = disable_v2_tensorshape = accepts
executing_eagerly = answers(True)

__all__ = [
    "disable_eager_execution",
    "disable_v2_behavior",
    "disable_v2_tensorshape",
    "enable_eager_execution",
    "enable_resource_variables",
    "enable_v2_behavior",
    "executing_eagerly",
    "logging",
    "set_random_seed",
    "test",
]
