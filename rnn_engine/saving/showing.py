"""What a file of a model holds, told from its config and headers: nothing is built or loaded."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rnn_engine.saving.state import numbered
from rnn_engine.saving.stored import Content, Stored
from rnn_engine.utils.naming import to_snake_case

_ROWS = 10_000
_DEPTH = 50


@dataclass(frozen=True)
class LayerRow:
    """One layer of a file: its name, its class, the shapes of its arrays, their numbers."""

    name: str
    class_name: str
    shapes: tuple[tuple[int, ...], ...]
    parameters: int


@dataclass(frozen=True)
class Shown:
    """What `rnn_engine.saving.show` found; printed, it is a table.

    `layers` are in the order of the model; of a file with weights only they are its groups, in
    the order of their names. `optimizer` is the optimizer's class, `made_with` the versions that
    wrote the file, as far as it tells; `verifiable` whether it carries a sample for `verify`.
    """

    path: str
    format: str
    layers: tuple[LayerRow, ...]
    parameters: int
    optimizer: str | None = None
    optimizer_numbers: int = 0
    made_with: str = ""
    verifiable: bool = False

    def __str__(self) -> str:
        rows = [("layer", "class", "shapes", "parameters")]
        for row in self.layers:
            shapes = " ".join("×".join(map(str, shape)) or "()" for shape in row.shapes)
            rows.append((row.name, row.class_name, shapes, f"{row.parameters:,}"))
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        lines = [f"{self.path}: {self.format}" + (f", {self.made_with}" if self.made_with else "")]
        for name, kind, shapes, count in rows:
            line = f"  {name:{widths[0]}}  {kind:{widths[1]}}  {shapes:{widths[2]}}  "
            lines.append(f"{line}{count:>{widths[3]}}")
        lines.append(f"{self.parameters:,} parameters")
        if self.optimizer:
            lines.append(f"optimizer {self.optimizer}, {self.optimizer_numbers:,} numbers of state")
        lines.append("carries a sample to verify" if self.verifiable else "carries no sample")
        return "\n".join(lines)


def show(filepath: Any) -> Shown:
    """Return what a file holds: layers, shapes, parameters, optimizer; print it to see a table.

    Nothing is built and no weights are read, so that it is quick for large files and harmless
    for those of strangers.

    Parameters
    ----------
    filepath : str or path
        A file of any kind that `load_model` or `load_weights` reads.

    Raises
    ------
    ValueError
        If there is no such file, or it is damaged or of an unknown format.

    Examples
    --------
    >>> import os, tempfile
    >>> import rnn_engine
    >>> model = rnn_engine.Sequential([rnn_engine.layers.Dense(2, input_shape=(3,), name="d")])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "m.npz")
    ...     model.save(path)
    ...     shown = show(path)
    >>> shown.layers, shown.parameters
    ((LayerRow(name='d', class_name='Dense', shapes=((3, 2), (2,)), parameters=8),), 8)
    """
    from rnn_engine.saving import api

    path = os.fspath(filepath)
    if not os.path.isfile(path):
        told = (
            api.about_folder(path) if os.path.isdir(path) else f"File not found: filepath={path}."
        )
        raise ValueError(told)
    with open(path, "rb") as file, api.opened(file, path) as content:
        return _shown(path, content)


def _shown(path: str, content: Content) -> Shown:
    if content.layers is not None:
        arrays: Mapping[str, Sequence[Stored]] = dict(content.layers)
        format = "HDF5 as Keras 2 wrote it"
    else:
        arrays = {k: v for k, v in content.arrays.items() if _is_weights(k)}
        format = "arrays by group"
    if content.config is None:
        rows = [_row(name or "(model)", "", arrays[name]) for name in sorted(arrays)]
        rows = [row for row in rows if row.shapes]
        format += ", weights only"
    else:
        rows = list(_rows(content.config, arrays, by_name=content.layers is not None))
        format += ", a whole model"
    compiled = (content.config or {}).get("compile_config") or {}
    optimizer = compiled.get("optimizer") if isinstance(compiled, dict) else None
    if isinstance(optimizer, dict):
        optimizer = optimizer.get("class_name")
    state = content.optimizer or content.arrays.get("optimizer") or ()
    versions = (content.said or {}).get("versions")
    made = " ".join(f"{k} {v}" for k, v in versions.items()) if isinstance(versions, dict) else ""
    return Shown(
        path, format, tuple(rows), sum(math.prod(s.shape) for v in arrays.values() for s in v),
        None if optimizer is None else str(optimizer), sum(math.prod(s.shape) for s in state),
        made, "sample" in (content.said or {}),
    )  # fmt: skip


def _is_weights(path: str) -> bool:
    return path.split("/")[0] not in ("optimizer", "metrics", "compile_metrics", "vars")


def _row(name: str, class_name: str, arrays: Sequence[Stored]) -> LayerRow:
    shapes = tuple(stored.shape for stored in arrays)
    return LayerRow(name, class_name, shapes, sum(map(math.prod, shapes)))


def _rows(
    config: dict[str, Any], arrays: Mapping[str, Sequence[Stored]], by_name: bool
) -> Iterator[LayerRow]:
    """Yield a row for each layer of a model's config, inner models layer by layer."""
    if by_name:
        for _, entry, name in _entries(config, "", 0):
            if name in arrays or "/" not in name:
                yield _row(name, _text(entry.get("class_name")), arrays.get(name, ()))
        return
    found = list(_entries(config, "", 0))
    for place, entry, name in found:
        inner = any(other.startswith(f"{place}/") and other != place for other, _, _ in found)
        mine = [
            stored
            for path in sorted(arrays)
            if path == place or (path.startswith(f"{place}/") and not inner)
            for stored in arrays[path]
        ]
        yield _row(name, _text(entry.get("class_name")), mine)


def _entries(
    config: dict[str, Any], place: str, depth: int
) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield the path of its group, the config and the name of each layer of a model."""
    settings = config.get("config")
    layers = settings.get("layers") if isinstance(settings, dict) else None
    if not isinstance(layers, list) or depth > _DEPTH:
        return
    counts: dict[str, int] = {}
    for number, entry in enumerate(layers):
        if not isinstance(entry, dict) or number > _ROWS:
            # The file's name is put before it where it was opened.
            raise ValueError(f"the config holds no list of layers, but {str(layers)[:60]!r}.")
        kind = _text(entry.get("class_name"))
        if kind == "InputLayer" and settings is not None and "input_layers" not in settings:
            continue  # a Sequential's input is in no group
        group = to_snake_case(kind)
        path = f"{place}layers/{numbered(group, counts)}"
        inner = entry.get("config")
        name = inner.get("name") if isinstance(inner, dict) else None
        name = _text(name or entry.get("name") or group)
        yield path, entry, name
        for below, other, title in _entries(entry, f"{path}/", depth + 1):
            yield below, other, f"{name}/{title}"


def _text(value: Any) -> str:
    return str(value)[:200]
