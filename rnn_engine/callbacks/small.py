"""Callbacks of a few lines: `TerminateOnNaN` and `LambdaCallback`."""

import math
from collections.abc import Callable
from typing import Any

from rnn_engine.callbacks.callback import Callback, Logs


class TerminateOnNaN(Callback):
    """Stop when the loss is NaN or infinite. Mirrors `keras.callbacks.TerminateOnNaN`.

    Parameters
    ----------
    raise_error : bool
        Raise a RuntimeError instead of stopping after the batch. Unlike in Keras
        the other callbacks' `on_train_end` runs then, too.
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the loss so far."""
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(
                f"NaN or Inf loss encountered at batch {batch}. Loss value: {loss}. "
                f"Terminating training immediately."
            )
        print(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True


class LambdaCallback(Callback):
    """A callback made of functions. Mirrors `keras.callbacks.LambdaCallback`.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end : callable, optional
        Called as ``f(epoch, logs)``.
    on_train_begin, on_train_end : callable, optional
        Called as ``f(logs)``.
    on_train_batch_begin, on_train_batch_end : callable, optional
        Called as ``f(batch, logs=logs)``.
    **kwargs
        Any other hook of `Callback`, by its name.

    Raises
    ------
    TypeError
        If a function cannot be called.

    Examples
    --------
    >>> seen = []
    >>> log = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs["loss"]))
    >>> log.on_epoch_end(0, {"loss": 0.5})
    >>> seen
    [0.5]
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        hooks = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        for name, function in hooks.items():
            if function is None:
                continue
            if name.startswith("on_") and not callable(function):
                raise TypeError(f"{name} must be callable, got {function!r}.")
            setattr(self, name, function)
