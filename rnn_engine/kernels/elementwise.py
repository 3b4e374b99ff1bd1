"""An activation, or the product with its derivative, over a whole array."""

from typing import Any

from rnn_engine.kernels.finish import call_finish
from rnn_engine.kernels.options import kernel
from rnn_engine.kernels.pointers import address, copy, offset

# Numbers that stay in the first-level cache between two passes.
_PART = 2048


@kernel
def apply(op: int, source: Any, aux: Any, out: Any) -> None:
    """Write epilogue `op` of `source` to `out`; all three are flat and of one size.

    op = code of an activation: out = act(source), `aux` unused.
    op = -1 - code: out = source · act'(aux).
    """
    for begin in range(0, source.size, _PART):
        count, target = min(_PART, source.size - begin), offset(address(out), begin)
        copy(target, offset(address(source), begin), count)
        call_finish(op, 1, count, target, count, offset(address(aux), begin), 0)
