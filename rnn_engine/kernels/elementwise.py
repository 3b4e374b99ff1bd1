"""An activation, or the product with its derivative, over a whole array."""

from typing import Any

from rnn_engine.kernels.finish import AT_ONCE, call_finish
from rnn_engine.kernels.options import kernel
from rnn_engine.kernels.pointers import address, copy, offset


@kernel
def apply(op: int, source: Any, aux: Any, out: Any) -> None:
    """Write epilogue `op` of `source` to `out`; all three are flat and of one size.

    op = code of an activation: out = act(source), `aux` unused.
    op = -1 - code: out = source · act'(aux).
    """
    for begin in range(0, source.size, AT_ONCE):
        count, target = min(AT_ONCE, source.size - begin), offset(address(out), begin)
        copy(target, offset(address(source), begin), count)
        call_finish(op, 1, count, target, count, offset(address(aux), begin), 0)
