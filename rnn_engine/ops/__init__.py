"""Functions of tensors: `keras.ops`, on arrays, on symbolic tensors, and below a tape.

On arrays they are NumPy's, in Keras's types: float32 stays float32, integers beside
floats do not widen them, and Python's lists become float32 and int32. On the symbolic
tensors of `Input` they make nodes of a model; what a `GradientTape` or a layer of one's own
records, `autograd` differentiates.

Keras's functions of images, of strided windows and of Fourier's transforms are not among
them; docs/keras_parity.md lists what is.

Examples
--------
>>> from rnn_engine import ops
>>> ops.mean(ops.square([[1.0, 2.0], [3.0, 4.0]]), axis=-1)
array([ 2.5, 12.5], dtype=float32)
"""

from typing import TYPE_CHECKING, Any

from rnn_engine.ops import (
    control,
    ctc,
    elementwise,
    indexing,
    linear_algebra,
    nn,
    reductions,
    shapes,
)
from rnn_engine.ops.dispatch import OPS

globals().update(OPS)

__all__ = sorted(OPS)
del control, ctc, elementwise, indexing, linear_algebra, nn, reductions, shapes

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Return a function of the table, whose type a checker cannot see."""
