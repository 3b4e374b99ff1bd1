"""`text_dataset_from_directory`: the text files of a folder, batch by batch."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from rnn_engine.config import is_interactive_logging_enabled
from rnn_engine.data.dataset import Dataset


class TextFiles(Dataset):
    """Texts of files, or pairs of text and label; `class_names` tells what labels stand for."""

    class_names: list[str] | None = None


def text_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: list[str] | None = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Return the ``.txt`` files of a folder as a dataset.

    Mirrors `keras.utils.text_dataset_from_directory`. Which files are kept for validation is as
    in Keras for the same seed; the order of the others at each iteration is our own stream's.

    Parameters
    ----------
    directory : path
        With a folder for each class, unless `labels` says otherwise.
    labels : {"inferred", None} or list of int
        By the folders; none; or one for each file, sorted by path.
    label_mode : {"int", "categorical", "binary", None}
        int32 numbers, one-hot rows, columns of 0 and 1 in float32, or no labels.
    class_names : list of str, optional
        Folders to read, in the order of their numbers; all, sorted, if None.
    batch_size : int or None
        None yields single texts.
    max_length : int, optional
        Texts are cut after so many bytes of UTF-8, as in Keras.
    shuffle : bool
        Otherwise files are sorted.
    seed : int, optional
    validation_split : float, optional
        Share of the files for validation.
    subset : {"training", "validation", "both", None}
        Which part; "both" returns a list of the two.
    follow_links : bool
    format : {"tf", "grain"}
        Accepted for Keras's sake.
    verbose : bool
        Print how many files there are.

    Raises
    ------
    ValueError
        If an argument is outside its range, or there are no files.
    """
    _check(labels, label_mode, class_names, format)
    _check_split(validation_split, subset, shuffle, seed)
    if labels is None or label_mode is None:
        labels = label_mode = None
    if seed is None:
        seed = int(np.random.randint(1_000_000))  # noqa: NPY002  # Keras's stream
    paths, numbers, names = _files(directory, labels, class_names, follow_links)
    if label_mode == "binary" and len(names or ()) != 2:
        raise ValueError(
            f'When passing `label_mode="binary"`, there must be exactly 2 class_names. Received: '
            f"class_names={names}"
        )
    if verbose and is_interactive_logging_enabled():
        classes = "." if numbers is None else f" belonging to {len(names or ())} classes."
        print(f"Found {len(paths)} files{classes}")
    if shuffle:
        order = np.arange(len(paths))
        np.random.RandomState(seed).shuffle(order)
        paths = [paths[i] for i in order]
        numbers = None if numbers is None else numbers[order]
    wanted = ["training", "validation"] if subset == "both" else [subset]
    parts = []
    for part in wanted:
        chosen = _part(len(paths), validation_split, part)
        if not paths[chosen]:
            kind = f"{part} " if part else ""
            raise ValueError(
                f"No {kind}text files found in directory {directory}. Allowed format: .txt"
            )
        own = None if numbers is None else _encoded(numbers[chosen], label_mode, len(names or ()))
        data = _texts(paths[chosen], own, max_length)
        if shuffle and (part != "validation" or subset == "validation"):
            data = data.shuffle((batch_size or 128) * 8, seed=seed)
        if batch_size is not None:
            data = data.batch(batch_size)
        made = TextFiles(data._make, data._count())
        made.class_names = names
        parts.append(made)
    return parts if subset == "both" else parts[0]


def _check(labels: Any, label_mode: Any, class_names: Any, format: str) -> None:
    if labels not in ("inferred", None):
        if not isinstance(labels, list | tuple):
            raise ValueError(
                "`labels` argument should be a list/tuple of integer labels, of the same size as "
                "the number of text files in the target directory. If you wish to infer the labels "
                'from the subdirectory names in the target directory, pass `labels="inferred"`. '
                f"Received: labels={labels}"
            )
        if class_names:
            raise ValueError(
                f'You can only pass `class_names` if `labels="inferred"`. Received: '
                f"labels={labels}, and class_names={class_names}"
            )
    if label_mode not in ("int", "categorical", "binary", None):
        raise ValueError(
            f'`label_mode` argument must be one of "int", "categorical", "binary", or None. '
            f"Received: label_mode={label_mode}"
        )
    if format not in ("tf", "grain"):
        raise ValueError(f'`format` should be either "tf" or "grain". Received: format={format}')


