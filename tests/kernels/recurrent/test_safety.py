"""Nothing that a pass reads or writes lies outside of its arrays."""

import ctypes
import mmap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_engine.kernels.recurrent.check import check, watched
from rnn_engine.kernels.recurrent.places import P, S
from rnn_engine.kernels.recurrent.plan import backward_plan, forward_plan
from tests.kernels.recurrent.cases import CELLS, Case, cases, run
from tests.kernels.test_bits import running_on

PAGE = mmap.PAGESIZE


@given(cases(), st.sampled_from([1, 2, 3, 5]))
def test_every_plan_is_checked(case, count):
    with watched() as seen, running_on(count):
        run(case)
        case.recurrence.last(case.packed, case.x)
    assert len(seen) >= 2


@pytest.mark.parametrize(
    ("place", "change"),
    [("SCRATCH_SIZE", -16), ("TURNS", 16), ("KEPT", -16), ("CHUNK", 8), ("BOUNDS", 8)],
)
def test_a_wrong_plan_is_seen(place, change):
    case = Case("lstm", ("tanh", "sigmoid"), 4, 3, 5, 40, "float32", np.random.default_rng(0))
    sizes = case.recurrence._sizes_of(4, 3)
    plan = forward_plan.__wrapped__(sizes, 1, 2, True)
    check(plan, sizes, False)
    plan.table[P[place]] += change
    with pytest.raises(AssertionError):
        check(plan, sizes, False)


def test_a_wrong_plan_back_is_seen():
    case = Case("gru", ("tanh", "sigmoid"), 4, 3, 5, 40, "float32", np.random.default_rng(0))
    sizes = case.recurrence._sizes_of(4, 3)
    for place in (P.DZ, P.OUTER, P.GROUP_SIZE, P.STAGE + S.SLOT_2):
        plan = backward_plan.__wrapped__(sizes, 1)
        check(plan, sizes, True)
        plan.table[place] += 16
        with pytest.raises(AssertionError):
            check(plan, sizes, True)


class Guarded:
    """Hands out arrays with a page behind, or before, that nobody may touch."""

    def __init__(self, behind: bool) -> None:
        self.behind, self.maps = behind, []
        self.protect = ctypes.CDLL(None).mprotect
        self.protect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        size = int(np.prod(shape)) * dtype.itemsize
        pages = -(-max(size, 1) // PAGE) * PAGE
        memory = mmap.mmap(-1, pages + 2 * PAGE)
        whole = np.frombuffer(memory, np.uint8)
        whole[:] = 255  # NaN
        start = whole.ctypes.data
        assert self.protect(start, PAGE, 0) == 0
        assert self.protect(start + PAGE + pages, PAGE, 0) == 0
        self.maps.append(whole)
        first = PAGE + (pages - size if self.behind else 0)
        return whole[first : first + size].view(dtype).reshape(shape)

    def close(self) -> None:
        for whole in self.maps:
            whole_pages = len(whole)
            assert self.protect(whole.ctypes.data, whole_pages, 3) == 0


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mprotect"), reason="no pages to guard")
@pytest.mark.parametrize("behind", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_guard_pages_around_every_array(cell, dtype, behind, monkeypatch):
    """A step out of an array would end the process."""
    rng = np.random.default_rng(1)
    guarded = Guarded(behind)
    for units in (1, 19, 33):
        for rules in ({}, {"masked": True, "kind": "post"}, {"gates_dropped": 4, "drops_x": True}):
            case = Case(
                cell, ("tanh", "sigmoid"), 3, 4, 5, units, dtype, rng, started=True, **rules
            )
            wanted = run(case)
            for name in ("kernel", "recurrent", "bias", "x", "dy", "mask", "drop_x", "drop_h"):
                array = getattr(case, name)
                if array is not None:
                    copy = guarded.empty(array.shape, array.dtype)
                    copy[...] = array
                    setattr(case, name, copy)
            with monkeypatch.context() as patch:
                patch.setattr(case.recurrence, "_buffers", guarded)
                case.packed = case.recurrence.pack(case.kernel, case.recurrent, case.bias)
                found = run(case)
            for name, value in wanted.items():
                assert np.array_equal(value, found[name]), name
    guarded.close()
