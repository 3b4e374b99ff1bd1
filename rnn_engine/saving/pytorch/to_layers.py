"""Parts as layers, with the order of gates, axes and biases that Keras has.

PyTorch's LSTM has the gates i f g o, Keras's i f c o; its GRU r z n, Keras's z r h with
`reset_after`. Kernels are transposed, the two biases of PyTorch added, for the GRU stacked.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rnn_engine import layers
from rnn_engine.saving.pytorch.part import (
    ACTIVATIONS,
    ALONG_AXIS,
    CELLS,
    RECURRENT,
    SETTINGS,
    Part,
    suffixes,
)  # fmt: skip

_LAYERS = {"RNN": layers.SimpleRNN, "GRU": layers.GRU, "LSTM": layers.LSTM}
CELL_CLASSES = {"RNN": layers.SimpleRNNCell, "GRU": layers.GRUCell, "LSTM": layers.LSTMCell}
_GRU = (1, 0, 2)  # which third of PyTorch's rows stands where in Keras's columns

Weighted = tuple[Any, list[np.ndarray]]
"""A layer, and the weights that it gets when it is built."""


class Chain:
    """Layers in a row, and in which order of axes the data are between them.

    Parameters
    ----------
    parts : list of Part
    dtype : str
    channels_first : bool
        Whether `Conv1d` and its like take what the parts before give as (batch, channels,
        steps), as in PyTorch. Then axes are exchanged where it is needed, and not before.
    axes : int
        Of the input, batch included.
    """

    def __init__(self, parts: list[Part], dtype: str, channels_first: bool, axes: int) -> None:
        self.found: list[Weighted] = []
        self.dtype = dtype
        self.channels_first = channels_first
        self.turned = False  # whether the axes 1 and 2 are exchanged now
        self.axes = axes
        self.last = max((i for i, p in enumerate(parts) if _is_recurrent(p)), default=None)
        for i, part in enumerate(parts):
            self.is_last = i == self.last
            try:
                self._add(part)
            except (TypeError, KeyError, IndexError) as error:  # of a setting of a wrong type
                raise ValueError(f"{part.title} has settings that do not fit: {error!r}") from error
        self.turn(False)

    def _add(self, part: Part) -> None:
        name = _layer_name(part)
        if _is_recurrent(part):
            self.turn(False)
            self._recurrent(part, name)
        elif part.how == "turn":
            self.append(layers.Permute((2, 1), name=name, dtype=self.dtype))
        elif part.kind in ACTIVATIONS:
            _check_default(part)
            self.append(layers.Activation(ACTIVATIONS[part.kind], name=name, dtype=self.dtype))
        else:
            _BUILDERS[part.kind](self, part, {"name": name, "dtype": self.dtype})

    def append(self, layer: Any, weights: Sequence[np.ndarray] = ()) -> None:
        """Add a layer, and the weights that it will have."""
        self.found.append((layer, list(weights)))

    def turn(self, turned: bool) -> None:
        """Exchange the axes 1 and 2, unless they are as wanted."""
        if self.turned != turned:
            self.append(layers.Permute((2, 1), dtype=self.dtype))
            self.turned = turned

    def channels_last(self) -> None:
        """Have the channels on the last axis, for what PyTorch wants them on axis 1."""
        if self.channels_first and self.axes == 3:
            self.turn(True)

    def _recurrent(self, part: Part, name: str) -> None:
        kind = CELLS.get(part.kind, part.kind)
        if self.axes != 3:
            raise ValueError(f"{part.title} needs sequences, and gets {self.axes - 1} axes.")
        ends = suffixes(part)
        levels = part["num_layers"] if part.kind in RECURRENT else 1
        options: dict[str, Any] = {"use_bias": part.bias, "dtype": self.dtype}
        if kind == "RNN":
            options["activation"] = part["nonlinearity"]
        for level in range(levels):
            label = name if levels == 1 else f"{name}_l{level}"
            top = level == levels - 1
            sequences = not top or part.how != "last"
            if part.kind in CELLS:
                cell = CELL_CLASSES[kind](part.units, **options)
                layer: Any = layers.RNN(
                    cell, return_sequences=sequences, name=label, dtype=self.dtype
                )
            elif part["bidirectional"]:
                inner = _LAYERS[kind](part.units, return_sequences=sequences, **options)
                layer = layers.Bidirectional(inner, name=label, dtype=self.dtype)
            else:
                layer = _LAYERS[kind](part.units, return_sequences=sequences, name=label, **options)
            here = [suffix for suffix, of in ends if of == level]
            self.append(layer, [w for s in here for w in _recurrent_weights(part, kind, s)])
            if not top and part["dropout"]:
                rate = float(part["dropout"])
                dropout = layers.Dropout(rate, name=f"{label}_dropout", dtype=self.dtype)
                self.append(dropout)
        self.axes = 3 if part.how != "last" else 2


def _is_recurrent(part: Part) -> bool:
    return part.kind in RECURRENT or part.kind in CELLS


def _layer_name(part: Part) -> str:
    name = part.name.replace(".", "_").replace("/", "_")
    return f"{part.kind.lower()}_{name}".rstrip("_") if name[-1:].isdigit() or not name else name


def _check_default(part: Part) -> None:
    defaults = SETTINGS[part.kind]
    changed = {key: part[key] for key, value in defaults.items() if part[key] != value}
    if changed:
        raise ValueError(
            f"{part.title} has {changed}; Keras's {ACTIVATIONS[part.kind]!r} has {defaults}, and "
            f"nothing else."
        )


def _recurrent_weights(part: Part, kind: str, suffix: str) -> list[np.ndarray]:
    """Return kernel, recurrent kernel and bias of one layer in one direction."""
    arrays = {name: part.arrays[f"{name}{suffix}"] for name in ("weight_ih", "weight_hh")}
    if part.bias:
        arrays |= {name: part.arrays[f"{name}{suffix}"] for name in ("bias_ih", "bias_hh")}
    if kind == "GRU":
        arrays = {name: thirds(array) for name, array in arrays.items()}
    found = [arrays["weight_ih"].T, arrays["weight_hh"].T]
    if part.bias:
        both = arrays["bias_ih"], arrays["bias_hh"]
        found.append(np.stack(both) if kind == "GRU" else both[0] + both[1])
    return found


def thirds(array: np.ndarray) -> np.ndarray:
    """Return the rows of a GRU's array with the first two gates exchanged, r z n and z r h."""
    parts = np.split(array, 3)
    return np.concatenate([parts[i] for i in _GRU])


