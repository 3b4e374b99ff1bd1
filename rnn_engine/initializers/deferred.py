"""Weights whose values come out of a file: not drawn first, and no more than the file holds."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

_COMING: ContextVar["_Coming | None"] = ContextVar("coming", default=None)


class _Coming:
    """How many numbers are still to come, and from where."""

    def __init__(self, elements: int, source: str) -> None:
        self.left = elements
        self.source = source

    def take(self, shape: Sequence[int], path: str) -> None:
        """Take the numbers of one weight.

        Raises
        ------
        ValueError
            If the file does not hold so many.
        """
        wanted = math.prod(shape)
        if wanted > self.left:
            raise ValueError(
                f"the weight {path!r} of shape {tuple(shape)} has {wanted} numbers, and "
                f"{self.source} has {self.left} left for it."
            )
        self.left -= wanted


@contextmanager
def values_come_later(elements: int, source: str) -> Iterator[None]:
    """Let weights that are made in this block wait for their values, `elements` in all."""
    token = _COMING.set(_Coming(elements, source))
    try:
        yield
    finally:
        _COMING.reset(token)


def blank(shape: Sequence[int], dtype: Any, path: str) -> np.ndarray | None:
    """Return an array for a weight whose values come later, None if nothing is to come.

    Raises
    ------
    ValueError
        If more numbers are wanted than are to come.
    """
    coming = _COMING.get()
    if coming is None:
        return None
    coming.take(shape, path)
    return np.zeros(tuple(shape), dtype)  # no memory is taken until it is written to
