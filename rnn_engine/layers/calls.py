"""What a call of a layer knows of the calls around it, and what a `call` of a user's takes."""

import functools
import inspect
import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(slots=True)
class Context:
    """The call that a thread is in, from the outermost layer on.

    Attributes
    ----------
    layer : Layer
        Whose `call` or `build` runs; layers that are built in it stand below it.
    training : bool or None
        What layers inside are told that are told nothing.
    losses : list
        What `add_loss` was given, by all layers inside.
    outer : Context or None
    """

    layer: Any
    training: bool | None
    losses: list[Any] = field(default_factory=list)
    outer: "Context | None" = None


class _Local(threading.local):
    context: Context | None = None
    scale: float = 1.0


_local = _Local()


def current() -> Context | None:
    """Return the innermost call of this thread, None outside of all."""
    return _local.context


def penalty_scale() -> float:
    """Return the gradient by the penalties on activities, 1 but where a tape tells another."""
    return _local.scale


class scaled_penalties:
    """Within it, penalties on activities go back with this gradient."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def __enter__(self) -> None:
        self.kept, _local.scale = _local.scale, self.scale

    def __exit__(self, *error: Any) -> None:
        _local.scale = self.kept


def is_special(inputs: Any, args: Any, kwargs: Any) -> bool:
    """Whether a call has tensors of a tape, or of masks, or stands inside another call."""
    if _local.context is not None:
        return True
    return any(map(_more_than_array, (inputs, args, kwargs)))


# Numbers and texts, of which a list may have millions.
_PLAIN = {str, bytes, int, float, bool, type(None), np.str_, np.float32, np.float64, np.int64}


def _more_than_array(value: Any) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return not _PLAIN.issuperset(map(type, value)) and any(map(_more_than_array, value))
    return hasattr(value, "_node") or hasattr(value, "_keras_mask")


def call_in_context(layer: Any, *args: Any) -> Any:
    """Call a layer on tensors that are more than arrays; see `traced.call`."""
    from rnn_engine.layers.traced import call  # a plain array never comes here

    return call(layer, *args)


def stand_below(layer: Any) -> None:
    """Give a layer that is built inside of another one its place in the paths of weights."""
    context = _local.context
    if context is None or context.layer is layer or layer.path_prefix:
        return
    layer.path_prefix = f"{context.layer.path_prefix}{context.layer.name}/"


class inside:
    """Within it, `layer` is the one whose `call` runs; gives the context."""

    def __init__(self, layer: Any, training: bool | None) -> None:
        self.layer, self.training = layer, training

    def __enter__(self) -> Context:
        outer = self.outer = _local.context
        losses = [] if outer is None else outer.losses
        _local.context = Context(self.layer, self.training, losses, outer)
        return _local.context

    def __exit__(self, *error: Any) -> None:
        _local.context = self.outer


class alone:
    """Within it, no call is around: what begins here is an outermost call."""

    def __enter__(self) -> None:
        self.kept, _local.context = _local.context, None

    def __exit__(self, *error: Any) -> None:
        _local.context = self.kept


@dataclass(frozen=True)
class Signature:
    """The arguments of a `call`.

    Attributes
    ----------
    names : tuple of str
        Those that may be given by place, the input first.
    training, mask : bool
        Whether it takes these.
    default : bool or None
        Of `training`.
    """

    names: tuple[str, ...]
    training: bool
    mask: bool
    default: Any


@functools.cache
def signature_of(function: Any) -> Signature:
    """Return the arguments of a `call`, without `self`."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    placed = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = {p.name: p for p in parameters}
    default = names["training"].default if "training" in names else None
    return Signature(
        tuple(p.name for p in parameters if p.kind in placed),
        "training" in names,
        "mask" in names,
        None if default is inspect.Parameter.empty else default,
    )
