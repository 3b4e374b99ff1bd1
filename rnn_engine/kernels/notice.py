"""A word on the terminal when compilation takes long: once, and only for a person."""

import sys
import threading
import time
from collections.abc import Callable

# Seconds of compilation, in all, before anything is said.
DELAY = 1.0

_said = False
_depth = 0
_spent = 0.0
_begun = 0.0
_timer: threading.Timer | None = None


def compilation_begins(is_kept: Callable[[], bool]) -> None:
    """Note that a function is being compiled; `is_kept` tells whether it will be saved.

    Compilations nest, and run under Numba's lock: never two at once.
    """
    global _depth, _begun, _timer
    _depth += 1
    if _depth > 1 or _said or not _on_terminal():
        return
    _begun = time.monotonic()
    _timer = threading.Timer(max(0.0, DELAY - _spent), _say, (is_kept,))
    _timer.daemon = True
    _timer.start()


def compilation_ends() -> None:
    """Note that the innermost compilation has ended, or failed."""
    global _depth, _spent, _timer
    _depth = max(0, _depth - 1)
    if _depth == 0 and _timer is not None:
        _timer.cancel()
        _timer = None
        _spent += time.monotonic() - _begun


def _on_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # no stderr, or a closed one
        return False


def _say(is_kept: Callable[[], bool]) -> None:
    global _said
    if _said:
        return
    _said = True
    how_often = "once" if is_kept() else "at every start: there is no folder that can keep them"
    try:
        sys.stderr.write(f"rnn_engine: compiling kernels, {how_often}\n")
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):
        return
