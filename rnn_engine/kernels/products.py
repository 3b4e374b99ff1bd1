"""Many small matrix products of one shape: out[i, j] = a[i, j] · b[i, j].

What attention and `Dot` are made of. Each product goes through `gemm`: the left side as it
lies, the right one packed first.
"""

from enum import IntEnum
from typing import Any

from rnn_engine.kernels.denormals import flush_denormals, restore
from rnn_engine.kernels.gemm import gemm
from rnn_engine.kernels.options import kernel
from rnn_engine.kernels.panels import pack, packed_size, whole_registers
from rnn_engine.kernels.pointers import address, offset, store
from rnn_engine.kernels.pool import share


class At(IntEnum):
    """Places in the plan: sizes, and how many numbers apart what lies in the arrays."""

    OUTER, INNER, M, N, K = range(5)
    A_OUTER, A_INNER, A_ROW, A_K = range(5, 9)
    B_OUTER, B_INNER, B_ROW, TRANSPOSED = range(9, 13)
    OUT_OUTER, OUT_INNER, OUT_ROW, SIZE = range(13, 17)


(_OUTER, _INNER, _M, _N, _K, _A_OUTER, _A_INNER, _A_ROW, _A_K, _B_OUTER, _B_INNER, _B_ROW,
 _TRANSPOSED, _OUT_OUTER, _OUT_INNER, _OUT_ROW, _) = map(int, At)  # fmt: skip


def scratch_size(n: int, k: int, dtype: Any) -> int:
    """Return the length of the scratch of one task."""
    return packed_size(k, n, dtype) + whole_registers(n, dtype)


@kernel
def products(a: Any, b: Any, out: Any, plan: Any, scratch: Any, task: int, tasks: int) -> None:
    """Fill one task's share of `out`.

    Parameters
    ----------
    a, b, out : where the numbers begin, one element each; `plan` says how they lie
    plan : (At.SIZE,) of int64; b is K x N with rows B_ROW apart, N x K if TRANSPOSED
    scratch : (tasks * scratch_size(...),)
    """
    m, n, k = plan[_M], plan[_N], plan[_K]
    count = plan[_OUTER] * plan[_INNER]
    zeros = offset(address(scratch), scratch.size // tasks * task)
    padded = scratch.size // tasks
    for j in range(n):
        store(zeros, padded - 1 - j, 0.0)
    panels, zeros = zeros, offset(zeros, padded - n)
    # Tasks share out the products; where these are fewer, the rows of each.
    top, bottom, first, end = 0, m, count * task // tasks, count * (task + 1) // tasks
    if count < tasks:
        top, bottom, first, end = m * task // tasks, m * (task + 1) // tasks, 0, count
    before = flush_denormals()
    # Long sums are cut into blocks (`add`), as those of weight gradients have to be.
    for i in range(first, end):
        outer, inner = i // plan[_INNER], i % plan[_INNER]
        if bottom == top:
            continue
        pack(offset(address(b), outer * plan[_B_OUTER] + inner * plan[_B_INNER]), plan[_B_ROW],
             plan[_TRANSPOSED], k, n, panels)  # fmt: skip
        left = outer * plan[_A_OUTER] + inner * plan[_A_INNER] + top * plan[_A_ROW]
        target = outer * plan[_OUT_OUTER] + inner * plan[_OUT_INNER] + top * plan[_OUT_ROW]
        gemm(bottom - top, n, k, offset(address(a), left), plan[_A_ROW], plan[_A_K], panels, zeros,
             0, offset(address(out), target), plan[_OUT_ROW], 1, 0, zeros, 0)  # fmt: skip
    restore(before)


@kernel
def products_tasks(a: Any, b: Any, out: Any, plan: Any, scratch: Any, tasks: int) -> None:
    """Do what `products` does, shared out between `tasks` threads."""
    share(products, (a, b, out, plan, scratch), tasks)
