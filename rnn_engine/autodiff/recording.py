"""Which tapes are open, and the loading of `autograd`: all that is needed without a tape."""

import importlib
import threading
from typing import Any

# Of all threads: where it is empty, nobody has to ask whether one is open here.
OPEN: list[Any] = []


class _Stack(threading.local):
    tapes: tuple[Any, ...] = ()


_stack = _Stack()


def open_tapes() -> tuple[Any, ...]:
    """Return the tapes of this thread that record, the outermost first."""
    return _stack.tapes


def is_recording() -> bool:
    """Whether a tape records in this thread."""
    return bool(OPEN) and bool(_stack.tapes)


def push(tape: Any) -> None:
    """Let a tape record from here on."""
    _stack.tapes = (*_stack.tapes, tape)
    OPEN.append(tape)


def remove(tape: Any) -> None:
    """Let a tape record no more."""
    _stack.tapes = tuple(other for other in _stack.tapes if other is not tape)
    for place, other in enumerate(OPEN):
        if other is tape:
            del OPEN[place]
            break


class silenced:
    """Within it, no tape of this thread records.

    >>> with silenced():
    ...     is_recording()
    False
    """

    def __enter__(self) -> None:
        self.kept = _stack.tapes
        _stack.tapes = ()

    def __exit__(self, *error: Any) -> None:
        _stack.tapes = self.kept


def load() -> Any:
    """Return the module `engine`, which needs `autograd`.

    Raises
    ------
    ImportError
        If the package is not installed; the message names the extra that brings it.
    """
    try:
        return importlib.import_module("rnn_engine.autodiff.engine")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "autograd":
            raise
        raise ImportError(
            "Gradients of functions, layers and steps of one's own need the package autograd: "
            "pip install 'rnn_engine[autograd]'. (Or write backward by hand, see "
            "docs/extending.md.)"
        ) from None
