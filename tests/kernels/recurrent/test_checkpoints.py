"""Checkpoints in time: less is kept, and no bit is another one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_engine.kernels.recurrent.checkpoints import Checkpoints, segment_steps, within
from tests.kernels.plans import planned
from tests.kernels.recurrent.cases import CELLS, Case, run
from tests.kernels.recurrent.test_safety import Guarded
from tests.kernels.test_bits import running_on

KINDS = {
    "plain": {},
    "last": {"every": False},
    "started": {"started": True},
    "no bias": {"has_bias": False},
    "holes": {"masked": True, "started": True},
    "post": {"masked": True, "kind": "post"},
    "pre": {"masked": True, "kind": "pre", "every": False},
    "one mask": {"gates_dropped": 1, "started": True},
    "a mask a gate": {"gates_dropped": 4, "drops_x": True},
    "all": {"gates_dropped": 4, "drops_x": True, "masked": True, "started": True},
}
# Chunks of a few steps: segments of some chunks then fit into short sequences.
SHORT_CHUNKS = {"BACKWARD_NUMBERS": 0, "BACKWARD_ROWS": 7}
# Passes in several calls, in one or two groups, with their inputs projected ahead.
CUTS = (
    {"GROUP_WORK": 0, "LONGEST_CALL": 1},
    {"GROUP_WORK": 0, "LONGEST_CALL": 40_000},
    {"GROUP_WORK": 10**9, "LONGEST_CALL": 1},
    {"GROUP_WORK": 0, "AHEAD_ROWS": 10**6},
)


def make(cell, kind, *, batch=5, steps=43, units=19, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    return Case(cell, ("tanh", "sigmoid"), batch, steps, 3, units, dtype, rng, **KINDS[kind])


def assert_same_bits(found, wanted):
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name].tobytes() == value.tobytes(), name


def segments_of(case, asked, sequence=False):
    """Return in how many segments a pass keeps its states, 1 where it keeps all."""
    *_, saved = case.recurrence.forward(case.packed, case.x, *case.arguments, sequence, True, asked)
    return 1 if saved.checkpoints is None else len(saved.checkpoints.segments)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cell", CELLS)
def test_the_same_bits(cell, kind, count):
    for dtype, batch, group_work in (("float32", 5, 0), ("float64", 1, 10**9)):
        with planned(**SHORT_CHUNKS, GROUP_WORK=group_work), running_on(count):
            case = make(cell, kind, dtype=dtype, batch=batch)
            for sequence in {case.dy is not None, True}:
                wanted = run(case, None, sequence)
                for asked in ("auto", 1, 10, 42):
                    assert_same_bits(run(case, asked, sequence), wanted)
            assert segments_of(case, 10) > 1


@pytest.mark.parametrize("plan", CUTS)
@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("cell", CELLS)
def test_cut_in_calls_and_shared_by_members(cell, count, plan):
    """Five threads and two groups: the members of a group share its chunks."""
    with planned(**SHORT_CHUNKS, **plan), running_on(count):
        case = make(cell, "started", batch=6)
        wanted = run(case, None)
        assert_same_bits(run(case, 9), wanted)
        assert segments_of(case, 9) > 2


@given(
    st.sampled_from(CELLS), st.sampled_from(sorted(KINDS)), st.integers(1, 9), st.integers(1, 60),
    st.integers(1, 35), st.integers(1, 60), st.integers(1, 20), st.integers(0, 2**32),
)  # fmt: skip
def test_any_sizes(cell, kind, batch, steps, units, asked, chunk_rows, seed):
    with planned(BACKWARD_NUMBERS=0, BACKWARD_ROWS=chunk_rows, GROUP_WORK=0):
        case = make(cell, kind, batch=batch, steps=steps, units=units, seed=seed)
        assert_same_bits(run(case, asked), run(case))


def test_real_chunks():
    """Sizes as the plan has them, T not a multiple of anything."""
    for cell, units in (("lstm", 64), ("gru", 64), ("simple_rnn", 100)):
        case = make(cell, "last", batch=1, steps=3001, units=units)
        assert segments_of(case, "auto") > 2
        assert_same_bits(run(case, "auto", False), run(case, None, False))


def test_threads_may_change_between_forward_and_back():
    with planned(**SHORT_CHUNKS, GROUP_WORK=0):
        case = make("lstm", "holes", batch=6)
        wanted = run(case)
        with running_on(1):
            _, _, saved = case.recurrence.forward(
                case.packed, case.x, *case.arguments, True, True, 8
            )
        dw, dr, db = (np.zeros_like(a) for a in (case.kernel, case.recurrent, case.bias))
        with running_on(5):
            dx, dstart = case.recurrence.backward(saved, case.dy, case.dlast, (dw, dr, db))
    for name, value in {"kernel": dw, "recurrent": dr, "bias": db, "x": dx}.items():
        assert np.array_equal(wanted[name], value), name
    assert np.array_equal(wanted["initial1"], dstart[1])


def test_gradients_are_added_to_what_is_there():
    with planned(**SHORT_CHUNKS, GROUP_WORK=0):
        case = make("gru", "plain")
        found = []
        for asked in (None, 8):
            sums = [np.ones_like(a) for a in (case.kernel, case.recurrent, case.bias)]
            for _ in range(2):
                *_, saved = case.recurrence.forward(
                    case.packed, case.x, keep=True, checkpoint_steps=asked
                )
                case.recurrence.backward(saved, case.dy, case.dlast, tuple(sums), False)
            found.append(sums)
    for plain, segmented in zip(*found, strict=True):
        assert np.array_equal(plain, segmented)


@pytest.mark.parametrize("behind", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_guard_pages_around_every_array(cell, behind, monkeypatch):
    """A step out of a segment's space would end the process."""
    guarded = Guarded(behind)
    with planned(**SHORT_CHUNKS, GROUP_WORK=0):
        for kind in ("plain", "started", "post", "all"):
            case = make(cell, kind, batch=3, steps=23)
            wanted = run(case)
            with monkeypatch.context() as patch:
                patch.setattr(case.recurrence, "_buffers", guarded)
                case.packed = case.recurrence.pack(case.kernel, case.recurrent, case.bias)
                assert_same_bits(run(case, 5), wanted)
    guarded.close()


