"""`tf.train.Checkpoint` and its manager, as programs with loops of their own use them."""

import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnn_engine as tf
from rnn_engine import train

X = np.random.default_rng(0).normal(size=(4, 3, 2)).astype("float32")


def made() -> tuple[Any, Any, Any]:
    model = tf.keras.Sequential([tf.keras.layers.GRU(3), tf.keras.layers.Dense(1)])
    optimizer = tf.keras.optimizers.Adam(0.1)
    step = tf.keras.Variable(0.0, dtype="float32")
    return model, optimizer, step


def trained(model: Any, optimizer: Any, steps: int) -> None:
    for _ in range(steps):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(X)))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))


def test_training_goes_on_to_the_bit(tmp_path: Path) -> None:
    model, optimizer, step = made()
    trained(model, optimizer, 2)
    step.assign(2.0)
    checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, step=step)
    path = checkpoint.save(str(tmp_path / "ckpt"))
    assert path == str(tmp_path / "ckpt-1") == tf.train.latest_checkpoint(tmp_path)
    trained(model, optimizer, 2)
    expected = model.predict(X, verbose=0)

    model, optimizer, step = made()
    model(X)
    again = tf.train.Checkpoint(model=model, optimizer=optimizer, step=step)
    again.restore(tf.train.latest_checkpoint(str(tmp_path))).assert_consumed()
    assert float(step.numpy()) == 2.0
    assert int(again.save_counter) == 1
    trained(model, optimizer, 2)
    np.testing.assert_array_equal(model.predict(X, verbose=0), expected)


def test_the_manager_keeps_the_newest(tmp_path: Path) -> None:
    model, optimizer, _ = made()
    model(X)
    checkpoint = train.Checkpoint(model=model, optimizer=optimizer)
    manager = train.CheckpointManager(checkpoint, tmp_path / "c", max_to_keep=2)
    assert manager.latest_checkpoint is None
    assert checkpoint.restore(manager.latest_checkpoint).expect_partial()
    weights = []
    for i in range(3):
        model.set_weights([w + 1 for w in model.get_weights()])
        weights.append(model.get_weights())
        assert manager.save() == str(tmp_path / "c" / f"ckpt-{i + 1}")
    names = [str(tmp_path / "c" / f"ckpt-{i}") for i in (2, 3)]
    assert manager.checkpoints == names
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == [
        "checkpoint", "ckpt-2.npz", "ckpt-3.npz",
    ]  # fmt: skip
    following = train.CheckpointManager(checkpoint, tmp_path / "c", max_to_keep=2)
    assert following.checkpoints == names
    checkpoint.restore(names[0])
    np.testing.assert_array_equal(model.get_weights()[0], weights[1][0])
    assert following.restore_or_initialize() == names[1]
    np.testing.assert_array_equal(model.get_weights()[0], weights[2][0])


def test_a_manager_that_is_stopped_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, at and after each step of a save some checkpoint is named, and whole."""
    model, _, _ = made()
    model(X)

    def manager() -> Any:
        return train.CheckpointManager(train.Checkpoint(model=model), tmp_path, max_to_keep=1)

    manager().save()

    class Stop(Exception):
        """A kill."""

    def stop(*_: Any, **__: Any) -> None:
        raise Stop

    for target, name in ((train, "_point_to"), (Path, "unlink"), (train, "replacing")):
        with monkeypatch.context() as patch:
            patch.setattr(target, name, stop)
            stopped = manager()
            stopped.restore_or_initialize()
            with pytest.raises(Stop):
                stopped.save()
        assert manager().restore_or_initialize() is not None
    last = manager()
    last.restore_or_initialize()
    path = Path(last.save())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint", f"{path.name}.npz"]


def test_a_file_may_not_ask_for_memory(tmp_path: Path) -> None:
    """What a header asks for is compared with the file and the variable before it is taken."""
    step = tf.keras.Variable(3.0, dtype="float32")
    path = Path(f"{train.Checkpoint(step=step).save(tmp_path / 'a')}.npz")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("save_counter", "step/0"):
            with archive.open(f"{name}.npy", "w") as member:
                header = {"descr": "<f4", "fortran_order": False, "shape": (1 << 26,)}
                np.lib.format.write_array_header_1_0(member, header)
                for _ in range(1 << 8):
                    member.write(bytes(1 << 20))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"a-1\.npz"):
        train.Checkpoint(step=step).restore(tmp_path / "a-1")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1 << 24
    assert float(step.numpy()) == 3.0


def test_what_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    model, optimizer, step = made()
    with pytest.raises(TypeError, match="A Checkpoint holds models, layers, optimizers and vari"):
        train.Checkpoint(model=model, words=["a"])
    trained(model, optimizer, 1)
    path = train.Checkpoint(model=model, step=step).save(tmp_path / "a")
    other = tf.keras.Sequential([tf.keras.layers.GRU(4), tf.keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="build the model first"):
        train.Checkpoint(model=other, step=step).restore(path)
    other(X)
    before = other.get_weights()
    with pytest.raises(ValueError, match="does not fit this checkpoint: Variable 0 of 'model'"):
        train.Checkpoint(model=other, step=step).restore(path)
    with pytest.raises(FileNotFoundError):
        train.Checkpoint(model=model).restore(tmp_path / "none")
    content = Path(f"{path}.npz").read_bytes()
    for damaged in (b"", content[:100], content[: len(content) // 2], b"no zip"):
        Path(f"{path}.npz").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"a-1\.npz"):
            train.Checkpoint(model=model, step=step).restore(path)
    for a, b in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "../a"')
    assert train.latest_checkpoint(tmp_path) is None
    assert train.latest_checkpoint(tmp_path / "none") is None
