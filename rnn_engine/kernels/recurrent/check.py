"""A plan held against the arrays it points to: every place has to lie within its array.

A plan is a row of integers that no compiler checks, so the tests have every pass checked here
before it runs, see `watched`. Nothing else calls it.
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from rnn_engine.kernels.recurrent import plan as plans
from rnn_engine.kernels.recurrent.places import MOST_PARTS, P, S
from rnn_engine.kernels.recurrent.plan import Plan, Sizes


def check(plan: Plan, sizes: Sizes, back: bool) -> None:
    """Raise AssertionError unless a plan's places follow each other within what is allocated."""
    table = plan.table
    at = {place.name: int(table[place]) for place in P if place < P.STAGE}
    batch, steps, units = sizes.batch, sizes.steps, sizes.units
    bounds = plan.bounds
    assert (int(bounds[0]), int(bounds[-1])) == (0, batch)
    assert (np.diff(bounds) >= 0).all()
    assert at["BOUNDS"] == bounds.ctypes.data
    assert [step for call in plan.calls for step in range(*call)] == list(range(steps))
    assert sizes.cell.gates == at["GATES"] <= at["SLOTS"]
    rows = plan.rows
    assert rows >= max(1, -(-batch // max(1, plan.tasks)))
    _check_kept(at, plan, sizes, back)
    block = min(units, at["BLOCK"] + sizes.lanes)
    assert at["BLOCK"] % sizes.lanes == 0 < at["BLOCK"] or at["BLOCK"] >= units
    gates = max(stage.gates for stage in sizes.cell.stages)
    if back:
        _check_back(at, plan, sizes, block)
        return
    numbers = at["CHUNK"] * at["GATES"] * units if at["CHUNK"] else gates * block
    needs = {
        "Z": rows * numbers,
        "ZH": rows * gates * block * sizes.cell.apart,
        "LAID": rows * sizes.features * at["CHUNK"] * (rows > 1),
        "TURNS": rows * units * max(0, sizes.cell.states - at["KEPT_STATES"]),
        "OWN": rows * units * (1 + sizes.keeps) * (len(sizes.cell.stages) > 1),
    }
    spaces = plan.tasks
    if plan.parts > 1:
        assert plan.tasks == 1 <= at["CHUNK"]
        assert at["TASKS"] == plan.parts <= min(MOST_PARTS, units // sizes.lanes)
        spaces = plan.parts + 1
        needs["TURNS"] = rows * units * sizes.cell.states
        if at["KEPT_STEP"]:
            needs["OWN"] = rows * units * (1 + sizes.keeps)
    _check_order(at, needs, at["SCRATCH_SIZE"])
    assert plan.scratch == spaces * at["SCRATCH_SIZE"]


def _check_kept(at: dict[str, int], plan: Plan, sizes: Sizes, back: bool) -> None:
    """Check the places in what a pass keeps."""
    step, end = sizes.batch * sizes.units, 0
    for s in range(at["KEPT_STATES"]):
        place = int(plan.table[P.STATE + s])
        assert place >= end
        end = place + (sizes.steps + 1) * step
    assert at["KEPT"] >= end
    end = at["KEPT"] + sizes.steps * at["KEPT_STEP"]
    assert at["OPERAND"] >= end
    assert at["KEPT_STEP"] in (0, step * sizes.keeps)
    if not back:
        assert plan.kept >= at["OPERAND"] + sizes.steps * at["OPERAND_STEP"]


def _check_back(at: dict[str, int], plan: Plan, sizes: Sizes, block: int) -> None:
    """Check the places in the work array of a pass back."""
    units, features = sizes.units, sizes.features
    rows, wide = plan.rows, sizes.cell.gates * units
    share = -(-rows // at["MEMBERS"])
    assert at["DH_SIZE"] >= share * block
    needs = {
        "RT": wide * -(-units // sizes.lanes) * sizes.lanes,
        "WT": wide * -(-features // sizes.lanes) * sizes.lanes,
        "ZEROS": max(units, features),
        "DZ": (at["CHUNK"] + 1) * rows * at["SLOTS"] * units,
        "DH": at["MEMBERS"] * at["DH_SIZE"],
        "CARRY": sizes.cell.states * rows * units,
        "TRASH": wide,
        "OUTER": at["MEMBERS"] * at["OUTER_SIZE"],
    }
    _check_order(at, needs, at["GROUP_SIZE"])
    assert at["SUMS_SIZE"] >= (features + units + at["BIASES"]) * wide
    groups = at["GROUPS"]
    assert plan.scratch == groups * at["GROUP_SIZE"] + (groups - 1) * at["SUMS_SIZE"]
    for stage in range(at["STAGES"]):
        row = plan.table[P.STAGE + stage * S.SIZE :]
        assert row[S.COUNT] + row[S.COUNT_2] == row[S.GATES]
        assert row[S.SLOT] + row[S.COUNT] <= at["SLOTS"]
        assert row[S.SLOT_2] + row[S.COUNT_2] <= at["SLOTS"]
        assert row[S.RT] + row[S.GATES] * units * units <= needs["RT"]


def _check_order(at: dict[str, int], needs: dict[str, int], size: int) -> None:
    """Check that spaces follow each other, each with what it needs, up to `size` numbers."""
    names = [*needs]
    for name, following in zip(names, [*names[1:], None], strict=True):
        end = size if following is None else at[following]
        assert at[name] + needs[name] <= end, name
        assert at[name] >= 0


@contextmanager
def watched() -> Iterator[list[Any]]:
    """Have every plan that is made inside checked; yields the list of those."""
    seen: list[Any] = []
    originals = plans.forward_plan, plans.backward_plan
    recurrence: Any = importlib.import_module("rnn_engine.kernels.recurrent.recurrence")

    def watch(maker: Any, back: bool) -> Any:
        def make(sizes: Sizes, *arguments: Any) -> Plan:
            made: Plan = maker(sizes, *arguments)
            check(made, sizes, back)
            seen.append(made)
            return made

        return make

    try:
        for name, maker, back in zip(
            ("forward_plan", "backward_plan"), originals, (False, True), strict=True
        ):
            setattr(recurrence, name, watch(maker, back))
        yield seen
    finally:
        recurrence.forward_plan, recurrence.backward_plan = originals