def _linear(chain: Chain, part: Part, named: dict[str, Any]) -> None:
    chain.turn(False)
    weight = part.arrays["weight"]
    layer = layers.Dense(weight.shape[0], use_bias=part.bias, **named)
    chain.append(layer, [weight.T, *([part.arrays["bias"]] if part.bias else [])])


def _embedding(chain: Chain, part: Part, named: dict[str, Any]) -> None:
    if part["max_norm"] is not None:
        raise ValueError(
            f"{part.title} has max_norm={part['max_norm']}: PyTorch then changes the rows that are "
            f"looked up, also while it predicts; Embedding does not."
        )
    weight = part.arrays["weight"]
    chain.append(layers.Embedding(*weight.shape, **named), [weight])
    chain.axes += 1


def _layer_norm(chain: Chain, part: Part, named: dict[str, Any]) -> None:
    chain.turn(False)
    scale, center = "weight" in part.arrays, "bias" in part.arrays
    layer = layers.LayerNormalization(epsilon=part["eps"], scale=scale, center=center, **named)
    chain.append(layer, [part.arrays[key] for key in ("weight", "bias") if key in part.arrays])


def _batch_norm(chain: Chain, part: Part, named: dict[str, Any]) -> None:
    chain.channels_last()
    if part["momentum"] is None:
        raise ValueError(
            f"{part.title} has momentum=None, a plain average over all batches; "
            f"BatchNormalization has a moving one."
        )
    affine = "weight" in part.arrays
    layer = layers.BatchNormalization(
        epsilon=part["eps"], momentum=1 - part["momentum"], scale=affine, center=affine, **named
    )
    names = ("weight", "bias", "running_mean", "running_var")
    chain.append(layer, [part.arrays[key] for key in names if key in part.arrays])


