"""A process for each side, so that none of them meets another's threads or memory.

The parent asks, the child answers: a question is the name of a method of the
child's server and its arguments. The children wait while one of them is timed.
"""

from __future__ import annotations

import gc
import importlib
import math
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks import machine, timing
from benchmarks.cases import Case
from benchmarks.peers import PEERS

MACHINE = "machine"


class Failed(Exception):
    """A side could not answer; the message says why, `status` how it counts."""

    def __init__(self, message: str, status: str = "failed") -> None:
        super().__init__(message)
        self.status = status


class Guarded:
    """A block that fails once and for all, and does not take the other sides with it.

    Attributes
    ----------
    reason, status : str
        Why and how it failed; the reason is empty while it has not.
    """

    def __init__(self, block: Callable[[float], float]) -> None:
        self.block = block
        self.reason, self.status = "", "failed"

    def __call__(self, seconds: float) -> float:
        """Return the seconds of one call; infinite after a failure."""
        if not self.reason:
            try:
                return self.block(seconds)
            except Failed as error:
                self.reason, self.status = str(error) or "failed", error.status
        return math.inf


def quiet_environment(threads: int) -> dict[str, str]:
    """Return what is set for every child: thread counts for all libraries, no chatter."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {
        **dict.fromkeys(names, str(threads)),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "-1",
        "JAX_PLATFORMS": "cpu",
    }


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables for the time of a with-block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class Worker:
    """The parent's end of one side.

    Parameters
    ----------
    key : str
        A key of `benchmarks.peers.PEERS`, or `MACHINE` for the limits of the machine.
    threads : int
        Threads the side may use.
    cores : sequence of int
        Cores the process stays on.
    """

    def __init__(self, key: str, threads: int, cores: Sequence[int]) -> None:
        self.key = key
        self._log = tempfile.NamedTemporaryFile(  # noqa: SIM115  # lives as long as the child
            prefix="bench-", suffix=".log", delete=False
        )
        context = multiprocessing.get_context("spawn")
        self._pipe, child = context.Pipe()
        arguments = (child, key, threads, list(cores), self._log.name)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        own = dict(PEERS[key].settings) if key in PEERS else {}
        with environment(quiet_environment(threads) | own):
            self._process.start()
        child.close()

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.is_alive()

    def send(self, question: str, *arguments: Any) -> None:
        """Ask without waiting; `receive` brings the answer."""
        try:
            self._pipe.send((question, arguments))
        except OSError as error:
            raise Failed(f"its process has ended ({self._last_words()})") from error

    def receive(self, timeout: float) -> Any:
        """Return the answer to what was sent.

        Raises
        ------
        Failed
            If the side raised, ended, or took longer than `timeout` seconds.
        """
        try:
            if not self._pipe.poll(timeout):
                self.stop()
                raise Failed(f"no answer within {timeout:.0f} s; stopped", "slow")
            status, answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            self._process.join(timeout=5)
            code = self._process.exitcode
            raise Failed(f"its process ended, exit code {code} ({self._last_words()})") from error
        if status != "ok":
            raise Failed(answer, status)
        return answer

    def ask(self, question: str, *arguments: Any, timeout: float = 120.0) -> Any:
        """Send and receive."""
        self.send(question, *arguments)
        return self.receive(timeout)

    def stop(self) -> None:
        """End the process."""
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(timeout=5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(timeout=5)
        self._log.close()
        Path(self._log.name).unlink(missing_ok=True)

    def _last_words(self) -> str:
        try:
            lines = Path(self._log.name).read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return lines[-1][:200] if lines else "it said nothing"


class MachineServer:
    """Answers about the machine's limits."""

    def __init__(self, threads: int) -> None:
        from benchmarks import peak

        self.peak, self.threads = peak, threads

    def limits(self) -> dict[str, Any]:
        """Return `peak.measure`."""
        return self.peak.measure(self.threads)

    def flops(self, dtype: str) -> float:
        """Return flop/s of all threads, measured now."""
        return self.peak.flops(dtype, self.threads, seconds=0.02, repeats=2)


class PeerServer:
    """Answers for one peer."""

    def __init__(self, key: str, threads: int) -> None:
        module = importlib.import_module(f"benchmarks.peers.{PEERS[key].module}")
        self.adapter = module.Adapter(threads)
        self.task: Any = None
        self.last = 0.0

    def ready(self) -> bool:
        """Answer once the peer is imported."""
        return True

    def prepare(self, case: Case) -> tuple[dict[str, Any], float]:
        """Make a case ready; return its numbers and the seconds that took."""
        from benchmarks import problem

        self.task, self.last = None, 0.0
        drawn = problem.draw(case)
        begin = time.perf_counter()
        self.task = self.adapter.task(drawn)
        numbers = self.task.check()
        return numbers, time.perf_counter() - begin

    def block(self, seconds: float) -> float:
        """Return the seconds of one call, over a block."""
        self.last = timing.timed_block(self.task.call, seconds, self.last)
        return self.last

    def memory(self, case: Case) -> float:
        """Return the bytes that one call of `fit` adds at its highest.

        The model, the data and the optimizer are there before, and the model has
        trained on two samples, so that no compiler's memory is counted that can be
        paid before (XLA compiles again for every shape).
        """
        from benchmarks import problem

        task = self.adapter.task(problem.draw(case))
        task.small()
        gc.collect()
        reset_high_water()
        before = resident("VmRSS")
        task.call()
        return float(resident("VmHWM") - before)


def reset_high_water() -> None:
    """Let the kernel count this process's highest resident memory from now on."""
    Path("/proc/self/clear_refs").write_text("5")


def resident(field: str) -> int:
    """Return a field of this process's memory status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def _serve(pipe: Connection, key: str, threads: int, cores: list[int], log: str) -> None:
    """Run in the child: answer until the parent hangs up."""
    from benchmarks.peers.base import Unsupported

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    machine.stay_on(cores)
    # Libraries write to the descriptor itself, so it is the descriptor that is turned.
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    server: Any = None
    while True:
        try:
            question, arguments = pipe.recv()
        except (EOFError, OSError):
            break
        try:
            if server is None:
                server = MachineServer(threads) if key == MACHINE else PeerServer(key, threads)
            pipe.send(("ok", getattr(server, question)(*arguments)))
        except Unsupported as error:
            pipe.send(("unsupported", str(error)))
        except Exception as error:
            text = f"{type(error).__name__}: {error}".strip().splitlines()[0][:300]
            pipe.send(("failed", text))
    sys.exit(0)
