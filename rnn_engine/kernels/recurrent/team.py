"""Few rows on several threads: the units of a step are shared out, and the states exchanged.

For one row of 256 units a step reads all of R out of the second-level cache. Two cores that read a
half each take half of the time, and some 0.2 µs to tell each other what came out.

A *turn* is a stage of a step, a *part* some whole registers of units, the last one with the units
that fill none. A part is computed by the code that computes the whole step, so its sums are the
same ones, and so are the bits. Who computes one writes to space of his own, where nobody else
looks. Then he takes the part of this turn by one atomic exchange, which succeeds once; only if it
did he copies what he has made to where all read it, and says that it is done. Who was too late
forgets what he has made. So a thread that stopped in the middle, and comes back whenever it may,
spoils nothing.

Each part has a counter: twice the turns that are done, and one more while one is being copied. A
turn begins when all counters say that the one before is done. Each part also has a *holder*, the
task that sees to it turn after turn:

- A task that comes takes the part of its own number, from whoever holds it.
- Parts without a holder are taken by those who are there. So nobody waits for a task that nobody
  has begun: one thread that goes through all tasks does everything in the first one.
- A task waits for the parts of others, for 200 µs. Then it computes them, too, and where it
  is the first it is the holder from then on. So a thread that has lost its core is waited for once.
- A task that holds nothing goes home. Only a task itself writes its name, so nobody holds anything
  under the name of one that has gone. Each holder is a task that is still there: the last one
  does not go before all is done.

Memory. All that is atomic is sequentially consistent, on any CPU. A copy comes before the counter
that says "done", and whoever reads the states has read the counter before: so he sees what was
copied. h takes turns in two places. What turn n reads is written over in turn n + 1, which begins
when all parts of turn n are done; those that did them read before their exchange, and an exchange
of turn n cannot succeed later. (Who is late may read what is half written. It forgets what it makes
of it.) States that stay in their place, as c does, are read and written by their own part only, and
written behind the exchange. All wait without end only for a copy that has begun: some registers.

At the end of a call the pool waits for a task that has begun, though its thread may have lost its
core. So where others did not come, or could not stay, the next calls are for one thread
(`pool.expects_help`).
"""

from enum import IntEnum
from typing import Any

from rnn_engine.kernels.atomics import pause, read, replace, write
from rnn_engine.kernels.denormals import flush_denormals, restore
from rnn_engine.kernels.options import Table, inlined_kernel, inner_kernel
from rnn_engine.kernels.pointers import copy_rows, lane_count, offset
from rnn_engine.kernels.pool import expects_help, patience, share, tell_help
from rnn_engine.kernels.recurrent.places import MOST_PARTS, MOST_STATES, F, P
from rnn_engine.kernels.recurrent.walker import FRAME, enter, leave, place_step, project
from rnn_engine.kernels.tables import call_body, call_part, new_table, number, pointer, put


class T(IntEnum):
    """Places in the table that the tasks of a call share; each part has two cache lines."""

    FRAME = 0  # address: of the whole row
    FIRST = 16  # the parts: counter, holder
    SIZE = 16
    END = FIRST + SIZE * MOST_PARTS


_TABLE = int(T.END)
_FIRST, _SIZE, _HOLDER = int(T.FIRST), int(T.SIZE), 1
# A task's own table: the units that parts begin with, the steps up to which it has projected
# their inputs, and where what it has made belongs.
_EDGE, _PROJECTED, _TARGET = 0, MOST_PARTS + 1, 2 * MOST_PARTS + 1
_OWN = _TARGET + MOST_STATES


@inlined_kernel
def _turns_done(team: Any, parts: int) -> int:
    """Return how many turns all parts have done."""
    least = read(team, _FIRST)
    for part in range(1, parts):
        counter = read(team, _FIRST + part * _SIZE)
        if counter < least:
            least = counter
    return least // 2


@inlined_kernel
def _copy_part(frame: Any, target: Any, source: Any, rows: int, width: int) -> None:
    """Copy the frame's units of rows, `width` numbers a unit."""
    low, high = number(frame, F.LOW), number(frame, F.HIGH)
    row = number(frame, F.UNITS_ROW) * width
    count = (high - low) * width
    copy_rows(offset(target, low * width), row, offset(source, low * width), row, rows, count)


