"""Ctrl-C between two updates, never in the middle of one."""

# `signal` without its conversions to enums, which would be a fifth of a small step's time.
import _signal  # type: ignore[import-not-found]
import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class InterruptGuard:
    """Hold a Ctrl-C back while the weights are half written.

    Inside ``with guard:`` the signal reaches its old handler at once, except
    while `holding` is True; then `release` passes it on. Only Python's main
    thread gets signals, so elsewhere this does nothing. A guard may be entered
    again within itself, as by a callback that trains.
    """

    def __init__(self) -> None:
        self.holding = False
        self.pending = False
        self._depth = 0
        self._old: Any = None
        self._signal: tuple[int, FrameType | None] = (int(signal.SIGINT), None)

    def __reduce__(self) -> tuple[Any, ...]:
        return InterruptGuard, ()  # handlers and frames belong to the process

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.holding:
            self.pending, self._signal = True, (number, frame)
        else:
            self._old(number, frame)

    def release(self) -> None:
        """Pass on the signal that came while `holding`."""
        if self.pending:
            self.pending = False
            self._old(*self._signal)

    def __enter__(self) -> "InterruptGuard":
        if threading.get_ident() != threading.main_thread().ident:
            return self
        if self._depth == 0:
            self.holding = self.pending = False
            old = _signal.getsignal(signal.SIGINT)
            if old != self._handle:  # as it is where an interrupt kept `__exit__` from its work
                self._old = old if callable(old) else None  # ignored, or set outside Python
            if self._old is not None:
                _signal.signal(signal.SIGINT, self._handle)
        self._depth += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.holding = False
        if threading.get_ident() != threading.main_thread().ident:
            return
        self._depth -= 1
        if self._depth == 0 and self._old is not None:
            _signal.signal(signal.SIGINT, self._old)
            if error is None:
                self.release()
