"""`InputSpec`: what a layer of a user's says about its inputs."""

from typing import Any

import numpy as np

from rnn_engine.graph.nest import flatten


class InputSpec:
    """Axes, shape and type that a layer wants of an input (`keras.layers.InputSpec`).

    Set as `self.input_spec`, alone or in a list of one an input, of a layer with a `call` of
    one's own, it is checked at every call.

    Parameters
    ----------
    dtype : str, optional
    shape : tuple, optional
        None where any size will do.
    ndim, max_ndim, min_ndim : int, optional
        Number of axes, or its bounds.
    axes : dict, optional
        Sizes by axis.
    allow_last_axis_squeeze : bool
        Whether a last axis of one may be there or not.
    name : str, optional
        Key of the input in a dict.
    optional : bool
        Whether None may be given.

    Raises
    ------
    TypeError
        If the keys of `axes` are no integers.
    ValueError
        If one of them is beyond the axes.

    Examples
    --------
    >>> InputSpec(min_ndim=2, axes={-1: 3})
    InputSpec(min_ndim=2, axes={-1: 3})
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Any = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Any = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        self.dtype = None if dtype is None else np.dtype(dtype).name
        self.shape = None if shape is None else tuple(shape)
        self.ndim = ndim if self.shape is None else len(self.shape)
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.name, self.optional = name, optional
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        try:
            self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        except (ValueError, TypeError):
            raise TypeError(
                f"Argument `axes` must be a dict with integer keys. Received: axes={axes}"
            ) from None
        most = self.ndim if self.ndim is not None else self.max_ndim
        if self.axes and most is not None and max(self.axes) > most - 1:
            raise ValueError(
                f"Axis {max(self.axes)} is greater than the maximum allowed value: {most - 1}"
            )

    def __repr__(self) -> str:
        """Return what was asked for."""
        told = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        given = [f"{n}={v!r}" for n in told if (v := getattr(self, n)) not in (None, {})]
        return f"InputSpec({', '.join(given)})"

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "InputSpec":
        """Build it from what `get_config` returned."""
        return cls(**config)


def check_inputs(spec: Any, inputs: Any, layer: str) -> None:
    """Raise ValueError, in Keras's words, unless inputs are what a layer's specs say."""
    specs = flatten(spec)
    if isinstance(inputs, dict) and all(s is not None and s.name for s in specs):
        if missing := [s.name for s in specs if s.name not in inputs]:
            raise ValueError(
                f'Missing data for input "{missing[0]}". You passed a data dictionary with keys '
                f"{list(inputs)}. Expected the following keys: {[s.name for s in specs]}"
            )
        inputs = [inputs[s.name] for s in specs]
    given = flatten(inputs)
    if len(given) != len(specs):
        raise ValueError(
            f'Layer "{layer}" expects {len(specs)} input(s), but it received {len(given)} input '
            f"tensors. Inputs received: {given}"
        )
    for place, (x, one) in enumerate(zip(given, specs, strict=True)):
        if one is None or (x is None and one.optional):
            continue
        if not hasattr(x, "shape"):
            raise ValueError(
                f"Inputs to a layer should be tensors. Got '{x}' (of type {type(x)}) as input for "
                f"layer '{layer}'."
            )
        wrong = _wrong(one, tuple(x.shape), x)
        if wrong:
            raise ValueError(
                f"Input {place} with name '{one.name}' of layer '{layer}' is incompatible with "
                f"the layer: expected {wrong}"
            )


def _wrong(spec: InputSpec, shape: tuple[Any, ...], x: Any) -> str | None:
    """Return what was expected and found, None where they agree."""
    ndim = len(shape)
    if spec.ndim is not None and not spec.allow_last_axis_squeeze and ndim != spec.ndim:
        return f"ndim={spec.ndim}, found ndim={ndim}. Full shape received: {shape}"
    if spec.max_ndim is not None and ndim > spec.max_ndim:
        return f"max_ndim={spec.max_ndim}, found ndim={ndim}"
    if spec.min_ndim is not None and ndim < spec.min_ndim:
        return f"min_ndim={spec.min_ndim}, found ndim={ndim}. Full shape received: {shape}"
    if spec.dtype is not None and np.dtype(x.dtype).name != spec.dtype:
        return f"dtype={spec.dtype}, found dtype={np.dtype(x.dtype).name}"
    for axis, size in spec.axes.items():
        if size is not None and shape[axis] not in (size, None):
            return (
                f"axis {axis} of input shape to have value {size}, but received input with shape "
                f"{shape}"
            )
    if spec.shape is not None:
        wanted, found = spec.shape, shape
        if spec.allow_last_axis_squeeze:
            wanted, found = (s[:-1] if s and s[-1] == 1 else s for s in (wanted, found))
        if any(a not in (b, None) and b is not None for a, b in zip(wanted, found, strict=False)):
            return f"shape={spec.shape}, found shape={shape}"
    return None
