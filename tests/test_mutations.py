"""The mutation test: a fault planted in a kernel turns the equivalence check red.

Each mutation replaces a piece of source text, which has to be there, in a copy of
the engine; `mutation_check` then runs on the copy in its own process.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Mutation:
    """A fault: in `file`, `text` becomes `fault`, which `part` of the check sees."""

    name: str
    file: str
    text: str
    fault: str
    check: str = ""

    @property
    def part(self) -> str:
        """What is checked: as told, or else the recurrent kernels if the fault is there."""
        if self.check:
            return self.check
        if self.file == MASKED:
            return "mask"
        return "rnn" if self.file in (RNN, FORMULAS, GEMM) else "dense"


MASKED = "kernels/masked_rnn.py"
RNN, GEMM, OUTER = "kernels/simple_rnn.py", "kernels/gemm.py", "kernels/outer.py"
ROW, PANELS = "kernels/single_row.py", "kernels/panels.py"
ODD = "kernels/odd_column.py"
DENSE, FORMULAS, LOSSES = "kernels/dense.py", "kernels/formulas.py", "kernels/losses.py"

MUTATIONS = (
    Mutation(
        "transposed R forward",
        RNN,
        "pack(address(r), u, 0, u, u, odd",
        "pack(address(r), u, 1, u, u, odd",
    ),
    Mutation(
        "R not transposed backward",
        RNN,
        "pack(r, u, 1, u, u, odd",
        "pack(r, u, 0, u, u, odd",
    ),
    Mutation(
        "swapped F and U in dx",
        RNN,
        "pack(w, u, 1, u, f,",
        "pack(w, f, 1, u, f,",
    ),
    Mutation("missing bias", RNN, "b[j] if b.size else 0.0", "0.0"),
    Mutation("missing bias of Dense", DENSE, "b[j] if b.size else 0.0", "0.0"),
    Mutation(
        "off-by-one time",
        RNN,
        "previous, depth = target, u",
        "previous, depth = previous if t == 2 else target, u",
    ),
    Mutation(
        "inputs of the first step for all",
        RNN,
        "offset(inputs, t * x_step), x_row",
        "inputs, x_row",
    ),
    Mutation("stale h0", RNN, "previous, depth = h0, u * started", "previous, depth = h0, 0"),
    Mutation("dropped h0 in dR", RNN, "int(h0.size > 0), db_at", "0, db_at"),
    Mutation(
        "dropped first step backward",
        RNN,
        "for t in range(stop - 1, start - 1, -1):",
        "for t in range(stop - 1, start, -1):",
    ),
    Mutation(
        "dropped gradient of the later step",
        RNN,
        "if t == steps - 1:\n            depth = 0",
        "if t >= steps - 2:\n            depth = 0",
    ),
    Mutation(
        "half the batch in the weight gradients",
        OUTER,
        "depth = min(BLOCK, rows * count - start)",
        "depth = min(BLOCK, (rows * count - start + 1) // 2)",
    ),
    Mutation(
        "states of the first step for all in the weight gradients",
        OUTER,
        "offset(source, t * step + i * row)",
        "offset(source, i * row)",
        check="rnn",
    ),
    Mutation(
        "half the batch forward",
        DENSE,
        "gemm(bottom - top, right - left,",
        "gemm((bottom - top) // 2, right - left,",
    ),
    Mutation(
        "half the batch in training",
        DENSE,
        "gemm(bottom - top,",
        "gemm((bottom - top + 1) // 2,",
    ),
    Mutation(
        "gradient of Dense's inputs by the wrong weights",
        DENSE,
        "pack(offset(w, first * u + k), u, 1,",
        "pack(offset(w, first * u + k), 1, 1,",
    ),
    Mutation(
        "gradient overwritten instead of accumulated",
        GEMM,
        "new = [builder.fadd(i, s) for i, s in zip(old, sums, strict=True)]",
        "new = sums",
    ),
    Mutation("no gradient of the bias", OUTER, "int(top == 0)", "0"),
    Mutation(
        "dz of the next chunk dropped",
        RNN,
        "if t == stop - 1:\n            following = after",
        "if t == stop:\n            following = after",
    ),
    Mutation(
        "sums of the second group dropped",
        RNN,
        "load(dr, j) + load(part, f * u + j)",
        "load(dr, j)",
    ),
    Mutation(
        "inputs of the first row for the whole second group",
        RNN,
        "offset(address(x), first * x_row + start * x_step)",
        "offset(address(x), start * x_step)",
    ),
    Mutation(
        "dropped first step of small work",
        RNN,
        "((0, 1, 0), (1, steps, 1))",
        "((1, steps, 1),)",
        check="brief",
    ),
    Mutation(
        "inputs of small work a step off",
        RNN,
        "offset(address(x), start * f), steps * f",
        "address(x), steps * f",
        check="brief",
    ),
    Mutation(
        "states of the second group over those of the first",
        RNN,
        "states, step = offset(h, steps * shift), rows * u",
        "states, step = h, rows * u",
        check="apart",
    ),
    Mutation(
        "one row of large weights reads the first registers again",
        ROW,
        "(begin * u + vector - begin) * width",
        "begin * u * width",
        check="row",
    ),
    Mutation(
        "one row of large weights forgets its state between chunks",
        ROW,
        "previous = offset(address(h), (begin - 1) * u)",
        "previous = address(h)",
        check="row",
    ),
    Mutation(
        "an odd column without its inputs",
        RNN,
        "fill_odd(rows, u, f,",
        "fill_odd(rows, u, 0,",
        "odd",
    ),
    Mutation(
        "an odd column without the later step",
        RNN,
        "fill_odd(rows, u, depth, following,",
        "fill_odd(rows, u, 0, following,",
        check="odd",
    ),
    Mutation(
        "a row of R for its odd column",
        PANELS,
        "offset(source, n), row",
        "offset(source, n), 1",
        "odd",
    ),
    Mutation("an odd column of other rows", ODD, "offset(b, r * b_row)", "b", check="odd"),
    Mutation("half of an odd column's sum", ODD, "lane ^ step", "lane", check="odd"),
    Mutation(
        "an odd column under a mask without its states",
        MASKED,
        "fill_odd(rows, u, f, inputs, f, w, u,",
        "fill_odd(rows, u, f, inputs, f, w, 0,",
        check="odd",
    ),
    Mutation(
        "the first of two columns of a weight gradient for both",
        OUTER,
        "offset(last_panel, c)",
        "last_panel",
        check="dense",
    ),
    Mutation("a square packed as it lies", PANELS, "ops.transpose(rows)", "rows", check="row"),
    Mutation("wrong derivative of tanh", FORMULAS, "fma(-y, y, 1.0)", "fma(-y, 1.0, 1.0)"),
    Mutation("wrong derivative of sigmoid", FORMULAS, "fma(-y, y, y)", "fma(-y, y, 1.0)"),
    Mutation(
        "wrong derivative of relu",
        FORMULAS,
        "lambda y: where((-y).less(0.0), _one(y), 0.0)",
        "lambda y: _one(y)",
    ),
    Mutation(
        "state not kept under a mask",
        MASKED,
        "h[t, i, j] = h[t - 1, i, j] if t else h0[i, j]",
        "h[t, i, j] = 0.0",
    ),
    Mutation(
        "swapped mask",
        MASKED,
        "closed = mask.size and t >= 0 and not mask[t, i]",
        "closed = mask.size and t >= 0 and mask[t, i]",
    ),
    Mutation("unscaled gradient of the loss", LOSSES, "2.0 / p.size", "1.0 / p.size"),
)


def check(folder: Path, *parts: str) -> subprocess.CompletedProcess[str]:
    """Run the check on the engine in `folder`, with a cache of its own."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
        "RNN_ENGINE_CACHE_DIR": str(folder / "cache"),
    }
    program = str(ROOT / "tests" / "mutation_check.py")
    return subprocess.run(
        [sys.executable, program, *parts],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
    )


def copy_engine(folder: Path) -> Path:
    skip = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(ROOT / "rnn_engine", folder / "rnn_engine", ignore=skip))


def test_the_engine_itself_passes(tmp_path: Path) -> None:
    copied = copy_engine(tmp_path)
    done = check(tmp_path, "brief", "apart", "row", "odd", "rnn", "mask", "dense")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(str(copied))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_fault_is_seen(mutation: Mutation, tmp_path: Path) -> None:
    place = copy_engine(tmp_path) / mutation.file
    source = place.read_text()
    assert source.count(mutation.text) >= 1, f"{mutation.file} has no {mutation.text!r}"
    place.write_text(source.replace(mutation.text, mutation.fault))
    done = check(tmp_path, mutation.part)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "is off by" in done.stdout
