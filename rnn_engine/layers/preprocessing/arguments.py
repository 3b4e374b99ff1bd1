"""Reading and checking of the arguments that the string layers share."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


def batches(data: Any, steps: int | None) -> Iterable[Any]:
    """Yield what `adapt` is to count: a list or array at once, each string a document."""
    if isinstance(data, str | bytes | list | tuple | np.ndarray):
        array = np.array(data, dtype=object)
        yield array[:, None] if array.ndim == 1 else array
        return
    for i, batch in enumerate(data):
        if steps is not None and i >= steps:
            break
        yield batch


def as_list(values: Any) -> Any:
    """Return an array as a list, for JSON."""
    return values.tolist() if isinstance(values, np.ndarray) else values


def without_path(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a configuration, which must not name a vocabulary file."""
    if isinstance(config.get("vocabulary"), str | os.PathLike):
        raise ValueError("A configuration must not name a vocabulary file; use set_vocabulary.")
    return dict(config)


def check_arguments(
    max_tokens: int | None, num_oov_indices: int, output_mode: str, invert: bool, pad: bool
) -> None:
    """Raise ValueError at arguments of a lookup that are out of range or contradict."""
    if max_tokens is not None and max_tokens <= 1:
        raise ValueError(
            f"If set, `max_tokens` must be greater than 1. Received: max_tokens={max_tokens}"
        )
    if pad and max_tokens is None:
        raise ValueError(
            "If pad_to_max_tokens is True, must set `max_tokens`. Received: max_tokens=None"
        )
    if num_oov_indices < 0:
        raise ValueError(
            "`num_oov_indices` must be greater than or equal to 0. Received: "
            f"num_oov_indices={num_oov_indices}"
        )
    if invert and output_mode != "int":
        raise ValueError(
            f"`output_mode` must be `'int'` when `invert` is true. Received: "
            f"output_mode={output_mode}"
        )


def no_sparse(sparse: Any, output_mode: str) -> ValueError:
    """Return the error of `sparse`: for integers in Keras's words, and for all else in ours."""
    opening = ""
    if output_mode == "int":
        opening = (
            f"`sparse` may only be true if `output_mode` is `'one_hot'`, `'multi_hot'`, `'count'` "
            f"or `'tf_idf'`. Received: sparse={sparse} and output_mode=int. "
        )
    return ValueError(f"{opening}sparse must be False: there are no sparse arrays here.")


def read_salt(salt: Any, layer: str) -> tuple[int, int] | None:
    """Return the key of the hash; one number stands for both parts."""
    if salt is None:
        return None
    if isinstance(salt, int):
        return salt, salt
    if isinstance(salt, tuple | list) and len(salt) == 2:
        return int(salt[0]), int(salt[1])
    raise ValueError(
        f"The `salt` argument for `{layer}` can only be a tuple of size 2 integers, or a single "
        f"integer. Received: salt={salt}."
    )


def read_file(path: str | os.PathLike[str], encoding: str) -> list[str]:
    """Return the lines of a vocabulary file."""
    if not os.path.exists(path):
        raise ValueError(f"Vocabulary file {os.fspath(path)} does not exist.")
    with open(path, encoding=encoding) as file:
        return file.read().removesuffix("\n").split("\n")