@inner_kernel
def _compute(plan: Any, like: Any, team: Any, frame: Any, own: Any, turn: int, part: int) -> bool:
    """Compute a part of a turn; hand it out, and return True, if nobody has.

    `frame` and `own` are the task's own tables.
    """
    begin, stop, chunk = number(plan, P.BEGIN), number(plan, P.STOP), number(plan, P.CHUNK)
    rows, stages, t, stage = number(plan, P.BATCH), number(plan, P.STAGES), begin + turn, 0
    if stages > 1:
        t, stage = begin + turn // stages, turn % stages
    numbers, last, keeps = rows * number(plan, P.UNITS), stage == stages - 1, 0
    x = offset(pointer(plan, P.X, like), t * number(plan, P.X_STEP))
    put(frame, F.LOW, number(own, _EDGE + part))
    put(frame, F.HIGH, number(own, _EDGE + part + 1))
    put(frame, F.TIME, t)
    put(frame, F.AHEAD, (t - begin) % chunk)
    if number(own, _PROJECTED + part) <= t:
        count = min(chunk - number(frame, F.AHEAD), stop - t)
        project(plan, frame, like, x, rows, count)
        put(own, _PROJECTED + part, t + count)
    # What the step reads is what all have made; what it writes goes to the task's own space.
    place_step(plan, frame, like, t, 0)
    scratch = pointer(frame, F.SCRATCH, like)
    made = offset(scratch, number(plan, P.TURNS))
    made_operand = offset(scratch, number(plan, P.OWN))
    made_kept = offset(made_operand, numbers)
    operand, kept = pointer(frame, F.OPERAND, like), pointer(frame, F.KEPT, like)
    if number(frame, F.KEPT_ROW):
        keeps = number(plan, P.KEEPS)
        put(frame, F.KEPT, made_kept)
        if stage > 0:
            _copy_part(frame, made_kept, kept, rows, keeps)
    if last:
        for s in range(number(plan, P.STATES)):
            put(own, _TARGET + s, pointer(frame, F.AFTER + s, like))
            put(frame, F.AFTER + s, offset(made, s * numbers))
    else:
        put(frame, F.OPERAND, made_operand)
    call_part(plan, P.RUN_STAGE, frame, x, stage)
    put(frame, F.OPERAND, operand)
    place = _FIRST + part * _SIZE
    first = replace(team, place, 2 * turn, 2 * turn + 1)
    if first:
        if keeps:
            _copy_part(frame, kept, made_kept, rows, keeps)
        if last:
            for s in range(number(plan, P.STATES)):
                target = pointer(own, _TARGET + s, like)
                _copy_part(frame, target, offset(made, s * numbers), rows, 1)
        else:
            _copy_part(frame, operand, made_operand, rows, 1)
        write(team, place, 2 * turn + 2)
    return first


@inlined_kernel
def _equip(plan: Any, like: Any, team: Any, frame: Any, own: Any, task: int) -> None:
    """Give a task a frame with space of its own, and the edges of the parts."""
    parts, units, width = number(plan, P.TASKS), number(plan, P.UNITS), lane_count(like)
    whole = pointer(team, T.FRAME, team)
    for place in range(FRAME):
        put(frame, place, number(whole, place))
    scratch = pointer(plan, P.SCRATCH, like)
    scratch = offset(scratch, (task + 1) * number(plan, P.SCRATCH_SIZE))
    put(frame, F.SCRATCH, scratch)
    put(frame, F.ZH, offset(scratch, number(plan, P.ZH)))
    put(frame, F.LAID, offset(scratch, number(plan, P.LAID)))
    put(frame, F.REACH, number(plan, P.BATCH))
    for part in range(parts):
        put(own, _PROJECTED + part, 0)
        put(own, _EDGE + part, (units // width * part + parts - 1) // parts * width)
    put(own, _EDGE + parts, units)


@inner_kernel
def _work(plan: Any, like: Any, team: Any, task: int, tasks: int) -> None:
    """Go through the turns of a call with the others, as task `task`."""
    before = flush_denormals()
    frame, own = new_table(FRAME), new_table(_OWN)
    _equip(plan, like, team, frame, own, task)
    end = (number(plan, P.STOP) - number(plan, P.BEGIN)) * number(plan, P.STAGES)
    parts, me, rounds = number(plan, P.TASKS), task + 1, patience()
    turn, left = _turns_done(team, parts), rounds
    if turn < end:
        write(team, _FIRST + task * _SIZE + _HOLDER, me)
    while turn < end:
        held = 0
        for part in range(parts):
            place = _FIRST + part * _SIZE
            holder = read(team, place + _HOLDER)
            if holder == 0 and replace(team, place + _HOLDER, 0, me):
                holder = me
            if holder == me:
                held += 1
                if read(team, place) == 2 * turn:
                    _compute(plan, like, team, frame, own, turn, part)
        if held == 0:
            break
        while left > 0 and _turns_done(team, parts) == turn:
            pause()
            left -= 1
        if left <= 0:
            for part in range(parts):
                place = _FIRST + part * _SIZE
                late = read(team, place) == 2 * turn
                if late and _compute(plan, like, team, frame, own, turn, part):
                    write(team, place + _HOLDER, me)
            pause()
        done = _turns_done(team, parts)
        if done > turn:
            turn, left = done, rounds
    restore(before)


def forward_team(plan: Table, like: Any, task: int) -> None:
    """Take all rows through the steps of a call, a part of the units each task; a body."""
    if not expects_help():
        call_body(plan, P.ALONE, like, 0)
        return
    before = flush_denormals()
    frame, team, parts = new_table(FRAME), new_table(_TABLE), number(plan, P.TASKS)
    enter(plan, frame, like, 0, 0, number(plan, P.BATCH))
    for place in range(_TABLE):
        put(team, place, 0)
    put(team, T.FRAME, frame)
    share(_work, (plan, like, team), parts)
    came = 0
    for part in range(parts):
        if read(team, _FIRST + part * _SIZE + _HOLDER) == part + 1:
            came += 1
    tell_help(2 * came > parts)
    place_step(plan, frame, like, number(plan, P.STOP) - 1, 0)
    leave(plan, frame, like, 0, number(plan, P.BATCH))
    restore(before)
