"""What is wrong with a file, told in one way."""

from collections.abc import Iterator
from contextlib import contextmanager


class MissingFileError(FileNotFoundError, ValueError):
    """There is no such file: for Keras a ValueError of ``.keras``, and of ``.h5`` an OSError."""


class RefusedError(ValueError):
    """A file that is not read, with a message that names it."""


class BadConfigError(RefusedError, TypeError):
    """A config names a class that is not here, or none at all: a TypeError for Keras."""


@contextmanager
def damage_named(source: str) -> Iterator[None]:
    """Turn whatever a damaged file makes a reader raise into one kind of error.

    Parsers tell of damage by nearly every exception there is: of a syntax, a type, a key,
    of memory, of recursion, of tokens. A package that is missing is no damage.

    Raises
    ------
    RefusedError
        A `ValueError` that names `source`.
    """
    try:
        yield
    except (RefusedError, ImportError):
        raise
    except Exception as error:
        told = str(error) or type(error).__name__
        raise RefusedError(f"{source} is damaged, or no file of a model: {told}") from error
