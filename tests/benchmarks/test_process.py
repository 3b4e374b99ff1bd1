"""Fresh processes: what is run, and what becomes of one that fails."""

import pytest

from benchmarks import machine, process
from benchmarks.peers import ENGINE, JIT
from benchmarks.worker import Failed


@pytest.fixture
def fresh():
    return process.Fresh(1, machine.choose_cores(1))


def test_a_program_that_fails_says_why(fresh):
    assert fresh.seconds("print('hello')") > 0.0
    with pytest.raises(Failed, match="ZeroDivisionError"):
        fresh.seconds("1 / 0")


def test_a_program_that_hangs_is_stopped():
    impatient = process.Fresh(1, machine.choose_cores(1), lambda: 0.2)
    with pytest.raises(Failed, match="did not end") as failure:
        impatient.seconds("while True: pass")
    assert failure.value.status == "slow"


def test_caches_are_empty_when_asked(fresh):
    look = (
        "import os, pathlib\n"
        "folders = {os.environ.get(name) for name in ('NUMBA_CACHE_DIR', 'RNN_ENGINE_CACHE_DIR')}\n"
        "assert len(folders) == 1 and not list(pathlib.Path(folders.pop()).iterdir())\n"
    )
    assert fresh.seconds(look, empty_cache=True) > 0.0


def test_bytecode_is_kept_whatever_this_process_was_told(fresh, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert fresh.seconds("import sys; assert not sys.dont_write_bytecode") > 0.0


def test_every_program_is_run_once_for_keras(monkeypatch):
    seen = []

    class Fake:
        def seconds(self, program, *, empty_cache=False, settings=None):
            compile(program, "program", "exec")
            seen.append(("tensorflow" in program, empty_cache))
            return 1.0 + empty_cache

    keys = [ENGINE, "keras-graph", "keras-xla", "jax"]
    warm, empty = process.cold_start(keys, Fake(), rounds=2, budget=1e9)
    assert list(warm) == [ENGINE, "keras-graph"]
    assert warm[ENGINE].samples == [1.0, 1.0]
    assert empty[ENGINE].samples == [2.0, 2.0]
    assert empty["keras-graph"] is warm["keras-graph"]
    # Two rounds of each, and one of the engine before them to fill its cache.
    assert sorted(seen) == [(False, False)] * 3 + [(False, True)] * 2 + [(True, False)] * 2
    assert list(process.cold_start(["keras-xla"], Fake(), 1, 1e9)[0]) == ["keras-xla"]
    assert list(process.imports(keys, Fake(), 1, 1e9)) == [
        ENGINE, "keras-graph", "jax", "numpy", "numba",
    ]  # fmt: skip


def test_both_kinds_of_kernels_are_run(monkeypatch):
    seen = []

    class Fake:
        def seconds(self, program, *, empty_cache=False, settings=None):
            seen.append((settings.get("RNN_ENGINE_KERNELS"), empty_cache))
            return 1.0 + empty_cache

    warm, empty = process.cold_start([ENGINE, JIT], Fake(), rounds=1, budget=1e9)
    assert list(warm) == list(empty) == [ENGINE, JIT]
    assert empty[JIT].samples == [2.0]
    assert sorted(map(str, seen)) == sorted(
        map(str, [(kind, empty) for kind in (None, "jit") for empty in (False, False, True)])
    )


def test_one_failing_program_leaves_the_others():
    class Fake:
        def seconds(self, program, *, empty_cache=False, settings=None):
            if "tensorflow" in program:
                raise Failed("no such thing")
            return 1.0

    warm, empty = process.cold_start([ENGINE, "keras-graph"], Fake(), rounds=2, budget=1e9)
    assert warm[ENGINE].ok
    assert empty[ENGINE].ok
    assert warm["keras-graph"].status == "failed"
    assert warm["keras-graph"].reason == "no such thing"
