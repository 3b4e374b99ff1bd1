"""Ctrl-C during a compilation: noted, and passed on when the compilation has ended.

LLVM calls back into Python while it makes code. An exception that a signal's handler raises
there cannot get out: ctypes prints it and goes on, and the Ctrl-C is lost.
"""

import functools
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, ParamSpec, TypeVar

from rnn_engine.kernels import notice

_P = ParamSpec("_P")
_R = TypeVar("_R")


class _Waiting:
    """The handler of SIGINT during a compilation; remembers the last signal."""

    def __init__(self) -> None:
        self.came: tuple[int, FrameType | None] | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.came = (number, frame)


def holds_interrupts(compile_it: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorate a function that compiles, so that SIGINT's handler runs at its end.

    Only the main thread runs handlers, so that elsewhere nothing is held.
    """

    @functools.wraps(compile_it)
    def held(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        if threading.current_thread() is not threading.main_thread():
            return compile_it(*args, **kwargs)
        old: Any = signal.getsignal(signal.SIGINT)
        # Not ignored, not set by code outside Python, not held already: compilations nest.
        if not callable(old) or isinstance(old, _Waiting):
            return compile_it(*args, **kwargs)
        waiting = _Waiting()
        signal.signal(signal.SIGINT, waiting)
        try:
            return compile_it(*args, **kwargs)
        finally:
            signal.signal(signal.SIGINT, old)
            if waiting.came is not None:
                old(*waiting.came)

    return held


def ends_notice(compile_it: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorate what compiles between a cache's two calls; the second is not made if it fails."""

    @functools.wraps(compile_it)
    def ended(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return compile_it(*args, **kwargs)
        except BaseException:
            notice.compilation_ends()
            raise

    return ended
