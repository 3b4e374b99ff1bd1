"""Work arrays that are used again instead of being asked from the system each time.

Above some hundred KiB a fresh array comes from the system page by page: measured, the
faults cost a third of a training step of 32 units.
"""

import math
import sys
from typing import Any

import numpy as np

_ALIGNMENT = 64  # a cache line, and the widest register
_SMALLEST = 16384  # bytes; below, an ordinary array is as quick


class BufferPool:
    """Hands out uninitialised arrays; one is free again when nobody else refers to it.

    Nothing has to be given back: an array that a caller keeps, or keeps a view of, is
    simply not handed out again.
    """

    def __init__(self, most: int = 8) -> None:
        self._most = most
        self._owners: list[np.ndarray] = []

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Return an array like `numpy.empty`, aligned to a cache line if it is large."""
        size = math.prod(shape) * dtype.itemsize
        if size < _SMALLEST:
            return np.empty(shape, dtype)
        owner = self._free(size + _ALIGNMENT)
        if owner is None:
            owner = np.empty(size + _ALIGNMENT, np.uint8)
            self._owners.append(owner)
            if len(self._owners) > self._most:
                self._owners.pop(0)
        start = -owner.ctypes.data % _ALIGNMENT
        return owner[start : start + size].view(dtype).reshape(shape)

    def _free(self, size: int) -> np.ndarray | None:
        """Return an array of `size` bytes that only this pool knows.

        Two threads that look at the same one both see the other's reference, and both
        pass on.
        """
        for owner in self._owners:
            if owner.size == size and sys.getrefcount(owner) == _ALONE:
                return owner
        return None


def _count_alone(owners: list[Any]) -> int:
    for owner in owners:
        return sys.getrefcount(owner)
    return 0


# What `getrefcount` says, in a loop like that above, of an object only the list holds.
_ALONE = _count_alone([np.empty(1)])
