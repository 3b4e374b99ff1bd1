"""The mutation test: a fault planted in a kernel turns the equivalence check red.

Each mutation changes one function, by its name, in a copy of the engine: a piece of its code,
which has to be there, becomes another one. `mutation_check` then runs on the copy in its own
process.
"""

import ast
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
    """A fault: in `function` of `file`, `code` becomes `fault`, which `part` of the check sees.

    The function is "" for a whole file, as of a table.
    """

    name: str
    file: str
    function: str
    code: str
    fault: str
    part: str

    def plant(self, engine: Path) -> None:
        """Change the copy of the engine in a folder."""
        place = engine / "kernels" / self.file
        lines = place.read_text().splitlines(keepends=True)
        first, end = 0, len(lines)
        if self.function:
            tree = ast.parse("".join(lines))
            (found,) = (
                node
                for node in ast.walk(tree)
                if isinstance(node, ast.FunctionDef) and node.name == self.function
            )
            first, end = found.lineno - 1, found.end_lineno or end
        body = "".join(lines[first:end])
        assert self.code in body, f"{self.function} of {self.file} has no {self.code!r}"
        lines[first:end] = [body.replace(self.code, self.fault)]
        place.write_text("".join(lines))


LSTM, GRU, RNN = "recurrent/lstm.py", "recurrent/gru.py", "recurrent/simple_rnn.py"
WALKER, CHAIN, SUMS = "recurrent/walker.py", "recurrent/chain.py", "recurrent/gradients.py"
RESTORING, CHECKPOINTS = "recurrent/restoring.py", "recurrent/checkpoints.py"
WEIGHTS, DROPOUT, GATHER = "recurrent/weights.py", "recurrent/dropout.py", "recurrent/gather.py"