def test_what_is_kept():
    case = make("lstm", "last", batch=1, steps=3001, units=64)
    arguments = case.packed, case.x, *case.arguments, False, True
    everything = case.recurrence.forward(*arguments)[2].space.nbytes
    saved = case.recurrence.forward(*arguments, "auto")[2]
    assert saved.space.nbytes == 0
    assert saved.checkpoints.states.shape == (12, 2, 1, 64)  # chunks of 256 steps
    assert saved.checkpoints.states.nbytes < everything / 500


def test_where_everything_is_kept_anyway():
    """A sequence of plain states is the output; a short sequence is one segment."""
    case = make("simple_rnn", "plain", batch=1, steps=3001, units=100)
    assert segments_of(case, "auto", sequence=True) == 1
    assert segments_of(case, "auto", sequence=False) > 1
    assert segments_of(case, 3001) == segments_of(case, 10**12) == 1


@pytest.mark.parametrize(
    ("asked", "steps", "chunk", "wanted"),
    [("auto", 1, 1, 1), ("auto", 10**6, 1, 1000), ("auto", 10**6, 256, 1024),
     ("auto", 10, 1, 4), (1, 100, 8, 8), (8, 100, 8, 8), (9, 100, 8, 16)],
)  # fmt: skip
def test_steps_of_a_segment(asked, steps, chunk, wanted):
    assert segment_steps(asked, steps, chunk) == wanted


def test_calls_within_a_segment():
    calls = [(0, 4), (4, 8), (8, 10)]
    assert within(calls, 0, 10) == calls
    assert within(calls, 2, 9) == [(2, 4), (4, 8), (8, 9)]
    assert within(calls, 4, 8) == [(4, 8)]


def test_segments_cover_the_sequence():
    sizes = make("lstm", "plain").recurrence._sizes_of(2, 11)
    assert Checkpoints(sizes, 4).segments == [(0, 4), (4, 8), (8, 11)]
