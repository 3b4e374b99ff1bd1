"""A state_dict as parts: what a module is shows in the names and shapes of its arrays."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from rnn_engine.saving.pytorch.part import CELLS, RECURRENT, SETTINGS, Part, checked

_LEVEL = re.compile(r"weight_ih_l(\d{1,4})(_reverse)?")
# How many orders of modules are tried where a file does not keep that of the program.
_MOST_STEPS = 10_000


def parts_of_state(
    state: Mapping[str, np.ndarray], modules: Mapping[str, Any] | None, nonlinearity: str
) -> list[Part]:
    """Return the parts of a state_dict, in the order in which they run.

    Parameters
    ----------
    state : dict of arrays
    modules : dict, optional
        What runs, in order; see `from_torch`. Else what the state_dict holds, in its order.
    nonlinearity : str
        Of `torch.nn.RNN`, which a state_dict does not tell.

    Raises
    ------
    ValueError
        If a module is not what it is said to be, or cannot be told.
    """
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}.")
    groups: dict[str, dict[str, np.ndarray]] = {}
    for name, array in state.items():
        prefix, _, last = name.rpartition(".")
        groups.setdefault(prefix, {})[last] = array
    if not groups:
        raise ValueError("The state_dict holds no arrays.")
    entries: Mapping[str, Any] = {name: {} for name in groups} if modules is None else modules
    check_entries(entries, groups)
    check_nothing_left([name for name in groups if name not in entries])
    parts = [
        part_of(name, entry, groups.get(name, {}), nonlinearity)
        for name, entry in entries.items()
        if entry is not None
    ]
    if parts and not _told(entries[parts[0].name]):
        _tell_embeddings(parts)
    return [checked(part) for part in parts]


def check_entries(entries: Mapping[str, Any], found: Any) -> None:
    """Check what a user says of modules, of which those in `found` have arrays.

    Raises
    ------
    ValueError
        If an entry is none.
    """
    if not isinstance(entries, Mapping):
        raise ValueError(f"modules must be a dict, got {type(entries).__name__}.")
    for name, entry in entries.items():
        kind = _told(entry)
        if not isinstance(entry, dict | str | None) or not (kind is None or kind in SETTINGS):
            raise ValueError(
                f"modules[{name!r}] must be the name of a class of torch.nn, a dict of 'kind' and "
                f"settings, or None to leave it out; got {entry!r}. Known: {sorted(SETTINGS)}."
            )
        if kind is None and name not in found:
            raise ValueError(
                f"modules names {name!r}, and the source has no arrays of it, but of {list(found)}."
            )


def check_nothing_left(names: list[str]) -> None:
    """Raise ValueError if there are modules with arrays that nobody has named."""
    if names:
        raise ValueError(
            f"There are arrays of {names}, which modules does not name. (None leaves a module out: "
            f"{{{names[0]!r}: None}}.)"
        )


def _told(entry: Any) -> Any:
    """Return the kind that an entry of `modules` names, if it does."""
    return entry.get("kind") if isinstance(entry, dict) else entry


def part_of(name: str, entry: Any, arrays: dict[str, np.ndarray], nonlinearity: str) -> Part:
    """Return the part of a module by what is said of it, and by its arrays."""
    settings = {"kind": entry} if isinstance(entry, str) else dict(entry)
    kind = settings.pop("kind", None) or _kind(name, arrays)
    part = Part(kind, name, settings, arrays)
    if kind in RECURRENT or kind in CELLS:
        _add_stack(part)
        if CELLS.get(kind, kind) == "RNN":
            settings.setdefault("nonlinearity", nonlinearity)
    return part


def _add_stack(part: Part) -> None:
    """Add the settings of a recurrent part that show in the names of its arrays."""
    found = [match for name in part.arrays if (match := _LEVEL.fullmatch(name))]
    if any(name.startswith("weight_hr") for name in part.arrays):
        size = next(a.shape[0] for n, a in part.arrays.items() if n.startswith("weight_hr"))
        part.settings["proj_size"] = size
    elif found:
        part.settings["num_layers"] = 1 + max(int(match[1]) for match in found)
        part.settings["bidirectional"] = any(match[2] for match in found)


def _kind(name: str, arrays: Mapping[str, np.ndarray]) -> str:
    """Return what a module is, by its arrays."""
    for suffix, cell in (("_l0", ""), ("", "Cell")):
        ih, hh = arrays.get(f"weight_ih{suffix}"), arrays.get(f"weight_hh{suffix}")
        if ih is not None and hh is not None and hh.ndim == 2:
            if f"weight_hr{suffix}" in arrays:
                return "LSTM"
            gates, rest = divmod(hh.shape[0], max(1, hh.shape[1]))
            for kind, count in RECURRENT.items():
                if count == gates and not rest:
                    return kind + cell
    if "running_mean" in arrays:
        return "BatchNorm1d"
    weight = arrays.get("weight")
    if weight is not None and set(arrays) <= {"weight", "bias"}:
        if weight.ndim == 3:
            return "Conv1d"
        if weight.ndim == 2:
            return "Linear"  # or an embedding, which others must tell
        if weight.ndim == 1 and "bias" in arrays:
            return "LayerNorm"
    shapes = {key: array.shape for key, array in arrays.items()}
    raise ValueError(
        f"What the module {name!r} is cannot be told from its arrays {shapes}. Say so, in the "
        f"order in which the modules run: modules={{..., {name!r}: 'PReLU', ...}}."
    )


def _tell_embeddings(parts: list[Part]) -> None:
    """Make a first `Linear` without bias an `Embedding`, if its sizes say so."""
    first = parts[0]
    if first.kind != "Linear" or first.bias:
        return
    rows, columns = first.arrays["weight"].shape
    follow = next((size for part in parts[1:] if (size := part.sizes()[0]) is not None), None)
    named = "emb" in first.name.lower()
    if (columns == follow) != (rows == follow):
        named = columns == follow
    elif not named:
        raise ValueError(
            f"Whether {first.name!r} of shape {(rows, columns)} is a Linear or an Embedding does "
            f"not show. Say so: modules={{{first.name!r}: 'Embedding', ...}}."
        )
    if named:
        first.kind = "Embedding"


def in_order_of_sizes(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return a state_dict, whose order was lost, in the one in which its modules fit.

    Numbers in the names, as `torch.nn.Sequential` gives them, are an order, too.

    Raises
    ------
    ValueError
        If there are several orders, or none.
    """
    names = list(dict.fromkeys(name.rpartition(".")[0] for name in state))
    if len(names) > 1:
        names = _numbered(names) or _fitting(names, state)
    places = {name: i for i, name in enumerate(names)}
    return dict(sorted(state.items(), key=lambda item: places[item[0].rpartition(".")[0]]))


