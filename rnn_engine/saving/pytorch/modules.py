"""Modules of PyTorch as parts. They are asked for their class and settings, never run."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rnn_engine.saving.pytorch.naming import check_entries, check_nothing_left, part_of
from rnn_engine.saving.pytorch.part import SETTINGS, Part, checked

_CHAIN = "rnn_engine.saving.pytorch.chain"


def is_module(source: Any) -> bool:
    """Whether an object is a module of PyTorch's."""
    return hasattr(source, "state_dict") and hasattr(source, "named_children")


def array_of(value: Any, name: str) -> np.ndarray:
    """Return a tensor of PyTorch's, or anything NumPy reads, as an array of numbers.

    Raises
    ------
    ValueError
        If it holds no numbers.
    """
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":  # NumPy has none
            value = value.float()
        value = value.numpy()
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name!r} must be an array of numbers: {error}") from None
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name!r} must be an array of numbers, got {type(value).__name__}.")
    return array


def parts_of_module(module: Any) -> list[Part]:
    """Return the parts of a module, in the order in which they run.

    Raises
    ------
    ValueError
        If it is of a class that is not known here.
    """
    return list(_walk(module, ""))


def parts_of_named(module: Any, modules: Mapping[str, Any]) -> list[Part]:
    """Return the parts of the modules in a module that are named, in their order.

    Parameters
    ----------
    module : torch.nn.Module
    modules : dict
        As in `from_torch`; of those that the module has, it knows class and settings itself.

    Raises
    ------
    ValueError
        If a name is none, or weights are in no module that is named.
    """
    found = dict(module.named_modules())
    check_entries(modules, found)
    parts: list[Part] = []
    for name, entry in modules.items():
        if entry is not None and name in found:
            kind = type(found[name]).__name__
            if entry not in ({}, kind, {"kind": kind}):
                raise ValueError(
                    f"modules[{name!r}] is {entry!r}; the module has a {kind} of that name, "
                    f"with its own settings: say {{}}."
                )
            parts += _walk(found[name], name)
        elif entry is not None:
            parts.append(checked(part_of(name, entry, {}, "tanh")))
    heads = tuple(f"{name}." for name in modules)
    check_nothing_left([key for key in module.state_dict() if not key.startswith(heads)])
    return parts


def _walk(module: Any, name: str, how: str = "") -> Iterator[Part]:
    kind = _kind(module)
    _check_plain(module, name)
    if kind == "Sequential":
        hows = getattr(module, "how", {}) if type(module).__module__ == _CHAIN else {}
        for child_name, child in module.named_children():
            child_how = hows.get(child_name, "")
            yield from _walk(child, f"{name}.{child_name}".lstrip("."), child_how)
        return
    if kind not in SETTINGS:
        raise ValueError(
            f"from_torch does not know the module {name!r} of class {type(module).__name__}"
            f"{_advice(kind)}. Known: Sequential, {', '.join(sorted(SETTINGS))}."
        )
    settings = {key: getattr(module, key) for key in SETTINGS[kind] if hasattr(module, key)}
    arrays: Mapping[str, np.ndarray] = {
        key: array_of(value, f"{name}.{key}") for key, value in module.state_dict().items()
    }
    yield checked(Part(kind, name, settings, arrays, how))


def _check_plain(module: Any, name: str) -> None:
    """Raise ValueError if something else runs beside a module's class."""
    what = f"The module {name!r} of class {type(module).__name__}"
    for attribute in ("_forward_pre_hooks", "_forward_hooks"):
        if getattr(module, attribute, None):
            raise ValueError(
                f"{what} has hooks (`{attribute}`), which would not run here: remove them first; "
                "`torch.nn.utils` has a function for each kind of its own."
            )
    if "forward" in vars(module):
        raise ValueError(f"{what} has a `forward` of its own, which would not run here.")
    if "parametrizations" in getattr(module, "_modules", ()):
        raise ValueError(
            f"{what} has parametrized weights: make plain ones of them first, with "
            "`torch.nn.utils.parametrize.remove_parametrizations`."
        )


def _kind(module: Any) -> str | None:
    """Return the class of `torch.nn` whose `forward` a module has, None if it has its own."""
    for base in type(module).__mro__:
        if base.__module__.startswith("torch.nn.modules.") or base.__module__ == _CHAIN:
            same = getattr(type(module), "forward", None) is getattr(base, "forward", None)
            name = "Sequential" if base.__module__ == _CHAIN else base.__name__
            return name if same else None
    return None


def _advice(kind: str | None) -> str:
    if kind is not None and kind not in ("Module", "ModuleList", "ModuleDict"):
        return ""
    return (
        ", whose forward is a program: say in `modules` what runs in it, in order, such as "
        "{'rnn': {}, 'act': 'ReLU', 'head': {}}"
    )
