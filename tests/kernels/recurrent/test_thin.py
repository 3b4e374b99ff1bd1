"""Large passes keep the states of few steps and make the others again: no bit is another one."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_engine.kernels.formulas import CODES
from rnn_engine.kernels.recurrent import cells, recurrence
from rnn_engine.kernels.recurrent.cells import Made
from rnn_engine.kernels.recurrent.check import watched
from rnn_engine.kernels.recurrent.plan import is_thin
from rnn_engine.kernels.vector import fma
from tests.kernels.plans import planned
from tests.kernels.recurrent.cases import CELLS, Case, cases, run, tolerance
from tests.kernels.recurrent.test_checkpoints import (
    CUTS,
    KINDS,
    SHORT_CHUNKS,
    assert_same_bits,
    make,
)
from tests.kernels.recurrent.test_safety import Guarded
from tests.kernels.recurrent.test_team import team_of
from tests.kernels.test_bits import running_on

RESTORING = [cell for cell in CELLS if cells.find(cell).restore is not None]
# However small they are.
ALWAYS = {"THIN_NUMBERS": 0, "THIN_DEPTH": 0}


def saved_of(case, sequence=False):
    *_, saved = case.recurrence.forward(case.packed, case.x, *case.arguments, sequence, True)
    return saved


def segments_of(case, sequence=False):
    """Return how many segments a pass has, 0 where it is not thin."""
    checkpoints = saved_of(case, sequence).checkpoints
    return len(checkpoints.segments) if checkpoints is not None and checkpoints.is_thin else 0


def sequences_of(case):
    return {case.dy is not None, True}


def assert_no_other_bits(case, least=0, **plan):
    """Compare a thin pass with one that keeps everything."""
    for sequence in sequences_of(case):
        with planned(**plan):
            wanted = run(case, None, sequence)
            assert segments_of(case, sequence) == 0
        with planned(**plan, **ALWAYS):
            assert_same_bits(run(case, None, sequence), wanted)
            if not sequence or case.cell == "lstm":
                assert segments_of(case, sequence) >= least


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cell", RESTORING)
def test_the_same_bits(cell, kind, count):
    for dtype, batch, units, group_work in (
        ("float32", 5, 19, 0), ("float64", 1, 19, 10**9), ("float32", 4, 48, 0)
    ):  # fmt: skip
        with running_on(count):
            case = make(cell, kind, dtype=dtype, batch=batch, units=units)
            assert_no_other_bits(case, 3, **SHORT_CHUNKS, GROUP_WORK=group_work)
            case.dy = None
            assert_no_other_bits(case, 3, **SHORT_CHUNKS, GROUP_WORK=group_work)


@pytest.mark.parametrize("plan", CUTS)
@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("cell", RESTORING)
def test_cut_in_calls_and_shared_by_members(cell, count, plan):
    """Five threads and two groups: the members of a group share its chunks."""
    with running_on(count):
        case = make(cell, "started", batch=6)
        case.dy = None
        assert_no_other_bits(case, 3, **SHORT_CHUNKS, **plan)


@given(
    st.sampled_from(RESTORING), st.sampled_from(sorted(KINDS)), st.integers(1, 9),
    st.integers(1, 60), st.integers(1, 35), st.integers(1, 20), st.booleans(),
    st.sampled_from([("tanh", "sigmoid"), ("gelu", "mish"), ("relu", "hard_sigmoid")]),
    st.integers(0, 2**32),
)  # fmt: skip
def test_any_sizes(cell, kind, batch, steps, units, chunk_rows, every, names, seed):
    rng = np.random.default_rng(seed)
    case = Case(cell, names, batch, steps, 3, units, "float32", rng, **KINDS[kind])
    case.dy = case.dy if every else None
    plan = {"BACKWARD_NUMBERS": 0, "BACKWARD_ROWS": chunk_rows, "GROUP_WORK": 0}
    assert_no_other_bits(case, **plan)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["started", "last", "holes", "all"])
@pytest.mark.parametrize("cell", RESTORING)
def test_against_a_loop_in_float64(cell, kind, dtype):
    """A pass that keeps everything could have the same fault."""
    with planned(**SHORT_CHUNKS, **ALWAYS, GROUP_WORK=0):
        case = make(cell, kind, dtype=dtype, steps=15)
        case.dy = None
        assert segments_of(case) > 2
        found, wanted = run(case, None, False), case.expected()
    for name, value in found.items():
        limit = 4 * tolerance(dtype) * max(1, np.abs(wanted[name]).max())
        assert np.abs(value - wanted[name]).max() < limit, name


def test_real_chunks():
    """Sizes as the plan has them, T not a multiple of anything."""
    for cell in RESTORING:
        case = make(cell, "last", batch=33, steps=131, units=64)
        assert_no_other_bits(case, 3)


def test_backward_twice_and_with_other_threads():
    with planned(**SHORT_CHUNKS, **ALWAYS, GROUP_WORK=0):
        case = make("lstm", "holes", batch=6)
        case.dy = None
        wanted = run(case, None, False)
        with running_on(1):
            saved = saved_of(case)
        for count in (5, 2, 1):
            sums = [np.zeros_like(a) for a in (case.kernel, case.recurrent, case.bias)]
            with running_on(count):
                case.recurrence.backward(saved, None, case.dlast, tuple(sums))
            for name, found in zip(("kernel", "recurrent", "bias"), sums, strict=True):
                assert np.array_equal(wanted[name], found)


@pytest.mark.parametrize("behind", [True, False])
@pytest.mark.parametrize("cell", RESTORING)
def test_guard_pages_around_every_array(cell, behind, monkeypatch):
    """A step out of the space of a segment, or of what is kept, would end the process."""
    guarded = Guarded(behind)
    with planned(**SHORT_CHUNKS, **ALWAYS, GROUP_WORK=0):
        for kind in ("last", "started", "post", "all"):
            case = make(cell, kind, batch=3, steps=23)
            for sequence in sequences_of(case):
                wanted = run(case, None, sequence)
                with monkeypatch.context() as patch:
                    patch.setattr(case.recurrence, "_buffers", guarded)
                    case.packed = case.recurrence.pack(case.kernel, case.recurrent, case.bias)
                    assert_same_bits(run(case, None, sequence), wanted)
    guarded.close()


@given(cases(), st.sampled_from([1, 2, 3, 5]))
def test_every_plan_is_checked(case, count):
    with planned(**SHORT_CHUNKS, **ALWAYS), watched() as seen, running_on(count):
        run(case, None, False)
    assert len(seen) >= 2


def test_what_is_kept():
    numbers = 5 * 43 * 19
    for cell, sequence, wanted in (
        ("lstm", False, 4 * numbers), ("lstm", True, 4 * numbers + 5 * 44 * 19),
        ("gru", False, 4 * numbers), ("gru_reset_before", False, 3 * numbers),
    ):  # fmt: skip
        case = make(cell, "plain")
        with planned(**SHORT_CHUNKS, **ALWAYS):
            saved = saved_of(case, sequence)
            assert wanted <= saved.space.size < wanted + 64  # spaces begin at cache lines
            assert saved.checkpoints.states.size < numbers
        with planned(**SHORT_CHUNKS):
            assert saved_of(case, sequence).space.size > wanted + numbers / 2


def test_which_passes_are_thin():
    def decided(cell, held, batch, steps, features, units, dtype="float32"):
        case = recurrence(cell, (CODES["tanh"], CODES["sigmoid"])[: 1 + (cell != "simple_rnn")],
                          features, units, dtype)  # fmt: skip
        return is_thin(case._sizes_of(batch, steps), held)

    large = 128, 256, 128, 256
    assert all(decided(cell, 0, *large) for cell in RESTORING)
    assert decided("lstm", 1, *large)
    assert not decided("gru", 1, *large)  # the sequence is all of its states
    assert not decided("simple_rnn", 0, *large)
    assert not decided("lstm", 0, 8, 256, 128, 256)  # small
    assert not decided("lstm", 0, 4096, 256, 8, 64)  # so few products that it would cost time


def test_a_large_pass_with_everything_as_it_is():
    case = make("gru", "last", batch=33, steps=250, units=256)
    case.dy = None
    assert segments_of(case) > 2
    found = run(case, None, False)
    with planned(THIN_NUMBERS=2**62):
        assert_same_bits(found, run(case, None, False))


def _one_step_off(activations, at):
    return Made({0: at.before[0] * 1.0, 1: at.before[1] * 1.0})


def _unfused(activations, at):
    """Right in exact arithmetic."""
    i, f, g, o = (activations[int(k != 2)].restore(at.kept[k])[0] for k in range(4))
    c = fma(i, g, f * at.before[1])
    return Made({0: o * activations[0](c), 1: c})


@pytest.mark.jit
@pytest.mark.parametrize("formulas", [_one_step_off, _unfused])
def test_other_formulas_have_other_bits(formulas):
    """The tests above would see them."""
    cells.CELLS["other"] = dataclasses.replace(cells.find("lstm"), name="other", restore=formulas)
    try:
        case = make("lstm", "last")
        right = case.recurrence
        case.recurrence = recurrence("other", right.activations, 3, 19, "float32")
        with planned(**SHORT_CHUNKS, **ALWAYS):
            found = run(case, None, False)
            case.recurrence = right
            wanted = run(case, None, False)
    finally:
        del cells.CELLS["other"]
    assert np.array_equal(found["last0"], wanted["last0"])
    assert not np.array_equal(found["recurrent"], wanted["recurrent"])


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("cell", RESTORING)
def test_few_rows_whose_units_are_shared_out(cell, batch):
    """Two threads take one row through a pass that keeps the states of few steps."""
    case = make(cell, "plain", batch=batch, units=70)
    with running_on(1), planned(**SHORT_CHUNKS):
        wanted = run(case, None, True)
    with watched() as seen, team_of(2), planned(**SHORT_CHUNKS, **ALWAYS):
        assert_same_bits(run(case, None, True), wanted)
        assert any(plan.parts == 2 for plan in seen)
        case.dy = None
        assert segments_of(case) >= 3
