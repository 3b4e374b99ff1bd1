"""The package `onnx`, which only these functions need."""

from typing import Any


def load(what: str) -> Any:
    """Return the package `onnx`.

    Raises
    ------
    ImportError
        If it is not installed; the message names the extra.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            f"{what} needs the package onnx: pip install 'rnn_engine[onnx]'."
        ) from error
    return onnx
