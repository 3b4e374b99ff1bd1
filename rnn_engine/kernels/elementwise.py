"""An activation, or the product with its derivative, over a whole array."""

from typing import Any

from rnn_engine.kernels.gemm import gemm
from rnn_engine.kernels.options import kernel
from rnn_engine.kernels.pointers import address


@kernel
def apply(op: int, source: Any, aux: Any, out: Any) -> None:
    """Write epilogue `op` of `source` to `out`; all three are flat and of one size.

    op = code of an activation: out = act(source), `aux` unused.
    op = -1 - code: out = source · act'(aux).
    """
    n = source.size
    start = address(source)
    # A product over no terms leaves init: what remains of gemm is its epilogue.
    gemm(1, n, 0, start, 0, 0, start, start, 0, address(out), 0, 0, op, address(aux), 0)
