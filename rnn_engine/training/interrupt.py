"""Ctrl-C between two updates, never in the middle of one."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class InterruptGuard:
    """Hold a Ctrl-C back while the weights are half written.

    Inside ``with guard:`` the signal reaches its old handler at once, except
    while `holding` is True; then `release` passes it on. Only Python's main
    thread gets signals, so elsewhere this does nothing.
    """

    def __init__(self) -> None:
        self.holding = False
        self.pending = False
        self._old: Any = None
        self._signal: tuple[int, FrameType | None] = (int(signal.SIGINT), None)

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
        self.holding = self.pending = False
        self._old = None
        if threading.current_thread() is threading.main_thread():
            old = signal.getsignal(signal.SIGINT)
            if callable(old):  # not ignored, not set by code outside Python
                self._old = old
                signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.holding = False
        if self._old is not None:
            signal.signal(signal.SIGINT, self._old)
            if error is None:
                self.release()
