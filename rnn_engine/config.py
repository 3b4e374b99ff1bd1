"""Global settings: the default float type and the fuzz factor (`keras.config`)."""

import os
from typing import Any

import numpy as np

from rnn_engine.lazy import lazily, show_public

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
    try:
        _FLOATX = standardize_dtype("none" if value is None else value)
    except ValueError:
        raise ValueError(
            f"Unknown `floatx` value: {value}. Expected one of {{'float32', 'float64'}}"
        ) from None


MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}
"""Policies with float32 weights, and the type of outputs under them."""

_POLICY: str | None = None


def policy_name() -> str:
    """Return the name of the policy of layers that are given none; see `dtype_policies`."""
    return _POLICY or _FLOATX


def set_policy_name(name: str) -> None:
    """Set the name that `policy_name` returns."""
    global _POLICY
    _POLICY = None if name == _FLOATX else name


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
        raise ValueError(
            f"Invalid dtype: {dtype}. dtype must be 'float32' or 'float64', got {dtype!r}."
        )
    return name


_INTERACTIVE = True


def enable_interactive_logging() -> None:
    """Let `fit`, `evaluate` and `predict` show their progress, as they do at first.

    Mirrors `keras.config.enable_interactive_logging`.
    """
    global _INTERACTIVE
    _INTERACTIVE = True


def disable_interactive_logging() -> None:
    """Keep `fit`, `evaluate` and `predict` silent, whatever their `verbose` says.

    Mirrors `keras.config.disable_interactive_logging`, which sends the lines to a log
    that is off unless asked for.
    """
    global _INTERACTIVE
    _INTERACTIVE = False


def is_interactive_logging_enabled() -> bool:
    """Whether progress is shown. Mirrors `keras.config.is_interactive_logging_enabled`."""
    return _INTERACTIVE


_CHECK_FINITE = False


def set_check_finite(value: bool) -> None:
    """Choose whether `fit`, `evaluate` and `predict` refuse NaN and infinite data.

    Off at first, as Keras has no such check: NaN then goes through the network. With
    it, inputs, targets and sample weights are looked through once before a call, and
    the batches of generators as they come. Not in Keras.

    Raises
    ------
    TypeError
        If `value` is no bool.
    """
    global _CHECK_FINITE
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"set_check_finite takes a bool, got {value!r}.")
    _CHECK_FINITE = bool(value)


def check_finite() -> bool:
    """Whether data with NaN or infinity are refused; see `set_check_finite`."""
    return _CHECK_FINITE


def backend() -> str:
    """Return ``"numpy"``: what arrays are made of. Mirrors `keras.config.backend`."""
    return "numpy"


def image_data_format() -> str:
    """Return ``"channels_last"``, the only one. Mirrors `keras.config.image_data_format`."""
    return "channels_last"


def keras_home() -> str:
    """Return the folder of what is downloaded: ``$KERAS_HOME``, or ``.keras`` in the home."""
    given = os.environ.get("KERAS_HOME")
    if given:
        return given
    home = os.path.expanduser("~")
    return os.path.join(home if os.access(home, os.W_OK) else "/tmp", ".keras")


def set_image_data_format(data_format: str) -> None:
    """Set the order of a picture's axes. Mirrors `keras.config.set_image_data_format`.

    Raises
    ------
    ValueError
        If it is not ``"channels_last"``, the only one here.
    """
    if data_format != "channels_last":
        raise ValueError(
            f"The `data_format` argument must be 'channels_last' here, which kernels are written "
            f"for. Received: data_format={data_format}"
        )


_TRACEBACK_FILTERING = True


def enable_traceback_filtering() -> None:
    """Note that tracebacks may be shortened. Mirrors `keras.config.enable_traceback_filtering`.

    Ours have no inner frames worth leaving out: they are the same either way.
    """
    global _TRACEBACK_FILTERING
    _TRACEBACK_FILTERING = True


def disable_traceback_filtering() -> None:
    """Note that tracebacks are wanted whole; see `enable_traceback_filtering`."""
    global _TRACEBACK_FILTERING
    _TRACEBACK_FILTERING = False


def is_traceback_filtering_enabled() -> bool:
    """Return what was last chosen. Mirrors `keras.config.is_traceback_filtering_enabled`."""
    return _TRACEBACK_FILTERING


# TensorFlow has settings in a module of this name, too: `tf.config`.
_TF = (
    "LogicalDevice LogicalDeviceConfiguration PhysicalDevice experimental functions_run_eagerly "
    "get_soft_device_placement get_visible_devices list_logical_devices list_physical_devices "
    "optimizer run_functions_eagerly set_logical_device_configuration set_soft_device_placement "
    "set_visible_devices threading"
)
_POLICIES = "dtype_policy set_dtype_policy"
_find = lazily(
    __name__,
    {
        **{name: f"rnn_engine.environment:{name}" for name in _TF.split()},
        **{name: f"rnn_engine.dtype_policies:{name}" for name in _POLICIES.split()},
    },
    shown=False,
)


def __getattr__(name: str) -> Any:
    return _find(name)


show_public(__name__)
