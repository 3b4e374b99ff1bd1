"""Few rows on several threads: the bits of one, whoever comes, is late, or never comes."""

import contextlib
import ctypes
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_engine.kernels import pool, threads
from rnn_engine.kernels.pool import At
from rnn_engine.kernels.recurrent import launch, steps, team
from rnn_engine.kernels.recurrent import plan as plans
from rnn_engine.kernels.recurrent.check import check, watched
from rnn_engine.kernels.recurrent.places import MOST_PARTS, P
from tests.kernels import process
from tests.kernels.plans import planned
from tests.kernels.recurrent.cases import CELLS, Case, run
from tests.kernels.recurrent.test_safety import Guarded
from tests.kernels.test_bits import running_on


@contextlib.contextmanager
def team_of(count):
    """Have all few rows shared out to so many threads, which are there, on whatever cores."""
    with running_on(count), planned(PART_WORK=1, MOST_THREADS=MOST_PARTS):
        pool.start(count - 1)
        pool._table[At.ALONE] = 0
        yield
    pool._table[At.ALONE] = pool._table[At.SHY] = 0


@contextlib.contextmanager
def no_patience():
    """Have every task compute the parts of all others that are not done at once."""
    before = pool._table[At.ROUNDS]
    pool._table[At.ROUNDS] = 0
    try:
        yield
    finally:
        pool._table[At.ROUNDS] = before


def alike(found, wanted):
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name].tobytes() == value.tobytes(), name


def case_of(cell, batch=1, steps=40, units=97, dtype="float32", seed=0, **more):
    rng = np.random.default_rng(seed)
    return Case(cell, ("tanh", "sigmoid"), batch, steps, 5, units, dtype, rng, **more)


def last_of(case):
    return {"last": case.recurrence.last(case.packed, case.x)}


@st.composite
def few_rows(draw):
    return case_of(
        draw(st.sampled_from(CELLS)),
        draw(st.integers(1, 3)),
        draw(st.integers(1, 40)),
        draw(st.sampled_from([32, 33, 48, 97, 256, 270]) | st.integers(16, 130)),
        draw(st.sampled_from(["float32", "float64"])),
        draw(st.integers(0, 2**32)),
        started=draw(st.booleans()),
        has_bias=draw(st.booleans()),
    )


