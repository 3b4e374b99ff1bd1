"""Layers, activations and losses written once more in ops, for gradients of gradients.

What the library differentiates by hand has a way back in kernels, through which there is no
second way back. Where a tape records while another one goes back, the part in question is
computed again by these formulas, and `autograd` differentiates them as often as it is asked.
They are slow and short; the kernels stay what everything else runs on.
"""

from rnn_engine.autodiff.in_ops import recurrent  # noqa: F401  # enters its formulas
from rnn_engine.autodiff.in_ops.activations import activated
from rnn_engine.autodiff.in_ops.layers import Call, called
from rnn_engine.autodiff.in_ops.losses import loss_values

__all__ = ["Call", "activated", "called", "loss_values"]
