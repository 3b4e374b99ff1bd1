"""`Checkpoint` and `CheckpointManager` of `tf.train`: the state of models, optimizers, variables.

A checkpoint is one ``.npz`` file of arrays, beside which the file ``checkpoint`` names the
newest, as TensorFlow's does. It holds numbers alone, by the names that the objects were given.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from rnn_engine.layers.base import Layer
from rnn_engine.optimizers import Optimizer
from rnn_engine.saving import native
from rnn_engine.saving.archive import open_archive
from rnn_engine.saving.atomic import replacing
from rnn_engine.saving.errors import RefusedError
from rnn_engine.saving.stored import Stored
from rnn_engine.variable import Variable, writing

__all__ = ["Checkpoint", "CheckpointManager", "latest_checkpoint"]

_INDEX = "checkpoint"


class _Status:
    """What `restore` returns: everything was there."""

    def assert_consumed(self) -> "_Status":
        """Return itself."""
        return self

    expect_partial = assert_existing_objects_matched = assert_nontrivial_match = assert_consumed

    def run_restore_ops(self, session: Any = None) -> None:
        """Do nothing: it is done."""


class Checkpoint:
    """Objects whose state is saved and restored together (`tf.train.Checkpoint`).

    Parameters
    ----------
    root : Layer or Model, optional
    **objects
        Models, layers, optimizers and variables, by names.

    Unlike TensorFlow's, a restored model has to be built: call it on a batch first.

    Raises
    ------
    TypeError
        If something else is given.

    Examples
    --------
    >>> import tempfile
    >>> from rnn_engine import Variable
    >>> step = Variable(3.0, dtype="float32")
    >>> checkpoint = Checkpoint(step=step)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = checkpoint.save(f"{folder}/ckpt")
    ...     _ = step.assign(0.0)
    ...     _ = checkpoint.restore(latest_checkpoint(folder))
    >>> float(step.numpy()), int(checkpoint.save_counter)
    (3.0, 1)
    """

    def __init__(self, root: Any = None, **objects: Any) -> None:
        given = {} if root is None else {"root": root}
        given.update(objects)
        for name, value in given.items():
            _variables(name, value)
            setattr(self, name, value)
        self._objects = given
        self.save_counter = 0

    def write(self, file_prefix: Any, options: Any = None) -> str:
        """Write the state to a file of that name, and return the name."""
        arrays = {"save_counter": np.array(self.save_counter)}
        for name, value in self._objects.items():
            for i, variable in enumerate(_variables(name, value)):
                arrays[f"{name}/{i}"] = np.asarray(variable)
        path = Path(os.fspath(file_prefix))
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(f"{path}.npz") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # names, none of them NumPy's own
        return str(path)

    def save(self, file_prefix: Any, options: Any = None) -> str:
        """Write the state to ``file_prefix-N`` with the next N, and return that name."""
        self.save_counter += 1
        try:
            path = self.write(f"{os.fspath(file_prefix)}-{self.save_counter}")
        except BaseException:
            self.save_counter -= 1  # that was none
            raise
        _point_to(Path(path).parent, [Path(path).name])
        return path

    def read(self, save_path: Any, options: Any = None) -> _Status:
        """Take the state from a file.

        Raises
        ------
        ValueError
            If it holds the state of other objects, or is damaged; nothing is changed then.
        FileNotFoundError
            If it is not there.
        """
        path = f"{os.fspath(save_path)}.npz"
        with open(path, "rb") as file, open_archive(file, path) as archive:
            stored = {n.removesuffix(".npy"): native.stored(archive, n) for n in archive.names}
            counter = stored.pop("save_counter")
            if counter.shape:
                raise RefusedError(f"{path} is damaged: its save_counter is no number.")
            pairs = [pair for name in self._objects for pair in self._matched(name, stored, path)]
            values = [array.read() for _, array in pairs]
            count = int(counter.read())
        with writing([variable for variable, _ in pairs]):
            for (variable, _), array in zip(pairs, values, strict=True):
                variable.write(array)
        self.save_counter = count
        return _Status()

    def _matched(
        self, name: str, stored: dict[str, Stored], path: str
    ) -> list[tuple[Variable, Stored]]:
        """Return each variable of an object with its array in the file."""
        found = {key for key in stored if key.rpartition("/")[0] == name}
        self._built(self._objects[name], len(found))
        variables = _variables(name, self._objects[name])
        if found != {f"{name}/{i}" for i in range(len(variables))}:
            raise RefusedError(
                f"{path} does not fit this checkpoint: {name!r} has {len(variables)} variables, "
                f"and the file has {len(found)}: build the model first, by a call on a batch."
            )
        pairs = [(variable, stored[f"{name}/{i}"]) for i, variable in enumerate(variables)]
        for i, (variable, array) in enumerate(pairs):
            if array.shape != tuple(variable.shape):
                raise RefusedError(
                    f"{path} does not fit this checkpoint: Variable {i} of {name!r} has shape "
                    f"{variable.shape}, and the file has {array.dtype} of shape {array.shape}."
                )
        return pairs

    def restore(self, save_path: Any, options: Any = None) -> _Status:
        """Take the state from a file; with None do nothing, as TensorFlow. See `read`."""
        return _Status() if save_path is None else self.read(save_path)

    def _built(self, value: Any, stored: int) -> None:
        """Build an optimizer whose stored state is more than it has, for the models beside it."""
        if not isinstance(value, Optimizer) or value.built or stored <= len(value.variables):
            return
        held = [layer for layer in self._objects.values() if isinstance(layer, Layer)]
        if trained := [v for layer in held for v in layer.trainable_variables]:
            value.build(trained)


def _variables(name: str, value: Any) -> list[Any]:
    if isinstance(value, Variable):
        return [value]
    if isinstance(value, Layer | Optimizer):
        return list(value.variables)
    if isinstance(value, list | tuple):
        return [variable for entry in value for variable in _variables(name, entry)]
    raise TypeError(
        f"A Checkpoint holds models, layers, optimizers and variables. Received: {name}={value}"
    )


def _point_to(folder: Path, names: list[str]) -> None:
    """Write which checkpoints a folder has, the newest last."""
    lines = [f"model_checkpoint_path: {json.dumps(names[-1])}"]
    lines += [f"all_model_checkpoint_paths: {json.dumps(name)}" for name in names]
    with replacing(folder / _INDEX) as file:
        file.write(("\n".join(lines) + "\n").encode())


def latest_checkpoint(checkpoint_dir: Any, latest_filename: str | None = None) -> str | None:
    """Return the name of the newest checkpoint in a folder, None if there is none."""
    folder = Path(os.fspath(checkpoint_dir))
    try:
        text = (folder / (latest_filename or _INDEX)).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    found = re.match(r'model_checkpoint_path: "([^"/\\]+)"', text)
    if found is None or not (folder / f"{found[1]}.npz").exists():
        return None
    return str(folder / found[1])


class CheckpointManager:
    """Keeps the newest checkpoints of a folder (`tf.train.CheckpointManager`).

    Parameters
    ----------
    checkpoint : Checkpoint
    directory : path
    max_to_keep : int or None
        Older ones are deleted; None keeps all.
    checkpoint_name : str
        What their names begin with.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        directory: Any,
        max_to_keep: int | None,
        keep_checkpoint_every_n_hours: Any = None,
        checkpoint_name: str = "ckpt",
        **settings: Any,
    ) -> None:
        if max_to_keep is not None and max_to_keep <= 0:
            raise ValueError(
                f"Expected a positive integer or `None` for `max_to_keep`, got {max_to_keep}."
            )
        self.checkpoint = checkpoint
        self.directory = os.fspath(directory)
        self._most, self._name = max_to_keep, checkpoint_name
        latest = latest_checkpoint(directory)
        self._names = [] if latest is None else self._there(Path(latest).name)

    def _there(self, latest: str) -> list[str]:
        pattern = re.compile(re.escape(self._name) + r"-(\d+)")
        found = [p.stem for p in Path(self.directory).glob("*.npz") if pattern.fullmatch(p.stem)]
        found.sort(key=lambda name: int(name.rpartition("-")[2]))
        return [name for name in found if name != latest] + [latest]

    @property
    def latest_checkpoint(self) -> str | None:
        """Name of the newest checkpoint, None if there is none."""
        return self.checkpoints[-1] if self._names else None

    @property
    def checkpoints(self) -> list[str]:
        """Names of the checkpoints, the newest last."""
        return [os.path.join(self.directory, name) for name in self._names]

    def save(self, checkpoint_number: Any = None, **settings: Any) -> str:
        """Write a checkpoint, delete what is too old, and return the name."""
        self.checkpoint.save_counter += 1
        number = self.checkpoint.save_counter if checkpoint_number is None else checkpoint_number
        name = f"{self._name}-{int(number)}"
        path = self.checkpoint.write(os.path.join(self.directory, name))
        self._names = [old for old in self._names if old != name] + [name]
        kept = self._names if self._most is None else self._names[-self._most :]
        old, self._names = self._names[: -len(kept)], kept
        # Named first: a process that is killed in between leaves a file too many, and none too few.
        _point_to(Path(self.directory), kept)
        for name in old:
            Path(self.directory, f"{name}.npz").unlink(missing_ok=True)
        return path

    def restore_or_initialize(self) -> str | None:
        """Restore the newest checkpoint and return its name, or None."""
        latest = self.latest_checkpoint
        if latest is not None:
            self.checkpoint.restore(latest)
        return latest