def _numbered(names: list[str]) -> list[str] | None:
    parts = [re.fullmatch(r"(.*?)(\d{1,9})", name) for name in names]
    heads = {part[1] for part in parts if part}
    if None in parts or len(heads) != 1:
        return None
    return [part[0] for part in sorted(filter(None, parts), key=lambda part: int(part[2]))]


def _fitting(names: list[str], state: Mapping[str, np.ndarray]) -> list[str]:
    sizes = {}
    for name in names:
        head = f"{name}." if name else ""
        arrays = {k.rpartition(".")[2]: v for k, v in state.items() if k.rpartition(".")[0] == name}
        part = part_of(name, {}, arrays, "tanh")
        sizes[name] = part.sizes()
        if part.kind == "Linear" and f"{head}bias" not in state:  # it may be an embedding
            sizes[name] = (None, part.arrays["weight"].shape[1])
    found: list[list[str]] = []
    waiting: list[list[str]] = [[name] for name in names]
    for _ in range(_MOST_STEPS):
        if not waiting or len(found) > 1:
            break
        chain = waiting.pop()
        if len(chain) == len(names):
            found.append(chain)
        gives = sizes[chain[-1]][1]
        waiting += [
            [*chain, name]
            for name in names
            if name not in chain and gives is not None and gives == sizes[name][0]
        ]
    if len(found) != 1 or waiting:
        raise ValueError(
            f"A .safetensors file does not keep the order of its modules, and the sizes of {names} "
            f"fit in {'several' if found else 'no'} orders. Say what runs, in order: "
            f"modules={{{names[0]!r}: {{}}, ...}}."
        )
    return found[0]
