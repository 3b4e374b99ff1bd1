"""Few rows on several threads: the units of a step are shared out, and the state is exchanged.

For one row of 256 units a step reads all of R out of the second-level cache. Two cores that read a
half each take half of the time, and some 0.3 µs to tell each other what came out.

A *turn* is a stage of a step, a *part* some whole registers of units, the last one with the units
that fill none. A part of a turn is computed by the code that computes all of it, so its sums are
the same ones and so are the bits. Who computes one writes to space of his own, where nobody else
looks. Then he *takes* the part of this turn, by one atomic exchange that succeeds once, and only
if he did, copies what he has made to where all read it, and says that it is done. Whoever was
too late forgets what he has made. So nothing is written twice, and whoever stopped in the middle
and comes back after hours spoils nothing.

Each part has a counter: twice the turns that are done, and one more while one is being copied. A
turn begins when all counters say that the one before is done. Each part also has a *holder*, the
task that sees to it turn by turn. A task that comes takes the part of its own number. Nobody waits
for one that has not come: parts without a holder are taken by those who are there, so a single
thread that goes through all tasks does everything in the first one. A task waits for the holders of
other parts for some microseconds and then computes the part itself; if it is still the first, it is
the holder from then on. A task that holds nothing any more goes home: a thread that has lost its
core, as beside busy processes, is not waited for turn after turn. (The one that wrote the name of a
holder last is never without a part, so somebody stays until all is done.)

Memory: all that is atomic is sequentially consistent. Copies come before the counter that says
"done" in the order of the thread that writes it, and reading the counter comes before reading what
was copied; so on every CPU whoever sees the counter sees the states. h takes turns in two
places. The second turn after the one that made it writes over it, when all parts of the turn
between, the only one that reads it, are done: nobody whose exchange can still succeed reads it any
more. (Who is late may read what is half written, and forgets what it makes of it.) The same holds
for states in their place, such as c: only its own part reads and writes it. The only thing that
all wait for without end is a copy that has begun: some registers, some 20 ns.
"""

from enum import IntEnum
from typing import Any

from rnn_engine.kernels.atomics import pause, read, replace, write
from rnn_engine.kernels.denormals import flush_denormals, restore
from rnn_engine.kernels.options import Table, inlined_kernel, inner_kernel
from rnn_engine.kernels.pointers import copy_rows, lane_count, offset
from rnn_engine.kernels.pool import patience, share
from rnn_engine.kernels.recurrent.places import MOST_PARTS, F, P
from rnn_engine.kernels.recurrent.walker import FRAME, enter, leave, place_step, project
from rnn_engine.kernels.tables import call_part, new_table, number, pointer, put

class T(IntEnum):
    """Places in the table that the tasks of a call share; each part has two cache lines."""

    FRAME = 0  # address: of the whole row
    FIRST = 16  # the parts: counter, holder
    SIZE = 16
    END = FIRST + SIZE * MOST_PARTS


