"""`History`: what `fit` returns."""

from rnn_engine.callbacks.callback import Callback, Logs


class History(Callback):
    """Record the logs of every epoch. Mirrors `keras.callbacks.History`.

    Attributes
    ----------
    history : dict of str to list
        One list for each quantity, one entry for each epoch that had it. Loss and
        metrics are averages over samples, also when the last batch is short.
    epoch : list of int
        The epochs that ran, counted from zero.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def __repr__(self) -> str:
        """Return the number of epochs, and the last figures."""
        last = [f"{name}: {values[-1]:.4g}" for name, values in self.history.items() if values]
        return f"<History of {len(self.epoch)} epochs; {', '.join(last) or 'nothing recorded'}>"

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start a new list of epochs; earlier entries of `history` stay."""
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Append the epoch's logs."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.model.history = self
