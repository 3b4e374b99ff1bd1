"""States made again of what the steps have kept, for passes that keep those of a few steps only.

A step computes its states from its gates and the states before, unit by unit: without the products
that is a matter of some cycles a register. The formulas are those of the step, and so are the bits.
"""

from typing import Any

from rnn_engine.kernels.denormals import flush_denormals, restore
from rnn_engine.kernels.options import Table
from rnn_engine.kernels.pointers import offset
from rnn_engine.kernels.recurrent.places import F, P
from rnn_engine.kernels.recurrent.walker import FRAME, reach_of, repeat, step_open_rows
from rnn_engine.kernels.tables import new_table, number, pointer, put, word


def restore_states(plan: Table, like: Any, task: int) -> None:
    """Make the states of the steps BEGIN to STOP again, for the rows of a task; a body of `launch`.

    Those before BEGIN are there, and the first KEPT_STATES of each step.
    """
    first = word(plan, P.BOUNDS, task)
    rows = word(plan, P.BOUNDS, task + 1) - first
    if rows > 0:
        before = flush_denormals()
        frame = new_table(FRAME)
        u, states = number(plan, P.UNITS), number(plan, P.STATES)
        whole, row = number(plan, P.BATCH) * u, number(plan, P.KEEPS) * u
        put(frame, F.ROWS, rows)
        put(frame, F.FIRST_ROW, first)
        put(frame, F.UNITS_ROW, u)
        put(frame, F.UNIT, 0)
        put(frame, F.COLUMNS, u)
        put(frame, F.NEXT, whole)
        put(frame, F.HELD, number(plan, P.KEPT_STATES))
        put(frame, F.ACTIVATIONS, pointer(plan, P.ACTIVATIONS, like))
        put(frame, F.KEPT_ROW, row)
        kept, operand = pointer(plan, P.KEPT, like), pointer(plan, P.OPERAND, like)
        for s in range(states):
            put(frame, F.STATE_STEP + s, int(s >= number(plan, P.KEPT_STATES)))
        for t in range(number(plan, P.BEGIN), number(plan, P.STOP)):
            for s in range(states):
                state = offset(pointer(plan, P.STATE + s, like), t * whole + first * u)
                put(frame, F.BEFORE + s, state)
                put(frame, F.AFTER + s, offset(state, whole))
            put(frame, F.TIME, t)
            put(frame, F.KEPT, offset(kept, t * number(plan, P.KEPT_STEP) + first * row))
            put(frame, F.OPERAND, offset(operand, t * number(plan, P.OPERAND_STEP) + first * u))
            reach = rows
            if number(plan, P.MASK):
                reach = reach_of(plan, t, first, rows)
            put(frame, F.REACH, reach)
            step_open_rows(plan, frame, like, P.RESTORE)
            if number(plan, P.MASK):
                repeat(plan, frame, like, t)
        restore(before)
