"""What the datasets share: their files, and the cutting of texts and tables."""

import io
import json
import pickle
import zipfile
from typing import Any

import numpy as np

from rnn_engine.utils.download import get_file

Split = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""``(x_train, y_train), (x_test, y_test)``"""

_ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


def fetch(path: Any, name: str, file_hash: str | None = None, **kwargs: Any) -> str:
    """Return the path of a file in the cache, downloading it if it is not there."""
    return get_file(path, origin=_ORIGIN + name, file_hash=file_hash, **kwargs)


def read_word_index(path: Any, name: str, file_hash: str) -> dict[str, int]:
    """Return the numbers of the words, from a JSON file."""
    with open(fetch(path, name, file_hash), encoding="utf-8") as file:
        return dict(json.load(file))


# --- arrays of lists ----------------------------------------------------------------

_ARRAYS = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
}


class _ArrayUnpickler(pickle.Unpickler):
    """Builds arrays and nothing else: such a file runs no code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ARRAYS:
            raise pickle.UnpicklingError(
                f"Refusing to deserialize `{module}.{name}` while loading a dataset. The file may "
                f"be corrupted or malicious."
            )
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_npz(path: str) -> dict[str, np.ndarray]:
    """Return the arrays of an archive; those of lists, too, which NumPy has as pickles."""
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            if member.endswith(".npy"):
                arrays[member.removesuffix(".npy")] = _read_array(archive.read(member))
    return arrays


def _read_array(data: bytes) -> np.ndarray:
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read = {1: np.lib.format.read_array_header_1_0}.get(
        version[0], np.lib.format.read_array_header_2_0
    )
    if not read(stream)[2].hasobject:
        stream.seek(0)
        return np.lib.format.read_array(stream, allow_pickle=False)
    return np.asarray(_ArrayUnpickler(stream).load())


# --- order and parts ------------------------------------------------------------------


def mixing(seed: int) -> np.random.RandomState:
    """Return the stream of which Keras's orders are."""
    return np.random.RandomState(seed)


def mixed(stream: np.random.RandomState, *arrays: np.ndarray) -> list[np.ndarray]:
    """Return arrays in the order that Keras mixes them to."""
    order = np.arange(len(arrays[0]))
    stream.shuffle(order)
    return [array[order] for array in arrays]


def parts(x: Any, y: Any, test_split: float) -> Split:
    """Return the first part for training and the rest for testing."""
    at = int(len(x) * (1 - test_split))
    return (np.array(x[:at]), np.array(y[:at])), (np.array(x[at:]), np.array(y[at:]))


def table(path: Any, name: str, file_hash: str, test_split: float) -> tuple[Any, Any]:
    """Return x and y of a table, after a look at the share for testing."""
    if not 0 <= test_split < 1:
        raise ValueError(
            f"Invalid `test_split` argument: {test_split}. It must be between 0 and 1 (exclusive "
            f"of 1)."
        )
    with np.load(fetch(path, name, file_hash), allow_pickle=False) as file:
        return file["x"], file["y"]


# --- texts ------------------------------------------------------------------------------


def marked(texts: Any, start_char: int | None, index_from: int) -> list[list[int]]:
    """Return texts with the start in front, and their words' numbers moved."""
    start = [] if start_char is None else [start_char]
    by = index_from if start_char is not None or index_from else 0
    return [start + [word + by for word in text] for text in texts]


def short_ones(maxlen: int, texts: Any, labels: Any) -> tuple[list[Any], list[Any]]:
    """Return texts of fewer than `maxlen` words, and their labels."""
    kept = [i for i, text in enumerate(texts) if len(text) < maxlen]
    return [texts[i] for i in kept], [labels[i] for i in kept]


def frequent_words(
    texts: list[list[int]], num_words: int | None, skip_top: int, oov_char: int | None
) -> list[list[int]]:
    """Return texts of the words from number `skip_top` up to `num_words`, others as `oov_char`."""
    end = num_words or max(max(text) for text in texts)
    if oov_char is None:
        return [[word for word in text if skip_top <= word < end] for text in texts]
    return [[word if skip_top <= word < end else oov_char for word in text] for text in texts]


def ragged(texts: list[list[int]]) -> np.ndarray:
    """Return an array of lists, whatever their lengths."""
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array
