"""The engine in a process of its own, as a run has it: its numbers are right for every kind."""

import math

import pytest

from benchmarks import machine, problem
from benchmarks.cases import KINDS, PROCESS_KINDS, Case
from benchmarks.peers import ENGINE
from benchmarks.worker import Failed, Worker


@pytest.fixture(scope="module")
def engine():
    worker = Worker(ENGINE, 1, machine.choose_cores(1))
    yield worker
    worker.stop()
    assert not worker.alive


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", [k for k in KINDS if k not in (*PROCESS_KINDS, "memory")])
def test_numbers_are_checked_and_right(engine, kind, dtype):
    case = Case(kind, 3, 4, 2, 5, samples=8 if kind in ("fit", "predict") else 0, dtype=dtype)
    numbers, _ = engine.ask("prepare", case)
    errors = problem.disagreement(numbers, problem.truth(problem.draw(case)))
    assert max(errors.values()) <= problem.tolerance(case)
    assert 0.0 < engine.ask("block", 1e-4) < math.inf


def test_memory_is_counted(engine):
    # h alone is 64 x 512 x 256 floats: more than the allocator keeps of what was freed.
    found = engine.ask("memory", Case("memory", 64, 512, 8, 256, samples=64))
    assert 64 * 512 * 256 * 4 < found < 1e9


def test_an_error_is_an_answer(engine):
    with pytest.raises(Failed, match="AttributeError"):
        engine.ask("no_such_question")
    assert engine.ask("ready")


def test_a_dead_side_is_named():
    worker = Worker(ENGINE, 1, machine.choose_cores(1))
    worker.stop()
    with pytest.raises(Failed, match="ended"):
        worker.ask("ready")
