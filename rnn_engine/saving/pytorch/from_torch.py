"""`from_torch`: PyTorch's modules and weights as a model."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from rnn_engine.initializers.deferred import values_come_later
from rnn_engine.layers.input_layer import Input
from rnn_engine.saving.archive import open_archive, size_of
from rnn_engine.saving.budget import Budget
from rnn_engine.saving.errors import RefusedError, damage_named
from rnn_engine.saving.pytorch import pickles
from rnn_engine.saving.pytorch.modules import (
    array_of,
    is_module,
    parts_of_module,
    parts_of_named,
)
from rnn_engine.saving.pytorch.naming import in_order_of_sizes, parts_of_state
from rnn_engine.saving.pytorch.part import CELLS, RECURRENT, Part
from rnn_engine.saving.pytorch.to_layers import Chain
from rnn_engine.saving.safetensors_file import arrays_of, is_safetensors
from rnn_engine.saving.stored import Stored
from rnn_engine.sequential import Sequential

_FORMATS = ("channels_first", "channels_last")
# What changes neither the number of axes nor which features there are.
_WITH_CHANNELS = ("BatchNorm1d", "PReLU")


def from_torch(
    source: Any,
    modules: Mapping[str, Any] | None = None,
    *,
    nonlinearity: str = "tanh",
    return_sequences: bool | None = None,
    input_shape: Sequence[int | None] | None = None,
    data_format: str = "channels_first",
    name: str | None = None,
) -> Any:
    """Return a model of PyTorch's modules, with the same outputs up to rounding.

    Parameters
    ----------
    source : torch.nn.Module, dict or path
        A module of those below, a `torch.nn.Sequential` of them, or, with `modules`, one that
        has them as attributes; or a state_dict of tensors or arrays; or the name of a ``.pt``
        or ``.safetensors`` file of one. PyTorch is needed for a module only, which brings it;
        the extra ``safetensors`` for such files. Files are read without running anything in
        them.
    modules : dict, optional
        What runs, in order, as names in the state_dict and, for each, the name of the class in
        `torch.nn`, or a dict of ``"kind"`` and settings, or an empty dict
        where the arrays show the class, or None to leave it out. Names without arrays are
        welcome: ``{"rnn": {}, "act": "ReLU", "head": {}}``. A module knows class and settings of
        its own (epsilon, padding), a state_dict does not. By default all that the state_dict
        holds runs, in its order, and nothing between: a state_dict does not tell of activations
        and dropout.
    nonlinearity : str
        Of `torch.nn.RNN` and `RNNCell` in a state_dict, which does not tell: ``"tanh"`` or
        ``"relu"``.
    return_sequences : bool, optional
        What the last recurrent module gives. True, the default: PyTorch's ``output``, all
        steps. False: its last state, ``h_n[-1]``, of both directions side by side,
        ``torch.cat([h_n[-2], h_n[-1]], -1)``. In one direction that is ``output[:, -1]``; in
        two it is not, for at the last step the way back has only begun.
    input_shape : tuple, optional
        Without the batch, where it does not show in the first module, or steps must be known.
    data_format : str
        Where a `Conv1d` is: ``"channels_first"``, as in PyTorch, takes and gives
        (batch, channels, steps), between layers that exchange the axes; with
        ``"channels_last"`` the model has (batch, steps, channels) throughout, for modules
        between whose convolutions and recurrent layers the program exchanges axes.
    name : str, optional
        Of the model.

    Returns
    -------
    Sequential
        Batch first, whatever ``batch_first`` says.

    Raises
    ------
    ValueError
        If a module or setting is not to be had here, the modules cannot be told or do not
        fit, or the file is damaged or holds more than weights. The message names it.
    OSError
        If the file cannot be read.

    Notes
    -----
    `RNN`, `LSTM`, `GRU` (layers, directions, with bias or without, dropout between layers; no
    ``proj_size``), their cells, which become the layer that runs them over the steps, `Linear`,
    `Embedding`, `LayerNorm`, `BatchNorm1d`, `Conv1d`, `ConstantPad1d` of zeros, `Dropout`,
    `Dropout1d`, `Flatten`, `Identity` and activations. docs/files.md has the table. What only
    training knows stays behind: ``padding_idx``, hooks, gradients.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> state = {"rnn.weight_ih_l0": rng.normal(size=(6, 3)),  # a GRU of 2 units: 3·2 rows
    ...          "rnn.weight_hh_l0": rng.normal(size=(6, 2)),
    ...          "head.weight": rng.normal(size=(1, 2)), "head.bias": np.zeros(1)}
    >>> model = from_torch(state, return_sequences=False)
    >>> [type(layer).__name__ for layer in model.layers], model.output_shape
    (['GRU', 'Dense'], (None, 1))
    """
    if data_format not in _FORMATS:
        raise ValueError(f"data_format must be one of {_FORMATS}, got {data_format!r}.")
    with _named(source):
        parts = _parts(source, modules, nonlinearity)
        if any(part.how == "channels" for part in parts):  # a module of to_torch
            data_format = "channels_last"
        _tell_sequences(parts, return_sequences)
        _check_sizes(parts)
        shape = _input_shape(parts, data_format) if input_shape is None else tuple(input_shape)
        return _model(parts, shape, data_format, name)


@contextmanager
def _named(source: Any) -> Iterator[None]:
    """Let errors about what is in a file name it."""
    try:
        yield
    except ValueError as error:
        if isinstance(error, RefusedError) or not isinstance(source, str | os.PathLike):
            raise
        raise RefusedError(f"{os.fspath(source)}: {error}") from error


def _parts(source: Any, modules: Any, nonlinearity: str) -> list[Part]:
    if is_module(source):
        return parts_of_module(source) if modules is None else parts_of_named(source, modules)
    return parts_of_state(_state_of(source, modules is None), modules, nonlinearity)


def _state_of(source: Any, ordered: bool) -> dict[str, np.ndarray]:
    """Return the arrays of a state_dict or a file; with `ordered` as their modules follow."""
    if isinstance(source, Mapping):
        content, told, sort = dict(source), "source", False
    elif isinstance(source, str | os.PathLike):
        told = os.fspath(source)
        with open(source, "rb") as file, damage_named(told):
            start = file.read(9)
            sort = ordered and is_safetensors(start)
            content = _content(file, start, told)
    else:
        raise ValueError(
            f"from_torch takes a torch.nn.Module, a state_dict or the name of a file, got "
            f"{type(source).__name__}."
        )
    state = _flat(content, told)
    arrays = {key: array_of(value, key) for key, value in state.items()}
    return in_order_of_sizes(arrays) if sort else arrays


def _content(file: Any, start: bytes, source: str) -> dict[str, Any]:
    """Return what a file holds, tensors read."""
    if is_safetensors(start):
        budget = Budget(size_of(file), source)
        _, stored = arrays_of(file, source, budget)
        return {name: values.read() for name, values in stored.items()}
    if start.startswith(b"PK"):
        with open_archive(file, source) as archive:
            if not pickles.is_torch(archive):
                raise RefusedError(
                    f"{source} is no file of PyTorch's: no data.pkl in it. What rnn_engine and "
                    f"Keras save is read by load_model."
                )
            state = _flat(pickles.content_of(archive), source)
            return {name: stored.read() for name, stored in state.items()}
    raise RefusedError(
        f"{source} is neither a .pt nor a .safetensors file: it starts with {start!r}. What "
        f"PyTorch wrote before 1.6, or with _use_new_zipfile_serialization=False, is a pickle, "
        f"which is not read: load it there and save it anew, torch.save(state_dict, path)."
    )


def _flat(content: Any, source: str) -> dict[str, Any]:
    """Return the state_dict in what was saved: itself, or the only one below a name."""
    if isinstance(content, dict) and _is_state(content):
        return content
    if isinstance(content, dict):
        inner = [key for key, value in content.items() if _is_state(value)]
        if len(inner) == 1:
            return dict(content[inner[0]])
    told = list(content)[:9] if isinstance(content, dict) else type(content).__name__
    raise RefusedError(
        f"{source} must be a state_dict, names and their tensors, or hold exactly one; got {told}."
    )


def _is_state(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(name, str) for name in value)
        and all(hasattr(v, "shape") or isinstance(v, Stored | list) for v in value.values())
    )


def _tell_sequences(parts: list[Part], return_sequences: bool | None) -> None:
    """Say of each recurrent part whether all steps of its output go on."""
    recurrent = [part for part in parts if part.kind in RECURRENT or part.kind in CELLS]
    for part in recurrent[:-1]:
        part.how = "sequences"
    if return_sequences is not None and not recurrent:
        raise ValueError("return_sequences is given, and there is no recurrent module.")
    if return_sequences is not None:
        recurrent[-1].how = "sequences" if return_sequences else "last"
    elif recurrent:
        recurrent[-1].how = recurrent[-1].how or "sequences"


def _check_sizes(parts: list[Part]) -> None:
    """Check that each part takes as many features as the one before gives, where they show."""
    before = None
    for part in parts:
        if part.kind in ("Conv1d", "Flatten", "BatchNorm1d", "GLU") or part.how == "turn":
            before = None  # other axes
            continue
        takes, gives = part.sizes()
        if before is not None and takes not in (None, before.sizes()[1]):
            raise ValueError(
                f"{before.title} gives {before.sizes()[1]} features, and {part.title} takes "
                f"{takes}. Say in `modules` what runs, in order."
            )
        before = part if gives is not None else before


def _input_shape(parts: list[Part], data_format: str) -> tuple[int | None, ...]:
    """Return the shape of the input without the batch, as it shows in the first modules."""
    kinds = [part.kind for part in parts]
    sequences = any(k in RECURRENT or k in CELLS or k == "Conv1d" for k in kinds)
    sized = [(p.kind, p.sizes()[0]) for p in parts if p.kind == "Embedding" or p.sizes()[0]]
    for kind, size in sized[:1]:
        if kind == "Embedding":
            return (None,)
        if not sequences:
            return (size,)
        if data_format == "channels_last":
            at = next(i for i, part in enumerate(parts) if part.sizes()[0])
            turned = sum(part.how == "turn" for part in parts[:at]) % 2
            return (size, None) if turned else (None, size)
        following = next((k for k, _ in sized if k not in _WITH_CHANNELS), kind)
        if following == "Conv1d":
            return (size, None)
        if kind not in _WITH_CHANNELS:
            return (None, size)
    raise ValueError(
        f"The shape of the input does not show in the modules {kinds}: pass input_shape, without "
        f"the batch."
    )


def _model(
    parts: list[Part], shape: tuple[int | None, ...], data_format: str, name: str | None
) -> Any:
    double = any(array.dtype == np.float64 for part in parts for array in part.arrays.values())
    dtype = "float64" if double else "float32"
    for part in parts:  # before anything is added: sums in half precision would round
        part.arrays = {key: array.astype(dtype, copy=False) for key, array in part.arrays.items()}
    chain = Chain(parts, dtype, data_format == "channels_first", len(shape) + 1)
    integers = any(part.kind == "Embedding" for part in parts)
    first = Input(shape, dtype="int32" if integers else dtype)
    numbers = sum(array.size for part in parts for array in part.arrays.values())
    with values_come_later(numbers, "the source"):
        model = Sequential([first, *(layer for layer, _ in chain.found)], name=name)
    for layer, weights in chain.found:
        if weights:
            layer.set_weights(weights)
    return model
