"""Mixed precision: `keras.mixed_precision`; see `rnn_engine.dtype_policies` for what it does."""

from rnn_engine.dtype_policies import DTypePolicy, dtype_policy, set_dtype_policy
from rnn_engine.optimizers.loss_scale import LossScaleOptimizer

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy

__all__ = [
    "DTypePolicy",
    "LossScaleOptimizer",
    "Policy",
    "dtype_policy",
    "global_policy",
    "set_dtype_policy",
    "set_global_policy",
]
