"""The innermost loops as the processor sees them: their sums stay in registers."""

import platform

import pytest

from tests.kernels.process import run
from tests.kernels.test_bits import AVX2

pytestmark = pytest.mark.jit

# Prints, for each tile, how many fused multiply-adds its loop over k has, how many of its
# instructions move a vector to or from the stack, and how many compute addresses.
PROGRAM = """
import re
import numpy as np
from rnn_engine.kernels import cache, gemm, options
cache.folder = lambda: None  # what is read from the cache brings no assembler with it
from rnn_engine.kernels.cache import provide_for
from rnn_engine.kernels.compiler import types

provide_for((types.{dtype},))
compiled = options.c_function(gemm.gemm_two.function, np.dtype('{dtype}'))
text = compiled._library.get_asm_str()
for block in re.split(r"\\n(?=\\.LBB)", text):
    label, *lines = [line.strip() for line in block.splitlines()]
    end = next((i for i, line in enumerate(lines) if line.startswith("j")), None)
    if end is None or lines[end].split()[-1] != label.split(":")[0]:
        continue  # no loop of a single block
    body = lines[: end + 1]
    sums = sum(line.startswith("vfmadd") for line in body)
    stack = sum(bool(re.search(r"%[xyz]mm.*%rsp|%rsp.*%[xyz]mm", l)) for l in body)
    steps = sum(l.startswith(("add", "lea", "sub", "inc", "dec", "mov")) for l in body)
    if sums:
        print(sums, stack, steps)
print(sum(len(heights) for heights in gemm.TILES.values()), -1, -1)
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads x86 assembler")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("changes", [{}, AVX2], ids=["host", "avx2"])
def test_no_tile_spills_its_sums(changes, dtype):
    out = run(PROGRAM.format(dtype=dtype), **changes)
    *loops, (tiles, *_) = [tuple(map(int, line.split())) for line in out.splitlines()]
    assert len(loops) == tiles
    assert [stack for _, stack, _ in loops] == [0] * tiles
    # Each tile has one fused multiply-add for each register of sums, and no more.
    assert max(sums for sums, _, _ in loops) == (24 if not changes else 12)
    # A pointer for four rows, two for the panels, the count: no addition for each row.
    assert max(steps for _, _, steps in loops) <= 6
