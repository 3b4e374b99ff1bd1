"""What is wrong with a file, told in one way."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from zipfile import BadZipFile

# zipfile and h5py tell of damage by any of these; RuntimeError and NotImplementedError
# also of encrypted members and of compressions that are not known.
_DAMAGE = (
    ArithmeticError,
    BadZipFile,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


class RefusedError(ValueError):
    """A file that is not read, with a message that names it."""


@contextmanager
def damage_named(source: str) -> Iterator[None]:
    """Turn whatever a damaged file makes a reader raise into one kind of error.

    Raises
    ------
    RefusedError
        A `ValueError` that names `source`.
    """
    try:
        yield
    except RefusedError:
        raise
    except _DAMAGE as error:
        raise RefusedError(f"{source} is damaged, or no file of a model: {error}") from error
