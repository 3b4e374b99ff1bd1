"""`CallbackList`: calls the hooks of many callbacks, and skips those nobody wrote."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rnn_engine.callbacks.callback import Callback, Logs
from rnn_engine.callbacks.history import History
from rnn_engine.callbacks.progbar_logger import ProgbarLogger

_BATCH_HOOKS = tuple(
    f"on_{phase}_batch_{moment}"
    for phase in ("train", "test", "predict")
    for moment in ("begin", "end")
)


def sort_logs(logs: Logs | None) -> Logs:
    """Return logs in alphabetical order with Python floats, as Keras hands them out.

    A dict among them is unfolded where it stands.
    """
    sorted_logs: Logs = {}
    for name, value in sorted((logs or {}).items()):
        if isinstance(value, np.ndarray | np.generic) and value.size == 1:
            value = value.item()
        if isinstance(value, dict):
            sorted_logs.update(sort_logs(value))
        else:
            sorted_logs[name] = float(value) if isinstance(value, int | float) else value
    return sorted_logs


def flatten(callbacks: Any) -> list[Any]:
    """Return nested lists and tuples of callbacks as one list.

    Raises
    ------
    TypeError
        If an entry is not a callback, with its position.
    """
    found: list[Any] = []

    def walk(entry: Any) -> None:
        if isinstance(entry, list | tuple):
            for item in entry:
                walk(item)
        elif isinstance(entry, type) or not hasattr(entry, "on_epoch_end"):
            raise TypeError(
                f"callbacks must be Callback instances; entry {len(found)} is {entry!r}."
            )
        else:
            found.append(entry)

    if callbacks is not None:
        walk(callbacks)
    return found


# Hooks that a callback may have under a shorter name.
_OLD_NAMES = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


def overrides(callback: Any, hook: str) -> bool:
    """Whether `callback` does anything in `hook`."""

    def is_own(name: str) -> bool:
        method = getattr(callback, name, None)
        return method is not None and getattr(method, "__func__", method) is not getattr(
            Callback, name
        )

    return is_own(hook) or is_own(_OLD_NAMES.get(hook, hook))


class CallbackList(Callback):
    """Call several callbacks as one. Mirrors `keras.callbacks.CallbackList`.

    Parameters
    ----------
    callbacks : callback or (nested) list of callbacks, optional
    add_history, add_progbar : bool
        Append a `History` or a `ProgbarLogger` where the list has none.
    model : optional
        Handed to every callback.
    **params
        Handed to every callback by `set_params`.

    Raises
    ------
    TypeError
        If an entry is not a callback.
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        super().__init__()
        self.callbacks = flatten(callbacks)
        if add_history and not self._find(History):
            self.callbacks.append(History())
        if add_progbar and not self._find(ProgbarLogger):
            self.callbacks.append(ProgbarLogger())
        self._collect()
        self.set_model(model)
        self.set_params(params)

    def _find(self, kind: type) -> Any:
        return next((entry for entry in self.callbacks if isinstance(entry, kind)), None)

    def _collect(self) -> None:
        """Gather the batch hooks that somebody wrote."""
        self._hooks: dict[str, list[Callable[..., None]]] = {
            hook: [getattr(entry, hook) for entry in self.callbacks if overrides(entry, hook)]
            for hook in _BATCH_HOOKS
        }
        self._bar: Any = self._find(ProgbarLogger)

    def append(self, callback: Any) -> None:
        """Add a callback."""
        self.callbacks.extend(flatten([callback]))
        self._collect()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.callbacks)

    def set_params(self, params: dict[str, Any]) -> None:
        """Hand `params` to every callback."""
        self.params = params
        if params:
            for callback in self.callbacks:
                callback.set_params(params)

    def set_model(self, model: Any) -> None:
        """Hand `model` to every callback, and the history to the model."""
        if model is None:
            return
        super().set_model(model)
        history = self._find(History)
        if history is not None:
            model.history = history
        for callback in self.callbacks:
            callback.set_model(model)

    def listens(self, hook: str) -> bool:
        """Whether anybody wrote the batch hook `hook`, such as ``"on_train_batch_end"``."""
        return bool(self._hooks[hook])

    def only_bar(self, hook: str) -> Any:
        """Return the progress bar's callback if it alone listens to `hook`, else None.

        The loop then asks it whether a drawing is due before it computes logs.
        """
        hooks = self._hooks[hook]
        if len(hooks) == 1 and getattr(hooks[0], "__self__", None) is self._bar:
            return self._bar
        return None

    def _call_batch(self, hook: str, batch: int, logs: Logs | None) -> None:
        hooks = self._hooks[hook]
        if hooks:
            logs = sort_logs(logs)
            for call in hooks:
                call(batch, logs=logs)

    def _call(self, hook: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(*args)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Call the hook of every callback."""
        self._call("on_batch_begin", batch, sort_logs(logs))

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Call the hook of every callback."""
        self._call("on_batch_end", batch, sort_logs(logs))

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Call the hook of every callback that has one."""
        self._call_batch("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Call the hook of every callback that has one."""
        self._call_batch("on_train_batch_end", batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Call the hook of every callback that has one."""
        self._call_batch("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Call the hook of every callback that has one."""
        self._call_batch("on_test_batch_end", batch, logs)

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Call the hook of every callback that has one."""
        self._call_batch("on_predict_batch_begin", batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Call the hook of every callback that has one."""
        self._call_batch("on_predict_batch_end", batch, logs)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Call the hook of every callback."""
        self._call("on_epoch_begin", epoch, sort_logs(logs))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Call the hook of every callback."""
        self._call("on_epoch_end", epoch, sort_logs(logs))

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Call the hook of every callback."""
        self._call("on_train_begin", sort_logs(logs))

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Call the hook of every callback, of all of them even if one raises."""
        first: BaseException | None = None
        for callback in self.callbacks:
            try:
                callback.on_train_end(sort_logs(logs))
            except BaseException as error:  # the others still have files to close
                first = first or error
        if first is not None:
            raise first

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Call the hook of every callback."""
        self._call("on_test_begin", sort_logs(logs))

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Call the hook of every callback."""
        self._call("on_test_end", sort_logs(logs))

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Call the hook of every callback."""
        self._call("on_predict_begin", sort_logs(logs))

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Call the hook of every callback."""
        self._call("on_predict_end", sort_logs(logs))
