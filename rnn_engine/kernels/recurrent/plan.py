"""What the sizes of a pass decide: blocks, chunks, groups, places and calls. All of it is here.

Looked up, not computed again: a call on small work is a matter of microseconds.
"""

import functools
from dataclasses import dataclass

import numpy as np

from rnn_engine.kernels import threads
from rnn_engine.kernels.compiler import MOST_THREADS
from rnn_engine.kernels.outer import scratch_size
from rnn_engine.kernels.panels import packed_size, whole_registers
from rnn_engine.kernels.recurrent import cells
from rnn_engine.kernels.recurrent.cells import Cell
from rnn_engine.kernels.recurrent.launch import BRIEF_NUMBERS
from rnn_engine.kernels.recurrent.places import MOST_PARTS, P
from rnn_engine.kernels.recurrent.weights import stage_places
from rnn_engine.kernels.vector import REGISTER_BYTES

# Numbers of a block's sums, all rows and gates, that stay in the first-level cache until the
# cell's step takes them: 8 KiB in float32.
BLOCK_NUMBERS = 2048
BLOCK_REGISTERS = 4
# Inputs are projected ahead where there are fewer rows: a tall product waits less for each sum.
# The numbers of a chunk should stay in the second-level cache until the walk reads them.
AHEAD_ROWS = 4
AHEAD_NUMBERS = 32768
AHEAD_LEAST = 32
# So should the dz of a chunk until the weight gradients are added; but each block of rows
# passes over all of dW and dR.
BACKWARD_NUMBERS = 65536
BACKWARD_ROWS = 256
# A pass that keeps so many numbers of its steps besides the states (32 MB in float32) does not keep
# the states of all steps: going back the cell makes them again. That takes 1 to 2% of the time of a
# pass with 384 features and units, 2 to 3% with 192, 4% with 96 and 8% with 40.
THIN_NUMBERS = 2**23
THIN_DEPTH = 256
# A batch goes back in so many groups of rows, each with sums of its own. Two threads then
# share nothing but the weights.
GROUPS = 2
# Multiply-adds below which there is one group. It decides about bits: it does not follow
# the threads.
GROUP_WORK = 400_000
# For as few rows the units of a step are shared out, so that each thread has so many multiply-adds
# of h·R, 0.8 µs, before it waits for the others, 0.2 µs.
PART_WORK = 16_384


