"""A look inside a recurrent network: how far gradients and inputs reach, what its units do.

Each function computes with the model as it is, outside of training (no dropout), changes nothing
of it, and returns an object whose `plot()` draws it (``pip install "rnn_engine[plot]"``).
`callbacks.GradientMonitor` looks during a training.
"""

from rnn_engine.inspect.activity import (
    Saturation,
    UnitActivity,
    saturation,
    unit_activity,
)
from rnn_engine.inspect.gradients import GradientFlow, MemoryLength, gradient_flow, memory_length
from rnn_engine.inspect.spectrum import SpectralRadius, spectral_radius

__all__ = [
    "GradientFlow",
    "MemoryLength",
    "Saturation",
    "SpectralRadius",
    "UnitActivity",
    "gradient_flow",
    "memory_length",
    "saturation",
    "spectral_radius",
    "unit_activity",
]
