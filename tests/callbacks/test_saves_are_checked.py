"""What is in the way of a save is said when fit begins, not after the training."""

import os
import sys
from typing import Any

import numpy as np
import pytest

from rnn_engine import Sequential, layers
from rnn_engine import callbacks as cb

X, Y = np.ones((8, 3), "f4"), np.ones((8, 1), "f4")


def fails(callback: Any, error: Any, match: str, *more: Any) -> None:
    """Fit, and check that the error comes before anything is trained or computed."""
    model = Sequential([*more, layers.Dense(1, input_shape=(3,))])
    model.compile("sgd", "mse")
    model.build((None, 3))
    before = model.get_weights()
    batches: list[int] = []
    watch = cb.LambdaCallback(on_train_batch_begin=lambda batch, logs: batches.append(batch))
    with pytest.raises(error, match=match):
        model.fit(X, Y, verbose=0, callbacks=[callback, watch])
    assert not batches
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5", "{epoch}.weights.h5"])
def test_h5py_is_asked_for_at_once(
    name: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    callback = cb.ModelCheckpoint(tmp_path / name, save_weights_only=".weights." in name)
    fails(callback, ImportError, "pip install h5py")


def callbacks_that_write(folder: str) -> list[Any]:
    return [
        cb.ModelCheckpoint(os.path.join(folder, "m.npz")),
        cb.ModelCheckpoint(os.path.join(folder, "{epoch}", "m.npz")),
        cb.ModelCheckpoint(os.path.join(folder, "m{epoch}.weights.h5"), save_weights_only=True),
        cb.CSVLogger(os.path.join(folder, "log.csv")),
    ]


@pytest.mark.parametrize("number", range(4))
def test_a_folder_that_cannot_be(number: int, tmp_path: Any) -> None:
    (tmp_path / "file").write_text("")
    callback = callbacks_that_write(str(tmp_path / "file"))[number]
    fails(callback, OSError, "file")


def test_a_folder_that_nobody_may_write_to(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    callback = cb.ModelCheckpoint(tmp_path / "new" / "m.npz")
    fails(callback, PermissionError, "write-protected")
    backup = cb.BackupAndRestore(tmp_path / "backup")
    fails(backup, PermissionError, "write-protected")


def test_a_target_that_is_a_folder(tmp_path: Any) -> None:
    (tmp_path / "m.npz").mkdir()
    fails(cb.ModelCheckpoint(tmp_path / "m.npz"), OSError, "non-directory filepath")


def test_a_model_that_no_file_can_hold(tmp_path: Any) -> None:
    layer = layers.Dense(3, kernel_initializer=lambda shape, dtype=None: np.ones(shape, "f4"))
    layer.get_config = lambda: {"kernel_initializer": object()}  # type: ignore[method-assign]  # meant
    fails(cb.ModelCheckpoint(tmp_path / "m.npz"), (TypeError, ValueError), "object", layer)
    callback = cb.ModelCheckpoint(tmp_path / "m.npz", save_weights_only=True)
    model = Sequential([layer, layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0, callbacks=[callback])
    assert os.path.exists(tmp_path / "m.npz")


def test_folders_are_made_as_ever(tmp_path: Any) -> None:
    model = Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    paths = [tmp_path / "a" / "b" / "m.npz", tmp_path / "c{epoch}" / "m.keras"]
    model.fit(X, Y, verbose=0, callbacks=[cb.ModelCheckpoint(path) for path in paths])
    assert (tmp_path / "a" / "b" / "m.npz").exists()
    assert (tmp_path / "c1" / "m.keras").exists()