@dataclass(frozen=True, eq=False)
class Sizes:
    """What a pass is planned for. Plans are looked up by the object, so there should be one."""

    cell: Cell
    codes: tuple[int, ...]
    dtype: np.dtype
    features: int
    units: int
    batch: int = 1
    steps: int = 1

    @property
    def lanes(self) -> int:
        """Numbers of a register."""
        return REGISTER_BYTES // self.dtype.itemsize

    @property
    def keeps(self) -> int:
        """Numbers of a unit that a step keeps besides the states."""
        return self.cell.keeps(cells.activations(cells.held(self.cell, self.codes)))

    @property
    def work(self) -> int:
        """Multiply-adds of a pass forward."""
        wide = self.cell.gates * self.units
        return self.batch * self.steps * wide * (self.features + self.units)

    def up(self, count: int) -> int:
        """Return a count rounded up to whole cache lines."""
        line = 64 // self.dtype.itemsize
        return -(-count // line) * line


@dataclass
class Plan:
    """A plan, and what is to be allocated and called.

    Attributes
    ----------
    table : (P.END,) of int64, without the addresses of arrays
    bounds : what the table points to
    scratch : numbers of scratch, or of the work array
    kept : numbers of what the pass keeps
    calls : steps (begin, stop) of each call
    tasks : how many there are
    brief : whether it is small work, one call on one thread
    shape : (states, B, U)
    work : multiply-adds
    rows : the most of a task, or of a group going back
    parts : what the units of a step are cut in, each with a task, or 1; see `team`
    ready : whether the addresses of code are there
    """

    table: np.ndarray
    bounds: np.ndarray
    scratch: int
    kept: int
    calls: list[tuple[int, int]]
    tasks: int
    brief: bool
    shape: tuple[int, int, int]
    work: int
    rows: int
    parts: int = 1
    ready: bool = False


def new_table(sizes: Sizes) -> np.ndarray:
    """Return a plan with the sizes and the stages."""
    cell, table = sizes.cell, np.zeros(P.END, np.int64)
    stages, _ = stage_places(cell, sizes.features, sizes.units, sizes.dtype)
    table[P.STAGE :] = stages
    table[P.BATCH], table[P.STEPS] = sizes.batch, sizes.steps
    table[P.FEATURES], table[P.UNITS] = sizes.features, sizes.units
    table[P.GATES], table[P.SLOTS], table[P.KEEPS] = cell.gates, cell.width, sizes.keeps
    table[P.STATES], table[P.STAGES] = cell.states, len(cell.stages)
    table[P.PASSES], table[P.CARRIES] = cell.carries, cell.carries
    table[P.BIASES] = 1 + cell.apart
    only = cell.stages[0]
    table[P.JOINT] = len(cell.stages) == 1 and not only.apart and only.slots is None
    table[P.STOP] = sizes.steps
    table[P.X_ROW], table[P.X_STEP] = sizes.steps * sizes.features, sizes.features
    return table


def block_units(sizes: Sizes, rows: int, gates: int) -> int:
    """Return the units of a block: whole registers, and a tile's width of them at least."""
    lanes = sizes.lanes
    least = -(-BLOCK_REGISTERS // gates)
    return lanes * max(least, BLOCK_NUMBERS // (rows * gates * lanes))


def steps_ahead(sizes: Sizes, rows: int) -> int:
    """Return the steps whose inputs are projected at once, or 0."""
    wide = sizes.cell.gates * sizes.units
    if rows >= AHEAD_ROWS:
        return 0
    return min(sizes.steps, max(AHEAD_NUMBERS // (rows * wide), -(-AHEAD_LEAST // rows)))


def _is_flat(sizes: Sizes, block: int) -> bool:
    """Whether rows of a step lie together in all of a cell's arrays."""
    cell = sizes.cell
    one = cell.gates == cell.states == len(cell.stages) == cell.width == 1
    return one and sizes.keeps <= 1 and block + sizes.lanes > sizes.units


def parts_of(sizes: Sizes, work: int) -> int:
    """Return in how many parts the units of a step are shared out, most often 1.

    `work` is that of the pass.
    """
    if sizes.batch >= AHEAD_ROWS or work < threads.SERIAL_WORK:
        return 1
    cell = sizes.cell
    products = sizes.batch * cell.gates * sizes.units**2 // len(cell.stages)
    most = min(products // PART_WORK, sizes.units // sizes.lanes, MOST_PARTS, MOST_THREADS)
    return threads.tasks(work, most)


@functools.lru_cache(maxsize=512)
def forward_plan(
    sizes: Sizes, tasks: int, kept_states: int, keeps: bool, rows: int = 0, drops: bool = False,
    parts: int = 1,
) -> Plan:  # fmt: skip
    """Return the plan of a pass forward.

    Parameters
    ----------
    sizes : Sizes
    tasks : int
        Threads.
    kept_states : int
        How many of the states are kept at every step.
    keeps : bool
        Whether what else the steps make for backward is kept.
    rows : int
        With a mask or dropout, the most rows of a task: they may not be shared out evenly.
    drops : bool
        Whether there is dropout: another plan, since other code runs.
    parts : int
        What the units of a step are cut in, for as many threads; `tasks` is 1 then.
    """
    cell, units, features, batch = sizes.cell, sizes.units, sizes.features, sizes.batch
    regular = not rows
    rows = rows or -(-batch // tasks)
    table = new_table(sizes)
    gates = max(stage.gates for stage in cell.stages)
    chunk = steps_ahead(sizes, rows) if regular else 0
    block = block_units(sizes, rows, gates) if regular else units + sizes.lanes
    widest = min(units, block + sizes.lanes)
    table[P.CHUNK], table[P.BLOCK] = chunk, block
    table[P.FLAT] = regular and parts == 1 and _is_flat(sizes, block)
    table[P.TASKS] = parts
    kept = lay_kept(table, sizes, kept_states, keeps)
    hands = len(cell.stages) > 1 or (parts > 1 and keeps)
    handed = (1 + sizes.keeps) * rows * units if hands else 0
    turning = cell.states - kept_states + (kept_states == 0)
    if parts > 1:
        turning = max(turning, cell.states)
    spaces = {
        P.Z: rows * max(chunk * cell.gates * units, gates * widest),
        P.ZH: rows * gates * widest if cell.apart else 0,
        P.LAID: rows * features * (chunk * (rows > 1) if regular else 1),
        P.TURNS: turning * rows * units,
        P.OWN: handed,
        P.DROPPED: 0 if regular else rows * (features + (1 + gates) * units),
    }
    table[P.SCRATCH_SIZE] = _lay(table, sizes, spaces)
    bounds = batch * np.arange(tasks + 1) // tasks
    table[P.BOUNDS] = bounds.ctypes.data
    calls = threads.calls(sizes.steps, chunk or 1, sizes.work)
    spaces_of = tasks if parts == 1 else parts + 1  # one is of them all
    scratch = spaces_of * int(table[P.SCRATCH_SIZE])
    brief = scratch <= BRIEF_NUMBERS and tasks == parts == len(calls) == 1
    shape = cell.states, batch, units
    return Plan(table, bounds, scratch, kept, calls, tasks, brief, shape, sizes.work, rows, parts)


def lay_kept(table: np.ndarray, sizes: Sizes, kept_states: int, keeps: bool) -> int:
    """Give what a pass keeps its places: states (T + 1, B, U), numbers of the steps, operands.

    Where not all states are kept, no operands are: both are made again.
    """
    step, steps = sizes.batch * sizes.units, sizes.steps
    own = keeps and len(sizes.cell.stages) > 1 and kept_states == sizes.cell.states
    table[P.KEPT_STATES] = kept_states
    table[P.KEPT_STEP] = step * sizes.keeps if keeps else 0
    table[P.OPERAND_STEP] = step if own else 0
    place = 0
    for s in range(kept_states):
        table[P.STATE + s] = place
        place += sizes.up((steps + 1) * step)
    table[P.KEPT] = place
    place += sizes.up(steps * int(table[P.KEPT_STEP]))
    table[P.OPERAND] = place
    return place + steps * int(table[P.OPERAND_STEP])


def _lay(table: np.ndarray, sizes: Sizes, spaces: dict[P, int]) -> int:
    """Give spaces their places, one behind the other; return where they end."""
    place = 0
    for name, size in spaces.items():
        table[name] = place
        place += sizes.up(size)
    return place


def is_thin(sizes: Sizes, held: int) -> bool:
    """Whether a pass that keeps `held` states at every step anyway keeps no others."""
    cell = sizes.cell
    if cell.restore is None or held == cell.states or sizes.features + sizes.units < THIN_DEPTH:
        return False
    return sizes.keeps * sizes.batch * sizes.steps * sizes.units >= THIN_NUMBERS


def group_count(sizes: Sizes) -> int:
    """Return how many groups of rows go back with sums of their own."""
    return 1 if 2 * sizes.work < GROUP_WORK else min(sizes.batch, GROUPS)


@functools.lru_cache(maxsize=512)
def backward_plan(sizes: Sizes, tasks: int, rows: int = 0, drops: bool = False) -> Plan:
    """Return the plan of a pass back on up to `tasks` threads.

    With a mask or dropout `rows` is the most rows of a group: they may not be shared out evenly,
    and nobody shares a group.
    """
    cell, units, features, batch = sizes.cell, sizes.units, sizes.features, sizes.batch
    groups = group_count(sizes)
    regular = not rows
    members = max(1, tasks // groups) if regular else 1
    rows = rows or -(-batch // groups)
    table, dtype = new_table(sizes), sizes.dtype
    row, wide = cell.width * units, cell.gates * units
    chunk = max(BACKWARD_NUMBERS // (rows * row), -(-BACKWARD_ROWS // rows))
    chunk = min(sizes.steps, chunk)
    share = -(-rows // members)
    block = block_units(sizes, share, cell.width) if regular else units + sizes.lanes
    widest = min(units, block + sizes.lanes)
    table[P.CHUNK], table[P.BLOCK], table[P.GROUPS], table[P.MEMBERS] = (
        chunk,
        block,
        groups,
        members,
    )
    table[P.FLAT] = regular and _is_flat(sizes, block)
    lay_kept(table, sizes, cell.states, True)
    table[P.DH_SIZE] = sizes.up(share * widest * (1 if regular else 2))
    table[P.OUTER_SIZE] = sizes.up(scratch_size(chunk * rows, wide, dtype))
    table[P.SUMS_SIZE] = sizes.up((features + units + int(table[P.BIASES])) * wide)
    spaces = {
        P.RT: packed_size(wide, units, dtype),
        P.WT: packed_size(wide, features, dtype),
        P.ZEROS: whole_registers(max(units, features), dtype),
        P.DZ: (chunk + 1) * rows * row,
        P.DH: members * int(table[P.DH_SIZE]),
        P.CARRY: cell.states * rows * units,
        P.TRASH: wide,
        P.OUTER: members * int(table[P.OUTER_SIZE]),
    }
    if not regular:
        spaces[P.OPEN_X] = chunk * rows * features
        spaces[P.OPEN_H] = chunk * rows * units
        spaces[P.OPEN_DZ] = chunk * rows * row
        spaces[P.OPEN_DX] = chunk * rows * features
    table[P.GROUP_SIZE] = _lay(table, sizes, spaces)
    space = groups * int(table[P.GROUP_SIZE]) + (groups - 1) * int(table[P.SUMS_SIZE])
    bounds = np.array([_bound(batch, groups, members, i) for i in range(groups * members + 1)])
    table[P.BOUNDS] = bounds.ctypes.data
    calls = threads.calls(sizes.steps, chunk, 2 * sizes.work)
    brief = space <= BRIEF_NUMBERS and groups == members == len(calls) == 1
    shape = cell.states, batch, units
    return Plan(
        table, bounds, space, 0, calls, groups * members, brief, shape, 2 * sizes.work, rows
    )


def _bound(batch: int, groups: int, members: int, task: int) -> int:
    """Return the row at which a task's rows begin."""
    group, member = divmod(task, members)
    first = batch * group // groups
    if group == groups:
        return first
    rows = batch * (group + 1) // groups - first
    return first + rows * member // members