@given(few_rows(), st.booleans(), st.sampled_from([1, 9, 10**6]))
def test_any_number_of_threads(case, sequence, numbers):
    """Every output, state and gradient; the units no multiple of registers, nor those of parts."""
    case.dy = case.dy if sequence else None
    shape = len(case.x), case.recurrence.units
    case.dlast = [np.ones(shape, case.x.dtype) for _ in case.dlast]
    with running_on(1):
        wanted = run(case, sequence=sequence)
        last = last_of(case)
    for count in (2, 3, 5):
        parts = min(count, case.recurrence.units // (64 // case.x.itemsize))
        ahead = {"AHEAD_NUMBERS": numbers, "AHEAD_LEAST": 1}
        with watched() as seen, team_of(count), planned(**ahead):
            alike(run(case, sequence=sequence), wanted)
            assert seen[0].parts == max(1, parts)
            pool._table[At.ALONE] = 0
            alike(last_of(case), last)


@pytest.mark.parametrize("cell", CELLS)
def test_calls_that_go_on(cell):
    """Ctrl-C cuts a pass into calls; checkpoints cut it into segments."""
    case = case_of(cell, 2, 50, started=True)
    with running_on(1):
        wanted = run(case)
    work = 2 * case.kernel.size
    with team_of(2), planned(LONGEST_CALL=40 * work, AHEAD_NUMBERS=1, AHEAD_LEAST=3):
        plan = plans.forward_plan(case.recurrence._sizes_of(2, 50), 1, 1, False, 0, False, 2)
        assert len(plan.calls) > 1
        for checkpoint_steps in (None, 7):
            pool._table[At.ALONE] = 0
            alike(run(case, checkpoint_steps), wanted)


@pytest.mark.parametrize("count", [2, 8])
@pytest.mark.parametrize("cell", CELLS)
def test_who_is_late_spoils_nothing(cell, count):
    """Everybody computes what others are about to hand out, and threads lose their cores."""
    case = case_of(cell, 1, 200, 130)
    with running_on(1):
        wanted = run(case)
    with team_of(count), no_patience():
        for _ in range(40):
            pool._table[At.ALONE] = 0
            alike(run(case), wanted)


@pytest.mark.parametrize("cell", CELLS)
def test_masks_and_dropout_are_for_one_thread(cell):
    for rules in ({"masked": True}, {"gates_dropped": 1}, {"drops_x": True}):
        case = case_of(cell, 2, 9, **rules)
        with running_on(1):
            wanted = run(case)
        with team_of(3), watched() as seen:
            alike(run(case), wanted)
        assert {plan.parts for plan in seen} == {1}


def test_small_steps_and_many_rows_are_for_one_thread():
    with running_on(2):
        for batch, units, parts in ((1, 64, 1), (1, 512, 2), (3, 512, 2), (4, 512, 1)):
            sizes = case_of("simple_rnn", batch, 3, units).recurrence._sizes_of(batch, 3)
            parts = min(parts, plans.MOST_THREADS)
            assert plans.parts_of(sizes, 10**9) == parts
    rows = case_of("lstm", 1, 3, 512).recurrence._sizes_of(1, 3)
    assert plans.parts_of(rows, threads.SERIAL_WORK - 1) == 1


# --- who helps ----------------------------------------------------------------------


def test_launches_go_alone_where_help_fails():
    """After one that had no help the next one goes alone, then two, and so on, up to 16."""
    case = case_of("lstm", 1, 9)
    with running_on(1):
        wanted = run(case)["h"]

    def go():
        h, _, _ = case.recurrence.forward(case.packed, case.x, sequence=True)
        assert h.tobytes() == wanted.tobytes()

    with team_of(2):
        pool._table[At.TAKEN] = 1  # as if another thread had the pool
        try:
            for expected in (1, 2, 4, 8, 16, 16):
                go()
                for left in range(expected, 0, -1):
                    assert pool._table[At.ALONE] == left
                    go()
        finally:
            pool._table[At.TAKEN] = 0


class Interrupted(np.ndarray):
    """A table where another thread comes by between two writes."""

    left, other = -1, None

    def __setitem__(self, place, value):
        super().__setitem__(place, value)
        self.left -= 1
        if self.left == 0:
            self.other()


@pytest.mark.parametrize("writes", range(1, 5))
def test_two_threads_make_one_plan_ready(writes, monkeypatch):
    """What goes alone is never the team, which would call itself."""
    case = case_of("lstm")
    monkeypatch.setattr(steps, "address_of", lambda *_: 3)
    monkeypatch.setattr(launch, "address_of", lambda body, _: 1 + (body is team.forward_team))
    sizes = case.recurrence._sizes_of(1, 40)
    plan = plans.forward_plan.__wrapped__(sizes, 1, 2, True, 0, False, 2)
    plan.table = plan.table.view(Interrupted)
    plan.table.left = writes
    plan.table.other = lambda: case.recurrence._ready(plan, False, None)
    case.recurrence._ready(plan, False, None)
    assert plan.table.left <= 0
    assert (plan.table[P.ALONE], plan.table[P.BODY]) == (1, 2)


ONE_CORE = """
import os
from tests.kernels.recurrent.test_team import *

for cell in CELLS:
    case = case_of(cell, 1, 300, 256)
    with running_on(1):
        wanted = run(case)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with team_of(3):
        for _ in range(20):
            pool._table[At.ALONE] = 0
            alike(run(case), wanted)
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_threads_that_share_one_core():
    process.run(ONE_CORE)


AT_ONCE = """
from concurrent.futures import ThreadPoolExecutor
from tests.kernels.recurrent.test_team import *

cases = [case_of(cell, batch, 100, 97) for cell in CELLS for batch in (1, 2)]
with running_on(1):
    wanted = [run(case) for case in cases]

def work(case, bits):
    for _ in range(60):
        pool._table[At.ALONE] = 0
        alike(run(case), bits)

with team_of(3), ThreadPoolExecutor(len(cases)) as threads:
    list(threads.map(work, cases, wanted))  # which raises what they raise
"""


def test_several_python_threads_at_once():
    process.run(AT_ONCE)


FORKED = """
import os, warnings
from tests.kernels.recurrent.test_team import *

warnings.simplefilter("ignore", DeprecationWarning)
case = case_of("lstm")
with running_on(1):
    wanted = run(case)
with team_of(2):
    alike(run(case), wanted)
    pid = os.fork()
    if pid == 0:
        alike(run(case), wanted)  # on one thread
        with team_of(2):
            alike(run(case), wanted)
        os._exit(0)
    alike(run(case), wanted)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child():
    process.run(FORKED)


INTERRUPTED = """
import signal
from tests.kernels.recurrent.test_team import *

case = case_of("gru", 1, 3000, 256)
with running_on(1):
    wanted = last_of(case)

def interrupt(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
seen = 0
with team_of(2), planned(LONGEST_CALL=20_000_000):
    for _ in range(8):
        pool._table[At.ALONE] = 0
        signal.setitimer(signal.ITIMER_REAL, 0.003)
        try:
            last_of(case)
            signal.pause()
        except KeyboardInterrupt:
            seen += 1
        pool._table[At.ALONE] = 0
        alike(last_of(case), wanted)
assert seen == 8
"""


@pytest.mark.skipif(os.name != "posix", reason="no SIGALRM on this system")
def test_an_interrupt():
    process.run(INTERRUPTED)


# --- nothing out of bounds ------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "change"), [("SCRATCH_SIZE", -16), ("OWN", -16), ("TASKS", 1), ("KEPT", -16)]
)
def test_a_wrong_plan_is_seen(place, change):
    sizes = case_of("lstm", 2, 3, 40)
    sizes = sizes.recurrence._sizes_of(2, 3)
    plan = plans.forward_plan.__wrapped__(sizes, 1, 2, True, 0, False, 2)
    check(plan, sizes, False)
    plan.table[P[place]] += change
    with pytest.raises(AssertionError):
        check(plan, sizes, False)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mprotect"), reason="no pages to guard")
@pytest.mark.parametrize("behind", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_guard_pages_around_every_array(cell, dtype, behind, monkeypatch):
    guarded = Guarded(behind)
    for batch, units in ((1, 33), (3, 51)):
        case = case_of(cell, batch, 6, units, dtype, started=True)
        with running_on(1):
            wanted = run(case)
        for name in ("kernel", "recurrent", "bias", "x", "dy"):
            copy = guarded.empty(getattr(case, name).shape, case.x.dtype)
            copy[...] = getattr(case, name)
            setattr(case, name, copy)
        with monkeypatch.context() as patch, team_of(2), no_patience():
            patch.setattr(case.recurrence, "_buffers", guarded)
            case.packed = case.recurrence.pack(case.kernel, case.recurrent, case.bias)
            alike(run(case), wanted)
    guarded.close()