_TABLE = int(T.END)
_FIRST, _SIZE, _HOLDER = int(T.FIRST), int(T.SIZE), 1


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
def _edge(plan: Any, like: Any, part: int, parts: int) -> int:
    """Return the unit that a part begins with."""
    units, width = number(plan, P.UNITS), lane_count(like)
    if part == parts:
        return units
    return (units // width * part + parts - 1) // parts * width


@inlined_kernel
def _copy_part(frame: Any, target: Any, source: Any, rows: int, width: int) -> None:
    """Copy the frame's units of rows, `width` numbers a unit."""
    low, high = number(frame, F.LOW), number(frame, F.HIGH)
    row = number(frame, F.UNITS_ROW) * width
    count = (high - low) * width
    copy_rows(offset(target, low * width), row, offset(source, low * width), row, rows, count)


@inner_kernel
def _compute(
    plan: Any, like: Any, team: Any, frame: Any, ahead: Any, turn: int, part: int
) -> bool:
    """Compute a part of a turn; hand it out, and return True, if nobody has.

    `frame` is the task's own, and `ahead` has the step up to which it has projected the inputs
    of each part.
    """
    begin, stop, chunk = number(plan, P.BEGIN), number(plan, P.STOP), number(plan, P.CHUNK)
    u, rows, stages = number(plan, P.UNITS), number(plan, P.BATCH), number(plan, P.STAGES)
    parts, states = number(plan, P.TASKS), number(plan, P.STATES)
    t, stage = begin + turn // stages, turn % stages
    x = offset(pointer(plan, P.X, like), t * number(plan, P.X_STEP))
    put(frame, F.LOW, _edge(plan, like, part, parts))
    put(frame, F.HIGH, _edge(plan, like, part + 1, parts))
    put(frame, F.REACH, rows)
    put(frame, F.TIME, t)
    put(frame, F.AHEAD, (t - begin) % chunk)
    if number(ahead, part) <= t:
        count = min(chunk - number(frame, F.AHEAD), stop - t)
        project(plan, frame, like, x, rows, count)
        put(ahead, part, t + count)
    # What the step reads is what all have made; what it writes goes to the task's own space.
    place_step(plan, frame, like, t, 0)
    scratch = pointer(frame, F.SCRATCH, like)
    own, made = offset(scratch, number(plan, P.OWN)), offset(scratch, number(plan, P.TURNS))
    own_kept = offset(own, rows * u)
    operand, kept = pointer(frame, F.OPERAND, like), pointer(frame, F.KEPT, like)
    keeps, last = 0, stage == stages - 1
    if number(frame, F.KEPT_ROW):
        keeps = number(plan, P.KEEPS)
        put(frame, F.KEPT, own_kept)
        if stage > 0:
            _copy_part(frame, own_kept, kept, rows, keeps)
    if last:
        for s in range(states):
            put(frame, F.AFTER + s, offset(made, s * rows * u))
    else:
        put(frame, F.OPERAND, own)
    call_part(plan, P.RUN_STAGE, frame, x, stage)
    place = _FIRST + part * _SIZE
    first = replace(team, place, 2 * turn, 2 * turn + 1)
    if first:
        if keeps:
            _copy_part(frame, kept, own_kept, rows, keeps)
        if last:
            place_step(plan, frame, like, t, 0)
            for s in range(states):
                target = pointer(frame, F.AFTER + s, like)
                _copy_part(frame, target, offset(made, s * rows * u), rows, 1)
        else:
            _copy_part(frame, operand, own, rows, 1)
        write(team, place, 2 * turn + 2)
    put(frame, F.OPERAND, operand)
    return first


@inner_kernel
def _work(plan: Any, like: Any, team: Any, task: int, parts: int) -> None:
    """Go through the turns of a call with the others, as task `task`."""
    before = flush_denormals()
    frame, ahead, rows = new_table(FRAME), new_table(MOST_PARTS), number(plan, P.BATCH)
    whole = pointer(team, T.FRAME, team)
    for place in range(FRAME):
        put(frame, place, number(whole, place))
    scratch = pointer(plan, P.SCRATCH, like)
    scratch = offset(scratch, (task + 1) * number(plan, P.SCRATCH_SIZE))
    put(frame, F.SCRATCH, scratch)
    put(frame, F.ZH, offset(scratch, number(plan, P.ZH)))
    put(frame, F.LAID, offset(scratch, number(plan, P.LAID)))
    for part in range(parts):
        put(ahead, part, 0)
    end = (number(plan, P.STOP) - number(plan, P.BEGIN)) * number(plan, P.STAGES)
    me, turn = task + 1, 0
    rounds = patience()
    left = rounds
    write(team, _FIRST + task * _SIZE + _HOLDER, me)
    while turn < end:
        held = 0
        for following in range(parts):
            part = (task + following) % parts
            place = _FIRST + part * _SIZE
            if read(team, place + _HOLDER) == 0:
                replace(team, place + _HOLDER, 0, me)
            if read(team, place + _HOLDER) == me:
                held += 1
                if read(team, place) == 2 * turn:
                    _compute(plan, like, team, frame, ahead, turn, part)
        if held == 0:
            break
        while left > 0 and _turns_done(team, parts) == turn:
            pause()
            left -= 1
        if left <= 0:
            for part in range(parts):
                place = _FIRST + part * _SIZE
                if read(team, place) == 2 * turn:
                    if _compute(plan, like, team, frame, ahead, turn, part):
                        write(team, place + _HOLDER, me)
            pause()
        done = _turns_done(team, parts)
        if done > turn:
            turn, left = done, rounds
    restore(before)


def forward_team(plan: Table, like: Any, task: int) -> None:
    """Take all rows through the steps of a call, a part of the units each task; a body."""
    before = flush_denormals()
    frame, team = new_table(FRAME), new_table(_TABLE)
    enter(plan, frame, like, 0, 0, number(plan, P.BATCH))
    for place in range(_TABLE):
        put(team, place, 0)
    put(team, T.FRAME, frame)
    share(_work, (plan, like, team), number(plan, P.TASKS))
    place_step(plan, frame, like, number(plan, P.STOP) - 1, 0)
    leave(plan, frame, like, 0, number(plan, P.BATCH))
    restore(before)
