"""What a file may cost: one limit on all that is unpacked of it, known beforehand."""

from typing import Any

import numpy as np

from rnn_engine.saving.errors import RefusedError

# A file that is honest and compressed is seldom smaller than a hundredth of its content;
# small files get something to begin with.
_FLOOR = 1 << 27
_MOST_EXPANSION = 100
# Deflate's own limit: so many bytes of output for each one of input.
MOST_DEFLATED = 1040
# JSON takes up to twenty times its size as objects.
_TEXT_FLOOR = 1 << 23


class Budget:
    """Bytes that reading one file may take, over all its members and arrays.

    Parameters
    ----------
    file_size : int
        Of the file on the disk.
    source : str
        Its name, for messages.
    """

    def __init__(self, file_size: int, source: str) -> None:
        self.file_size = file_size
        self.source = source
        self.left = max(_FLOOR, _MOST_EXPANSION * file_size)

    def take(self, size: int, what: str) -> None:
        """Take so many bytes for `what`.

        Raises
        ------
        ValueError
            If they are more than are left.
        """
        if size < 0 or size > self.left:
            raise RefusedError(
                f"{self.source}: {what} would take {size} bytes, more than a file of "
                f"{self.file_size} bytes can honestly hold; it is not read."
            )
        self.left -= size

    def take_text(self, size: int, what: str) -> None:
        """Take bytes for text that is parsed; of packed text there may be less."""
        if size > max(_TEXT_FLOOR, self.file_size):
            self.left = 0
        self.take(size, what)


def checked_dtype(dtype: Any, source: str) -> np.dtype:
    """Return a type of stored numbers.

    Raises
    ------
    ValueError
        If it is that of something else.
    """
    if dtype.kind not in "biuf":
        raise RefusedError(f"{source} must be an array of numbers, got dtype {dtype}.")
    return np.dtype(dtype)
