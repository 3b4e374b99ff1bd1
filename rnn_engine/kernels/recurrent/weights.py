"""Packed weights: panels of W and R, the gates of some units side by side.

The panels of a stage with G gates, each of one register of columns:

    [register of units][gate]        then the units that fill no register: [gate][unit]

so that the sums of some units, all their gates, are one product and lie together in the
first-level cache when the step takes them. 40 units of four gates are ten registers that way,
where each gate alone would take three. Biases lie in the same order.
"""

import functools
from typing import Any

import numpy as np

from rnn_engine.kernels.options import Table, kernel, linked
from rnn_engine.kernels.panels import pack, packed_size, whole_registers
from rnn_engine.kernels.pointers import address, lane_count, load, offset, store
from rnn_engine.kernels.recurrent.cells import Cell
from rnn_engine.kernels.recurrent.places import P, S
from rnn_engine.kernels.tables import number, table_of
from rnn_engine.kernels.vector import REGISTER_BYTES


def panel_columns(gates: int, units: int, dtype: Any) -> int:
    """Return the columns of a stage's panels, the last one filled up."""
    lanes = REGISTER_BYTES // np.dtype(dtype).itemsize
    return gates * (units // lanes * lanes) + whole_registers(gates * (units % lanes), dtype)


@functools.lru_cache(maxsize=256)
def stage_places(cell: Cell, features: int, units: int, dtype: Any) -> tuple[np.ndarray, int]:
    """Return the stages' part of a plan, without addresses of code, and the size of the weights."""
    table = np.zeros(P.END - P.STAGE, np.int64)
    place, gate, transposed = 0, 0, 0
    for index, stage in enumerate(cell.stages):
        row = table[index * S.SIZE :]
        columns = panel_columns(stage.gates, units, dtype)
        row[S.FIRST], row[S.GATES] = gate, stage.gates
        row[S.OWN], row[S.APART] = stage.own, stage.apart
        runs = _runs(stage.slots or tuple(range(gate, gate + stage.gates)))
        (row[S.SLOT], row[S.COUNT]), (row[S.SLOT_2], row[S.COUNT_2]) = runs
        row[S.W], row[S.R] = place, place + features * columns
        row[S.BIAS] = place = place + (features + units) * columns
        place += (1 + stage.apart) * whole_registers(stage.gates * units, dtype)
        row[S.RT] = transposed
        transposed += packed_size(stage.gates * units, units, dtype)
        gate += stage.gates
    return table, place


def _runs(slots: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return the slots as two runs (first, count), the second one perhaps empty."""
    count = next((i for i, slot in enumerate(slots) if slot != slots[0] + i), len(slots))
    rest = slots[count:]
    if rest and list(rest) != list(range(rest[0], rest[0] + len(rest))):
        raise ValueError(f"the slots {slots} of a stage are more than two runs")
    return [(slots[0], count), (rest[0] if rest else 0, len(rest))]


@linked
def _pack_gates(w: Any, k: int, u: int, gates: int, row: int, panel: Any) -> None:
    """Copy a matrix (k, gates·u), its rows `row` numbers apart, to panels."""
    width = lane_count(panel)
    whole, left = u // width * width, u % width
    size = k * width
    if gates == 1:
        pack(w, row, 0, k, u, panel)
    else:
        for first in range(0, whole, width):
            for g in range(gates):
                pack(offset(w, g * u + first), row, 0, k, width, panel)
                panel = offset(panel, size)
        if left:
            columns = gates * left
            for n in range((columns + width - 1) // width * width):
                target = offset(panel, n // width * size + n % width)
                if n < columns:
                    source = offset(w, n // left * u + whole + n % left)
                    for i in range(k):
                        store(target, i * width, load(source, i * row))
                else:
                    for i in range(k):
                        store(target, i * width, 0.0)


@linked
def _pack_bias(b: Any, there: int, u: int, gates: int, target: Any) -> None:
    """Copy a bias (gates·u), or zeros unless it is `there`, in the order of the panels."""
    width = lane_count(target)
    whole = u // width * width
    for n in range(gates * u):
        place = n
        if n < gates * whole:
            place = n // width % gates * u + n // (gates * width) * width + n % width
        else:
            i = n - gates * whole
            place = i // (u - whole) * u + whole + i % (u - whole)
        value = 0.0
        if there:
            value = load(b, place)
        store(target, n, value)


@kernel
def pack_weights(w: Any, r: Any, b: Any, stages: Any, weights: Any) -> None:
    """Fill `weights` from W (F, G·U), R (U, G·U) and b, flat, or an empty b.

    `stages` are the rows of `stage_places` for the stages there are.
    """
    (f, row), u = w.shape, r.shape[0]
    target, table = address(weights), table_of(stages)
    at = 0
    while at < stages.size:
        first, gates = number(table, at + S.FIRST) * u, number(table, at + S.GATES)
        wide = gates * u
        _pack_gates(offset(address(w), first), f, u, gates, row,
                    offset(target, number(table, at + S.W)))  # fmt: skip
        _pack_gates(offset(address(r), first), u, u, gates, row,
                    offset(target, number(table, at + S.R)))  # fmt: skip
        bias = offset(target, number(table, at + S.BIAS))
        there = int(b.size > 0)
        _pack_bias(offset(address(b), first), there, u, gates, bias)
        if number(table, at + S.APART):
            width = lane_count(target)
            beside = offset(bias, (wide + width - 1) // width * width)
            _pack_bias(offset(address(b), row + first), there, u, gates, beside)
        at += S.SIZE


@linked
def pack_transposed(plan: Table, w: Any, r: Any, rt: Any, wt: Any) -> None:
    """Fill `rt` with panels of Rᵀ, stage by stage, and `wt` with those of Wᵀ if dx is wanted."""
    f, u = number(plan, P.FEATURES), number(plan, P.UNITS)
    row = number(plan, P.GATES) * u
    width = lane_count(w)
    columns = (u + width - 1) // width * width
    for stage in range(number(plan, P.STAGES)):
        at = P.STAGE + stage * S.SIZE
        target = offset(rt, number(plan, at + S.RT))
        source = offset(r, number(plan, at + S.FIRST) * u)
        depth = number(plan, at + S.COUNT) * u
        pack(source, row, 1, depth, u, target)
        if number(plan, at + S.COUNT_2):
            pack(offset(source, depth), row, 1, number(plan, at + S.COUNT_2) * u, u,
                 offset(target, depth * columns))  # fmt: skip
    if number(plan, P.DX):
        pack(w, row, 1, row, f, wt)