def _check_split(split: Any, subset: Any, shuffle: bool, seed: Any) -> None:
    if split and not 0 < split < 1:
        raise ValueError(f"`validation_split` must be between 0 and 1, received: {split}")
    if bool(split) != bool(subset):
        raise ValueError("If `subset` is set, `validation_split` must be set, and inversely.")
    if subset not in ("training", "validation", "both", None):
        raise ValueError(
            f'`subset` must be either "training", "validation" or "both", received: {subset}'
        )
    if split and shuffle and seed is None:
        raise ValueError(
            "If using `validation_split` and shuffling the data, you must provide a `seed` "
            "argument, to make sure that there is no overlap between the training and validation "
            "subset."
        )


def _files(
    directory: Any, labels: Any, class_names: Any, follow_links: bool
) -> tuple[list[str], np.ndarray | None, list[str] | None]:
    """Return paths, labels and names of classes, folder by folder, sorted."""
    root = os.fspath(directory)
    if labels != "inferred":
        if class_names is not None:
            raise ValueError(
                "When `labels` are not inferred, argument `class_names` cannot be specified."
            )
        paths = list(_walk(root, follow_links))
        if labels is None:
            return paths, None, None
        if len(labels) != len(paths):
            raise ValueError(
                f"Expected the lengths of `labels` to match the number of files in the target "
                f"directory. len(labels) is {len(labels)} while we found {len(paths)} files in "
                f"directory {root}."
            )
        return paths, np.asarray(labels, np.int32), [str(label) for label in sorted(set(labels))]
    found = sorted(
        name
        for name in os.listdir(root)
        if os.path.isdir(os.path.join(root, name)) and not name.startswith(".")
    )
    if class_names is not None and not set(class_names) <= set(found):
        raise ValueError(
            f"The `class_names` passed did not match the names of the subdirectories of the target "
            f"directory. Expected: {found} (or a subset of it), but received: "
            f"class_names={class_names}"
        )
    names = found if class_names is None else list(class_names)
    by_class = [list(_walk(os.path.join(root, name), follow_links)) for name in names]
    numbers = [i for i, paths in enumerate(by_class) for _ in paths]
    return [path for paths in by_class for path in paths], np.asarray(numbers, np.int32), names


def _walk(folder: str, follow_links: bool) -> Iterator[str]:
    walked = os.walk(folder, followlinks=follow_links)
    for root, _, files in sorted(walked, key=lambda entry: entry[0]):
        for name in sorted(files):
            if name.lower().endswith(".txt"):
                yield os.path.join(root, name)


def _part(count: int, split: float | None, subset: str | None) -> slice:
    """Return which files are of a subset: the last ones are for validation."""
    if not split:
        return slice(None)
    held_back = int(split * count)
    # Written so that none held back leaves all for training, where Keras's slice has none.
    return slice(count - held_back, None) if subset == "validation" else slice(count - held_back)


def _encoded(numbers: np.ndarray, mode: str | None, classes: int) -> np.ndarray:
    if mode == "binary":
        return numbers[:, None].astype(np.float32)
    if mode == "categorical":
        return (numbers[:, None] == np.arange(classes)).astype(np.float32)
    return numbers


def _texts(paths: list[str], labels: np.ndarray | None, max_length: int | None) -> Dataset:
    def elements() -> Iterator[Any]:
        for i, path in enumerate(paths):
            with open(path, "rb") as file:
                data = file.read() if max_length is None else file.read(max_length)
            text = np.asarray(data.decode("utf-8", errors="ignore"))
            yield text if labels is None else (text, labels[i])

    return Dataset(elements, len(paths))
