"""`to_torch`: a model as a module of PyTorch, or as a state_dict of arrays."""

from typing import Any

import numpy as np

from rnn_engine.saving.pytorch.part import RECURRENT, Part
from rnn_engine.saving.pytorch.to_parts import parts_of_model


def to_torch(model: Any, state_dict: bool = False) -> Any:
    """Return a model as a module of PyTorch, with the same outputs up to rounding.

    Parameters
    ----------
    model : Sequential or Functional
        Built, of layers that follow each other. It stays as it is; the arrays are copies.
    state_dict : bool
        Return the weights alone, as arrays of NumPy by the names of the module's parameters
        (``lstm.weight_ih_l0``, ``dense.bias``), which does not need PyTorch.
        ``module.load_state_dict({k: torch.from_numpy(v) for k, v in arrays.items()})`` reads
        them into any module with parts of these names.

    Returns
    -------
    torch.nn.Module or dict
        The module is a `torch.nn.Sequential` of modules of `torch.nn`, with the names of the
        layers. It takes and gives what the model does, batch first, and computes as in
        prediction until ``module.train()`` is called. A recurrent module in it gives its output
        or, where a layer has not `return_sequences`, the last state; convolutions stand between
        exchanged axes. `from_torch` makes a model of it again.

    Raises
    ------
    ValueError
        If PyTorch has no such layer, with the reason; nothing has been made then.
    ImportError
        If a module is wanted and PyTorch is not there.

    Notes
    -----
    PyTorch has two biases where Keras has one, of which the second is zero, except in `GRU`.
    What only training knows stays behind: regularizers, constraints, the optimizer. PyTorch's
    running variance of `BatchNorm1d` is that of a sample, Keras's that of the batch, so that
    they part when they are trained on. docs/files.md has the table.

    Examples
    --------
    >>> from rnn_engine import Sequential, layers
    >>> model = Sequential([layers.Input((None, 3)), layers.LSTM(2), layers.Dense(1)])
    >>> arrays = to_torch(model, state_dict=True)
    >>> [(name.split(".")[1], array.shape) for name, array in arrays.items()][:2]
    [('weight_ih_l0', (8, 3)), ('weight_hh_l0', (8, 2))]
    """
    parts = parts_of_model(model)
    arrays = {
        f"{part.name}.{key}": np.array(array, order="C")
        for part in parts
        for key, array in part.arrays.items()
    }
    if state_dict:
        return arrays
    try:
        from rnn_engine.saving.pytorch import chain
    except ImportError as error:
        raise ImportError(
            "A module of PyTorch needs PyTorch: pip install torch. to_torch(model, "
            "state_dict=True) gives the weights without it."
        ) from error
    double = any(array.dtype == np.float64 for array in arrays.values())
    return chain.filled(
        {part.name: _module(chain.nn, part, chain.DTYPES[double]) for part in parts},
        {part.name: part.how for part in parts},
        arrays,
    )


def _module(nn: Any, part: Part, dtype: Any) -> Any:
    """Return the module of a part, with any weights."""
    settings, arrays = part.settings, part.arrays
    if part.kind in RECURRENT:
        features, _ = part.sizes()
        made = getattr(nn, part.kind)
        return made(features, part.units, batch_first=True, bias=part.bias, dtype=dtype, **settings)
    if part.kind == "Linear":
        features, units = part.sizes()
        return nn.Linear(features, units, bias=part.bias, dtype=dtype)
    if part.kind == "Embedding":
        return nn.Embedding(*arrays["weight"].shape, dtype=dtype)
    if part.kind == "Conv1d":
        features, filters = part.sizes()
        size = arrays["weight"].shape[2]
        return nn.Conv1d(features, filters, size, bias=part.bias, dtype=dtype, **settings)
    if part.kind in ("LayerNorm", "BatchNorm1d"):
        return getattr(nn, part.kind)(part.sizes()[0], dtype=dtype, **settings)
    if part.kind == "PReLU":
        return nn.PReLU(arrays["weight"].size, dtype=dtype)
    return getattr(nn, part.kind)(**settings)