def _conv(chain: Chain, part: Part, named: dict[str, Any]) -> None:
    if chain.axes != 3:
        raise ValueError(f"{part.title} needs (batch, channels, steps), and gets no steps.")
    chain.channels_last()
    if part["padding_mode"] != "zeros":
        raise ValueError(f"{part.title} pads by {part['padding_mode']!r}; Conv1D pads with zeros.")
    padding = part["padding"]
    if not isinstance(padding, str):
        padding = _one(padding)
        if padding:
            chain.append(
                layers.ZeroPadding1D(padding, name=f"{named['name']}_pad", dtype=chain.dtype)
            )
        padding = "valid"
    weight = part.arrays["weight"]
    layer = layers.Conv1D(
        weight.shape[0],
        weight.shape[2],
        strides=_one(part["stride"]),
        padding=padding,
        dilation_rate=_one(part["dilation"]),
        groups=int(part["groups"]),
        use_bias=part.bias,
        **named,
    )
    weights = [weight.transpose(2, 1, 0), *([part.arrays["bias"]] if part.bias else [])]
    chain.append(layer, weights)


def _one(value: Any) -> int:
    """Return a setting over one axis, which PyTorch keeps as a tuple."""
    return int(value[0] if isinstance(value, tuple | list) else value)


def _pad(chain: Chain, part: Part, named: dict[str, Any]) -> None:
    if part["value"] != 0:
        raise ValueError(f"{part.title} pads with {part['value']}; ZeroPadding1D pads with zeros.")
    chain.channels_last()
    padding = part["padding"]
    both = (padding, padding) if isinstance(padding, int) else tuple(padding)
    chain.append(layers.ZeroPadding1D(both, **named))


def _dropout(chain: Chain, part: Part, named: dict[str, Any]) -> None:
    if part.kind == "Dropout1d":
        chain.channels_last()
        chain.append(layers.SpatialDropout1D(float(part["p"]), **named))
    else:
        chain.append(layers.Dropout(float(part["p"]), **named))


def _flatten(chain: Chain, part: Part, named: dict[str, Any]) -> None:
    if part["start_dim"] != 1 or part["end_dim"] not in (-1, chain.axes - 1):
        raise ValueError(f"{part.title} keeps axes: {part.settings}; Flatten keeps the first.")
    convolved = any(isinstance(layer, layers.Conv1D) for layer, _ in chain.found)
    if convolved and not chain.channels_first and not part.how:
        raise ValueError(
            f"{part.title} after Conv1d gives (channels, steps) in a row in PyTorch, with "
            f"data_format='channels_last' (steps, channels): what follows would not fit."
        )
    chain.turn(False)
    chain.append(layers.Flatten(**named))
    chain.axes = 2


def _prelu(chain: Chain, part: Part, named: dict[str, Any]) -> None:
    slopes = part.arrays["weight"]
    steps = list(range(1, chain.axes - 1))
    if len(slopes) > 1:
        chain.channels_last()
        layer, shape = layers.PReLU(shared_axes=steps or None, **named), (*(1 for _ in steps), -1)
    else:
        layer = layers.PReLU(shared_axes=[*steps, chain.axes - 1], **named)
        shape = (1,) * (chain.axes - 1)
    chain.append(layer, [slopes.reshape(shape)])


def _along_axis(chain: Chain, part: Part, named: dict[str, Any]) -> None:
    chain.turn(False)
    dim = part["dim"]
    if dim is None:
        raise ValueError(f"{part.title} says no dim; which axis PyTorch takes depends on the data.")
    dim = dim - chain.axes if dim >= 0 else dim
    if part.kind == "Softmax" and dim > -chain.axes:
        chain.append(layers.Softmax(axis=dim, **named))
    elif dim == -1:
        chain.append(layers.Activation(ALONG_AXIS[part.kind], **named))
    else:
        raise ValueError(f"{part.title} runs along axis {dim}; here it does so along the last.")


_BUILDERS: dict[str, Callable[[Chain, Part, dict[str, Any]], None]] = {
    "Linear": _linear,
    "Embedding": _embedding,
    "LayerNorm": _layer_norm,
    "BatchNorm1d": _batch_norm,
    "Conv1d": _conv,
    "ConstantPad1d": _pad,
    "Dropout": _dropout,
    "Dropout1d": _dropout,
    "Flatten": _flatten,
    "Identity": lambda chain, part, named: None,
    "PReLU": _prelu,
    "ELU": lambda c, part, named: c.append(layers.ELU(float(part["alpha"]), **named)),
    "LeakyReLU": lambda c, part, named: c.append(
        layers.LeakyReLU(float(part["negative_slope"]), **named)
    ),
    "Softmax": _along_axis,
    "LogSoftmax": _along_axis,
    "GLU": _along_axis,
}
