"""Tables and arrays in files: CSV, npy and parquet, by path or from standard input."""

import io
import math
import os
import sys
from typing import Any

import numpy as np
import pandas


def read(path: str) -> Any:
    """Return a file's table as a DataFrame, or an npy file's array.

    A first column that is not of numbers becomes the index: of dates, if it reads as such.

    Parameters
    ----------
    path : str
        Ends in .npy, .parquet, .tsv, or else is CSV; ``-`` is standard input, whose kind shows in
        its first bytes.

    Raises
    ------
    ValueError
        If it is damaged; names the file.
    OSError
        If it cannot be read.
    """
    name = "standard input" if path == "-" else path
    source: Any = io.BytesIO(sys.stdin.buffer.read()) if path == "-" else path
    try:
        kind = _kind(source, path)
        if kind == "npy":
            return _array(source)
        if kind == "parquet":
            table = pandas.read_parquet(source)
            return _indexed(table, name) if _counted(table) else table
        table = pandas.read_csv(source, sep="\t" if kind == "tsv" else ",", skipinitialspace=True)
    except ImportError as error:
        raise ImportError(f"{name}: parquet files need pyarrow: pip install pyarrow.") from error
    except (ValueError, EOFError) as error:  # pandas' and pyarrow's are ValueErrors, too
        text = " ".join(str(error).split())
        raise ValueError(f"{name} cannot be read as {kind}: {text}") from error
    return _indexed(table, name)


def _kind(source: Any, path: str) -> str:
    if path != "-":
        ending = os.path.splitext(path)[1].lower().removeprefix(".")
        return ending if ending in ("npy", "parquet", "tsv") else "csv"
    start = source.getvalue()[:6]
    if start == b"\x93NUMPY":
        return "npy"
    return "parquet" if start[:4] == b"PAR1" else "csv"


def _array(source: Any) -> np.ndarray:
    """Return an array that is no larger than its file; nothing in it is run."""
    if isinstance(source, str):
        return np.load(source, mmap_mode="r", allow_pickle=False)
    version = np.lib.format.read_magic(source)
    header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = header(source)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize > source.getbuffer().nbytes:
        raise ValueError(f"an array of {dtype} and shape {shape} is not in it")
    source.seek(0)
    return np.load(source, allow_pickle=False)


def _counted(table: Any) -> bool:
    return isinstance(table.index, pandas.RangeIndex) and table.index.name is None


def _indexed(table: Any, name: str) -> Any:
    """Return a table whose first column is its index, where that is not of numbers."""
    if not len(table):
        raise ValueError(f"{name} has no rows.")
    if table.shape[1] < 2 or pandas.api.types.is_numeric_dtype(table.dtypes.iloc[0]):
        return table
    table = table.set_index(table.columns[0])
    try:
        table.index = pandas.to_datetime(table.index, format="ISO8601")
    except ValueError:
        return table
    return table


ENDINGS = (".csv", ".tsv", ".npy", ".parquet")


def writable(path: str) -> None:
    """Check the name of a file to be written.

    Raises
    ------
    ValueError
        If its ending tells no kind.
    FileNotFoundError
        If its folder is not there.
    """
    if path == "-":
        return
    if os.path.splitext(path)[1].lower() not in ENDINGS:
        raise ValueError(f"--out must end in {', '.join(ENDINGS)} or be -, got {path!r}.")
    folder = os.path.dirname(path)
    if not os.path.isdir(folder or "."):
        raise FileNotFoundError(f"There is no folder {folder!r} to write into.")


def write(path: str, table: Any) -> None:
    """Write a DataFrame or an array, as the ending says.

    To ``-``, standard output, tables go as CSV and arrays as npy, or as CSV where it is a terminal.
    """
    is_array = isinstance(table, np.ndarray)
    ending = os.path.splitext(path)[1].lower()
    if path == "-":
        stream = sys.stdout.buffer
        if is_array and not sys.stdout.isatty():
            np.save(stream, table)
        else:
            stream.write(_csv(pandas.DataFrame(_flat(table)) if is_array else table).encode())
        stream.flush()
    elif ending == ".npy":
        np.save(path, np.asarray(table))
    elif ending == ".parquet":
        table = pandas.DataFrame(_flat(table)) if is_array else table
        table.rename(columns=str).to_parquet(path)
    else:
        with open(path, "w", encoding="utf-8", newline="") as file:
            table = pandas.DataFrame(_flat(table)) if is_array else table
            file.write(_csv(table, "\t" if ending == ".tsv" else ","))


def _flat(array: np.ndarray) -> np.ndarray:
    return array.reshape(len(array), -1)


def _csv(table: Any, between: str = ",") -> str:
    # A float32 in the digits that it has.
    index = table.index.name is not None or not isinstance(table.index, pandas.RangeIndex)
    return str(table.to_csv(index=index, sep=between, lineterminator="\n"))


def say(text: str) -> None:
    """Print a line for people: on standard error, so that output can be piped."""
    print(text, file=sys.stderr, flush=True)