MUTATIONS = (
    # --- cells
    Mutation("swapped gates", LSTM, "_step", "gate(z[0]), gate(z[1])", "gate(z[1]), gate(z[0])",
             "lstm.plain"),
    Mutation("h for c", LSTM, "_step", "f, g, o, at.before[1])", "f, g, o, at.before[0])",
             "lstm.plain"),
    Mutation("forgotten carry", LSTM, "_back", "fma(dh * o, slope, at.d[1])", "dh * o * slope",
             "lstm.plain"),
    Mutation("derivative of sigmoid as of tanh", LSTM, "_back",
             "f, f_slope = gate.restore(at.kept[1])",
             "f, _ = gate.restore(at.kept[1]); f_slope = act.restore(at.kept[1])[1]", "lstm.plain"),
    Mutation("missing reset", GRU, "_step_after", "fma(r, at.zh[2], at.z[2])",
             "at.zh[2] + at.z[2]", "gru.plain"),
    Mutation("bias of the candidate outside the reset", GRU, "_back_after", "3: dn * r", "3: dn",
             "gru.plain"),
    Mutation("gradient past the product", GRU, "_back_after", "{0: d * z}", "{0: d}", "gru.plain"),
    Mutation("missing reset before", GRU, "_gates", "operand=r * at.before[0]",
             "operand=at.before[0] * 1.0", "gru_reset_before.plain"),
    Mutation("gradient of the reset", GRU, "_gates_back", "{0: da * r}", "{0: da}",
             "gru_reset_before.plain"),
    Mutation("derivative of the next state", RNN, "_back", "at.d[0] * slope", "at.d[0] * 1.0",
             "simple_rnn.plain"),
    # --- the walk
    Mutation("stale initial state", WALKER, "enter", 'elif number(plan, P.STARTED):', "elif 0:",
             "lstm.plain"),
    Mutation("state of the step before", WALKER, "place_step", "offset(base, slot * step)", "base",
             "simple_rnn.plain"),
    Mutation("inputs of the first step for all", WALKER, "forward",
             "offset(x, t * number(plan, P.X_STEP))", "x", "simple_rnn.plain"),
    Mutation("closed rows go on", WALKER, "repeat", "== 0:", "== 2:", "lstm.mask"),
    Mutation("swapped mask", WALKER, "step_open_rows", "byte(plan, P.MASK, at + high) != 0",
             "byte(plan, P.MASK, at + high) == 0", "gru.mask"),
    Mutation("dropped first step backward", CHAIN, "chain", "start - 1, -1):\n        _turn",
             "start, -1):\n        _turn", "simple_rnn.plain"),
    Mutation("gradient of the later step", CHAIN, "_turn", "behind = 0", "behind = rows",
             "lstm.plain"),
    Mutation("dz of the next chunk", CHAIN, "_turn",
             "following = pointer(frame, F.DZ_AFTER, like)", "following = target",
             "simple_rnn.plain"),
    Mutation("closed rows pass nothing", CHAIN, "_close", "load(row, j) + load(source, j)",
             "load(source, j)", "gru.mask"),
    Mutation("gradients of the last states", CHAIN, "_begin", "copy(carry, last, numbers)",
             "copy(carry, last, u)", "lstm.plain"),
    # --- weights and sums
    Mutation("R not transposed backward", WEIGHTS, "pack_transposed", "row, 1, depth, u,",
             "row, 0, depth, u,", "simple_rnn.plain"),
    Mutation("missing bias", WEIGHTS, "_pack_bias", "value = load(b, place)", "value = 0.0",
             "lstm.plain"),
    Mutation("gates out of order", WEIGHTS, "_pack_gates", "offset(w, g * u + first)",
             "offset(w, first)", "gru.plain"),
    Mutation("sums of the second group", SUMS, "add_sums", "load(target, j) + load(part, j)",
             "load(target, j)", "lstm.plain"),
    Mutation("runs of dz", SUMS, "add_runs", "offset(dz, slot * u)", "dz", "gru.plain"),
    Mutation("gradient by inputs of one step", SUMS, "fill_dx", "offset(out, i * rows * f)",
             "out", "lstm.plain"),
    # --- dropout
    Mutation("state dropout of the first gate for all", DROPOUT, "run_stage",
             "drop = offset(drop, ((first + gate) * batch + first_row) * u)",
             "drop = offset(drop, first_row * u)", "lstm.dropout"),
    Mutation("gradient without dropout of the state", DROPOUT, "_add_scaled",
             "load(a, i * n + j) * load(drop, i * n + j)", "load(a, i * n + j)", "gru.dropout"),
    Mutation("weights see inputs without dropout", GATHER, "_collect",
             "load(here, j) * load(factors, j)", "load(here, j)", "gru.dropout"),
    # --- states made again
    Mutation("restored by another formula", LSTM, "_restore", "f, g, o, at.before[1])",
             "f, g, o, at.before[0])", "lstm.thin"),
    Mutation("restored operand without reset", GRU, "_restore_before", "r * at.before[0]",
             "at.before[0] * 1.0", "gru_reset_before.thin"),
    Mutation("restored states one step off", RESTORING, "restore_states",
             "offset(state, whole)", "state", "gru.thin"),
    Mutation("restored of the gates of another step", RESTORING, "restore_states",
             "t * number(plan, P.KEPT_STEP)", "number(plan, P.KEPT_STEP)", "gru.thin"),
    Mutation("restored rows that are closed", RESTORING, "restore_states",
             "repeat(plan, frame, like, t)", "pass", "lstm.thin"),
    Mutation("segments from the states of the first", CHECKPOINTS, "fill",
             "begin // self._checkpoints.length", "0", "lstm.thin"),
    # --- what all share
    Mutation("half the batch in the weight gradients", "outer.py", "add_outer",
             "depth = min(block, rows * count - start)",
             "depth = min(block, (rows * count - start + 1) // 2)", "simple_rnn.plain"),
    Mutation("states of the first step in the weight gradients", "outer.py", "_pack_left",
             "offset(source, t * step + i * row)", "offset(source, i * row)", "lstm.plain"),
    Mutation("no gradient of the bias", "outer.py", "add_outer", "int(top == 0)", "0", "dense"),
    Mutation("the first of two columns for both", "outer.py", "add_outer",
             "offset(last_panel, c)", "last_panel", "dense"),
    Mutation("gradient overwritten instead of accumulated", "gemm.py", "", "builder.fadd(i, s)",
             "s", "lstm.plain"),
    Mutation("a square packed as it lies", "panels.py", "_transpose_square",
             "ops.transpose(rows)", "rows", "simple_rnn.plain"),
    Mutation("wrong derivative of tanh", "formulas.py", "", "fma(-y, y, 1.0)",
             "fma(-y, 1.0, 1.0)", "simple_rnn.plain"),
    Mutation("missing bias of Dense", "dense.py", "", "b[j] if b.size else 0.0", "0.0", "dense"),
    Mutation("half the batch forward", "dense.py", "forward_packed",
             "gemm(bottom - top, right - left,", "gemm((bottom - top) // 2, right - left,",
             "dense"),
    Mutation("half the batch in training", "dense.py", "", "gemm(bottom - top,",
             "gemm((bottom - top + 1) // 2,", "dense"),
    Mutation("gradient of Dense's inputs by the wrong weights", "dense.py", "",
             "pack(offset(w, first * u + k), u, 1,", "pack(offset(w, first * u + k), 1, 1,",
             "dense"),
    Mutation("unscaled gradient of the loss", "losses.py", "", "2.0 / p.size", "1.0 / p.size",
             "dense"),
)  # fmt: skip


def check(folder: Path, *parts: str) -> subprocess.CompletedProcess[str]:
    """Run the check on the engine in `folder`, with a cache of its own."""
    environment = {
        **os.environ,
        "RNN_ENGINE_KERNELS": "jit",  # what is changed has to be compiled
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
    parts = sorted({mutation.part for mutation in MUTATIONS})
    done = check(tmp_path, *parts)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(str(copied))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_fault_is_seen(mutation: Mutation, tmp_path: Path) -> None:
    mutation.plant(copy_engine(tmp_path))
    done = check(tmp_path, mutation.part)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "is off by" in done.stdout
