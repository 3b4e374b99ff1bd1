"""Global settings: the default float type and the fuzz factor (`keras.config`)."""

import numpy as np

_FLOATX = "float32"
_EPSILON = 1e-7


def floatx() -> str:
    """Return the default float type of new layers, ``"float32"`` or ``"float64"``.

    Mirrors `keras.config.floatx`.
    """
    return _FLOATX


def set_floatx(value: str) -> None:
    """Set the default float type of layers built from now on.

    Mirrors `keras.config.set_floatx`; half precision is not offered.

    Raises
    ------
    ValueError
        If `value` is not ``"float32"`` or ``"float64"``.
    """
    global _FLOATX
    _FLOATX = standardize_dtype(value)


def epsilon() -> float:
    """Return the fuzz factor that losses and metrics add or clip with (1e-7).

    Mirrors `keras.config.epsilon`.
    """
    return _EPSILON


def set_epsilon(value: float) -> None:
    """Set the fuzz factor. Mirrors `keras.config.set_epsilon`."""
    global _EPSILON
    _EPSILON = float(value)


def standardize_dtype(dtype: object | None) -> str:
    """Return the name of a float type the engine computes in; None means `floatx`.

    Raises
    ------
    ValueError
        If `dtype` names anything but float32 or float64.
    """
    if dtype is None:
        return _FLOATX
    try:
        name = np.dtype(dtype).name  # type: ignore[call-overload]  # the except is the check
    except TypeError:
        name = str(dtype)
    if name not in ("float32", "float64"):
        raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}.")
    return name
