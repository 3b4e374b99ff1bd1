"""`Callback`: the hooks that `fit`, `evaluate` and `predict` call."""

from typing import Any

Logs = dict[str, Any]


class Callback:
    """Base of every callback. Mirrors `keras.callbacks.Callback`.

    Override the hooks you need. `batch` and `epoch` count from zero; `logs`
    holds plain floats: running averages at the end of a batch, averages over
    all samples at the end of an epoch (validation results as ``val_...``).
    A hook that no callback overrides costs nothing.

    Attributes
    ----------
    params : dict or None
        ``verbose``, ``epochs`` and ``steps`` of the running call.
    model
        The model being trained, evaluated or asked to predict.
    first_rank_only : bool
        Of a callback that writes: in a training over several ranks
        (`rnn_engine.distributed.DataParallel`) it runs on the first one only.

    Examples
    --------
    >>> class Count(Callback):
    ...     seen = 0
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         self.seen += 1
    >>> count = Count()
    >>> count.on_epoch_end(0, {"loss": 0.5})
    >>> count.seen
    1
    """

    first_rank_only = False

    def __init__(self) -> None:
        self.params: dict[str, Any] | None = None
        self._model: Any = None

    def __repr__(self) -> str:
        """Return the callback with the arguments that it was made with, as far as it shows them."""
        from rnn_engine.public import described

        code = type(self).__init__.__code__
        names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
        values = {name: getattr(self, name, None) for name in names}
        plain = {n: v for n, v in values.items() if isinstance(v, str | int | float)}
        return described(self, {n: v for n, v in plain.items() if v != 0})

    def set_params(self, params: dict[str, Any]) -> None:
        """Receive the parameters of the call."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Receive the model."""
        self._model = model

    @property
    def model(self) -> Any:
        """The model this callback works on."""
        return self._model

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Alias of `on_train_batch_begin`, for older programs."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Alias of `on_train_batch_end`, for older programs."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Run at the start of an epoch of `fit`."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Run at the end of an epoch of `fit`, with its averages in `logs`."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Run before a training batch."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Run after a training batch, with the averages up to it in `logs`."""
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Run before a batch of `evaluate` or of the validation in `fit`."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Run after a batch of `evaluate` or of the validation in `fit`."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Run before a batch of `predict`."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Run after a batch of `predict`; ``logs["outputs"]`` holds its result."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Run when `fit` starts."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Run when `fit` ends, also when it ends by an exception or Ctrl-C.

        In the latter case, unlike Keras, which then does not call this hook,
        ``self.model.training_interrupted`` is True.
        """

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Run when `evaluate`, or the validation in `fit`, starts."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Run when `evaluate`, or the validation in `fit`, ends."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Run when `predict` starts."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Run when `predict` ends."""


def check_can_save(model: Any, path: str, weights_only: bool) -> None:
    """Let a model say now, when fit begins, what would be in the way of a save later."""
    check = getattr(model, "_check_can_save", None)  # a stand-in for a model may have none
    if check is not None:
        check(path, weights_only)
