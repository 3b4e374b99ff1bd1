"""Checks of what `compile`, `fit`, `evaluate` and `predict` are called with.

All of them run before anything changes.
"""

from typing import Any

import numpy as np

from rnn_engine.config import is_interactive_logging_enabled


def check_count(value: Any, argument: str, minimum: int = 1) -> int:
    """Return `value` as an int of at least `minimum`.

    Raises
    ------
    TypeError
        If it is no whole number.
    ValueError
        If it is too small.
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole and isinstance(value, float | np.floating) and float(value).is_integer():
        raise TypeError(f"{argument} must be an int, got the float {value!r}.")
    if not whole:
        raise TypeError(f"{argument} must be an int, got {value!r}.")
    if value < minimum:
        raise ValueError(f"{argument} must be at least {minimum}, got {value}.")
    return int(value)


def check_optional_count(value: Any, argument: str) -> int | None:
    """Return None or `value` as a positive int; raises as `check_count`."""
    return None if value is None else check_count(value, argument)


def check_checkpoint_steps(value: Any) -> int | str | None:
    """Return None, "auto" or a positive int.

    Raises
    ------
    TypeError, ValueError
        For anything else.
    """
    if value is None or (isinstance(value, str) and value == "auto"):
        return value
    if isinstance(value, str):
        raise ValueError(
            f"checkpoint_steps must be 'auto', None or a number of steps, got {value!r}."
        )
    return check_count(value, "checkpoint_steps")


def check_verbose(verbose: Any) -> int:
    """Return 0, 1 or 2; ``"auto"`` is 1, as in Keras. 0 where interactive logging is off.

    Raises
    ------
    ValueError
        For anything else.
    """
    shown = is_interactive_logging_enabled()
    if isinstance(verbose, str) and verbose == "auto":
        return int(shown)
    if isinstance(verbose, bool | int | np.integer) and 0 <= int(verbose) <= 2:
        return int(verbose) if shown else 0
    raise ValueError(f"verbose must be 'auto', 0, 1 or 2, got {verbose!r}.")


def check_split(value: Any) -> float:
    """Return `validation_split` as a float.

    Raises
    ------
    ValueError
        If it is not a number in 0 <= validation_split <= 1; of 1 nothing is left to train on,
        which is told where the samples are counted.
    """
    number = isinstance(value, int | float | np.integer | np.floating)
    if value is None:
        return 0.0
    if not number or isinstance(value, bool) or not 0.0 <= value <= 1.0:
        raise ValueError(f"validation_split must be a number in [0, 1), got {value!r}.")
    return float(value)


def check_frequency(value: Any) -> Any:
    """Return `validation_freq`: a positive int or a list of epochs counted from one.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if isinstance(value, list):
        return [check_count(epoch, f"validation_freq[{i}]") for i, epoch in enumerate(value)]
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return check_count(value, "validation_freq")
    raise ValueError(
        f"Expected `validation_freq` to be a list or int. Received: validation_freq={value} "
        f"of the type {type(value)}."
    )


def validates(epoch: int, frequency: Any) -> bool:
    """Whether the epoch (counted from zero) ends with a validation."""
    if isinstance(frequency, list):
        return epoch + 1 in frequency
    return bool((epoch + 1) % frequency == 0)


def check_shuffle(value: Any) -> Any:
    """Return a bool or ``"batch"``.

    Raises
    ------
    ValueError
        For anything else.
    """
    if isinstance(value, str) and value == "batch":
        return value
    if isinstance(value, bool | np.bool_) or value in (0, 1):
        return bool(value)
    raise ValueError(f"shuffle must be True, False or 'batch', got {value!r}.")


def check_class_weight(value: Any) -> dict[int, float] | None:
    """Return `class_weight` with int keys and float values.

    Raises
    ------
    TypeError
        If it is no dict.
    ValueError
        If a key is no whole number or a weight is no finite number.
    """
    if value is None:
        return None
    if not isinstance(value, dict):
        raise TypeError(f"class_weight must be a dict of class to weight, got {value!r}.")
    checked = {}
    for label, weight in value.items():
        try:
            ok = int(label) == label and bool(np.isfinite(weight))
        except (TypeError, ValueError):
            ok = False
        if not ok:
            raise ValueError(
                f"class_weight must map whole numbers to finite weights, got {label!r}: {weight!r}."
            )
        checked[int(label)] = float(weight)
    return checked
