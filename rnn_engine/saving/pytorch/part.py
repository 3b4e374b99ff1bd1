"""`Part`: a module of `torch.nn` as data, and which parts there are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

# Kinds, the settings that matter to their output, and what each is if nothing is said.
RECURRENT = {"RNN": 1, "GRU": 3, "LSTM": 4}
"""How many gates, that is, how many times the units `weight_hh` has rows."""
CELLS = {f"{kind}Cell": kind for kind in RECURRENT}
_STACK = {"num_layers": 1, "bidirectional": False, "dropout": 0.0, "proj_size": 0}
SETTINGS: dict[str, dict[str, Any]] = {
    "Linear": {},
    "Embedding": {"max_norm": None},
    "LayerNorm": {"eps": 1e-5},
    "BatchNorm1d": {"eps": 1e-5, "momentum": 0.1, "track_running_stats": True},
    "Conv1d": {
        "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "padding_mode": "zeros",
    },
    "RNN": {**_STACK, "nonlinearity": "tanh"},
    "GRU": _STACK,
    "LSTM": _STACK,
    "RNNCell": {"nonlinearity": "tanh"},
    "GRUCell": {},
    "LSTMCell": {},
    "Dropout": {"p": 0.5},
    "Dropout1d": {"p": 0.5},
    "ConstantPad1d": {"padding": 0, "value": 0.0},
    "Flatten": {"start_dim": 1, "end_dim": -1},
    "Identity": {},
    "PReLU": {},
    "ELU": {"alpha": 1.0},
    "LeakyReLU": {"negative_slope": 0.01},
    "Softmax": {"dim": None},
    "LogSoftmax": {"dim": None},
    "GLU": {"dim": -1},
    "CELU": {"alpha": 1.0},
    "GELU": {"approximate": "none"},
    "Hardshrink": {"lambd": 0.5},
    "Hardtanh": {"min_val": -1.0, "max_val": 1.0},
    "Softplus": {"beta": 1.0, "threshold": 20.0},
    "Softshrink": {"lambd": 0.5},
    **{name: {} for name in (
        "Hardsigmoid", "Hardswish", "LogSigmoid", "Mish", "ReLU", "ReLU6", "SELU", "SiLU",
        "Sigmoid", "Softsign", "Tanh", "Tanhshrink",
    )},
}  # fmt: skip

ACTIVATIONS = {
    "CELU": "celu", "GELU": "gelu", "Hardshrink": "hard_shrink", "Hardsigmoid": "hard_sigmoid",
    "Hardswish": "hard_silu", "Hardtanh": "hard_tanh", "LogSigmoid": "log_sigmoid",
    "Mish": "mish", "ReLU": "relu", "ReLU6": "relu6", "SELU": "selu", "SiLU": "silu",
    "Sigmoid": "sigmoid", "Softplus": "softplus", "Softshrink": "soft_shrink",
    "Softsign": "softsign", "Tanh": "tanh", "Tanhshrink": "tanh_shrink",
}  # fmt: skip
"""Those that are one function of Keras while their settings stand at the default."""

ALONG_AXIS = {"LogSoftmax": "log_softmax", "Softmax": "softmax", "GLU": "glu"}


@dataclass
class Part:
    """One module of a chain.

    Attributes
    ----------
    kind : str
        Its class in `torch.nn`.
    name : str
        What its arrays are called before the last point in a state_dict.
    settings : dict
        Arguments of the class, those of `SETTINGS`.
    arrays : dict
        Of its state_dict.
    how : str
        What `chain.Chain` does with it: ``"plain"``, of a recurrent part ``"sequences"`` or
        ``"last"``, ``"channels"`` where it stands between exchanged axes 1 and 2, ``"turn"``
        where it exchanges them. Empty where nobody has said so.
    """

    kind: str
    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    how: str = ""

    def __getitem__(self, setting: str) -> Any:
        return self.settings.get(setting, SETTINGS[self.kind].get(setting))

    @property
    def title(self) -> str:
        """Kind and name, for messages."""
        return f"{self.kind} {self.name!r}" if self.name else self.kind

    @property
    def units(self) -> int:
        """Of a recurrent part."""
        suffix = "" if self.kind in CELLS else "_l0"
        return int(self.arrays[f"weight_hh{suffix}"].shape[1])

    @property
    def bias(self) -> bool:
        """Whether it adds one."""
        return any(name.startswith("bias") for name in self.arrays)

    def sizes(self) -> tuple[int | None, int | None]:
        """Return the size of the features that it takes and gives; None where any will do."""
        arrays = self.arrays
        if self.kind in RECURRENT:
            ways = 2 if self["bidirectional"] else 1
            return arrays["weight_ih_l0"].shape[1], ways * self.units
        if self.kind in CELLS:
            return arrays["weight_ih"].shape[1], self.units
        if self.kind == "Linear":
            return arrays["weight"].shape[1], arrays["weight"].shape[0]
        if self.kind == "Embedding":
            return None, arrays["weight"].shape[1]
        if self.kind == "Conv1d":
            return arrays["weight"].shape[1] * self["groups"], arrays["weight"].shape[0]
        if self.kind in ("LayerNorm", "BatchNorm1d"):
            known = arrays.get("weight", arrays.get("running_mean"))
            return (None, None) if known is None else (known.shape[-1], known.shape[-1])
        return None, None


def checked(part: Part) -> Part:
    """Return a part, whose arrays and settings fit each other.

    Raises
    ------
    ValueError
        If an array is missing, unknown or of another shape, or a setting is unknown.
    """
    unknown = set(part.settings) - set(SETTINGS[part.kind])
    if unknown:
        raise ValueError(
            f"{part.title} has the settings {sorted(unknown)}, which are not known; known: "
            f"{sorted(SETTINGS[part.kind])}."
        )
    if part["proj_size"]:
        raise ValueError(
            f"{part.title} has proj_size={part['proj_size']}: a state that is projected before it "
            f"comes back is not in Keras's LSTM, and not here."
        )
    arrays = {k: v for k, v in part.arrays.items() if k != "num_batches_tracked"}
    part.arrays = arrays
    wanted = _wanted(part)
    if set(wanted) != set(arrays):
        raise ValueError(
            f"{part.title} must have the arrays {sorted(wanted)}, got {sorted(arrays)}."
        )
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise ValueError(
                f"{part.title}: {name} must have shape {shape}, got {arrays[name].shape}."
            )
    return part


def _wanted(part: Part) -> dict[str, tuple[int, ...]]:
    """Return the arrays that a part must have, by their shape."""
    arrays = part.arrays
    if part.kind in RECURRENT or part.kind in CELLS:
        return _wanted_recurrent(part)
    weight = arrays.get("weight")
    axes = {"Linear": 2, "Embedding": 2, "Conv1d": 3, "PReLU": 1}.get(part.kind)
    if axes is not None and (weight is None or weight.ndim != axes):
        got = None if weight is None else weight.shape
        raise ValueError(f"{part.title} must have a weight of {axes} axes, got {got}.")
    wanted = {} if weight is None else {"weight": weight.shape}
    if part.kind in ("Linear", "Conv1d") and weight is not None and "bias" in arrays:
        wanted["bias"] = weight.shape[:1]
    elif part.kind == "LayerNorm" and weight is not None:
        if weight.ndim != 1:
            raise ValueError(
                f"{part.title} normalizes the axes {weight.shape} together; here it is the last."
            )
        wanted["bias"] = weight.shape
    elif part.kind == "BatchNorm1d":
        mean = arrays.get("running_mean")
        if mean is None or mean.ndim != 1:
            raise ValueError(
                f"{part.title} has no running_mean: without running statistics it normalizes each "
                f"batch by itself, also after training, which BatchNormalization does not."
            )
        affine = ("weight", "bias") if weight is not None else ()
        wanted = dict.fromkeys(("running_mean", "running_var", *affine), mean.shape)
    if part.kind == "LayerNorm" and "bias" not in arrays:
        wanted.pop("bias", None)
    return {name: tuple(shape) for name, shape in wanted.items()}


def _wanted_recurrent(part: Part) -> dict[str, tuple[int, ...]]:
    kind = CELLS.get(part.kind, part.kind)
    cell = part.kind in CELLS
    first = "" if cell else "_l0"
    for name in (f"weight_ih{first}", f"weight_hh{first}"):
        if name not in part.arrays or part.arrays[name].ndim != 2:
            raise ValueError(f"{part.title} must have the array {name} of two axes.")
    units, features = part.units, part.arrays[f"weight_ih{first}"].shape[1]
    rows = RECURRENT[kind] * units
    wanted: dict[str, tuple[int, ...]] = {}
    for suffix, level in suffixes(part):
        inputs = features if level == 0 else units * (2 if part["bidirectional"] else 1)
        wanted[f"weight_ih{suffix}"] = (rows, inputs)
        wanted[f"weight_hh{suffix}"] = (rows, units)
        if part.bias:
            wanted[f"bias_ih{suffix}"] = wanted[f"bias_hh{suffix}"] = (rows,)
    return wanted


def suffixes(part: Part) -> list[tuple[str, int]]:
    """Return what the names of a recurrent part's arrays end in, each with its layer."""
    if part.kind in CELLS:
        return [("", 0)]
    ways = ("", "_reverse") if part["bidirectional"] else ("",)
    return [(f"_l{i}{way}", i) for i in range(part["num_layers"]) for way in ways]
