"""`History`: what `fit` returns."""

from typing import TYPE_CHECKING, Any

from rnn_engine.callbacks.callback import Callback, Logs

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure


class History(Callback):
    """Record the logs of every epoch. Mirrors `keras.callbacks.History`.

    `plot` and `to_frame`, which Keras has not, need matplotlib and pandas.

    Attributes
    ----------
    history : dict of str to list
        One list for each quantity, one entry for each epoch that had it. Loss and
        metrics are averages over samples, also when the last batch is short.
    epoch : list of int
        The epochs that ran, counted from zero.
    parallel : dict of str to float, or None
        Of a training over ranks (`rnn_engine.distributed.DataParallel`): how many, steps, and
        seconds and bytes of a step on this rank.
    """

    parallel: dict[str, float] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        # Every epoch so far, and for each quantity the places in that list where it has a value:
        # a validation comes after some epochs only.
        self._epochs: list[int] = []
        self._places: dict[str, list[int]] = {}

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
            self._places.setdefault(name, []).append(len(self._epochs))
        self._epochs.append(epoch)
        self.model.history = self

    def _columns(self) -> dict[str, list[float]]:
        """Return each quantity with an entry for every epoch, NaN where it has no value."""
        columns = {}
        for name, values in self.history.items():
            # What somebody else wrote into `history` counts from the first epoch on.
            places = self._places.get(name, [])
            if len(places) != len(values):
                places = list(range(len(values)))
            found = dict(zip(places, values, strict=True))
            length = max(len(self._epochs), len(values))
            columns[name] = [float(found.get(i, float("nan"))) for i in range(length)]
        return columns

    def to_frame(self) -> "pandas.DataFrame":
        """Return a row for each epoch and a column for each quantity.

        Returns
        -------
        pandas.DataFrame
            Its index "epoch" counts from zero, as `epoch` does, and its columns are the keys of
            `history`; NaN where an epoch had no validation.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> import rnn_engine
        >>> model = rnn_engine.Sequential([rnn_engine.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> x = np.ones((8, 2))
        >>> history = model.fit(x, x[:, 0], epochs=3, verbose=0)
        >>> history.to_frame().shape
        (3, 1)
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError(
                "History.to_frame needs pandas: pip install 'rnn_engine[pandas]'."
            ) from error
        columns = self._columns()
        length = max(map(len, columns.values()), default=0)
        epochs = self._epochs + list(range(len(self._epochs), length))
        return pandas.DataFrame(columns, index=pandas.Index(epochs[:length], name="epoch"))

    def plot(self, names: list[str] | None = None) -> "Figure":
        """Draw the quantities over the epochs, a validation's dashed in the same panel.

        Parameters
        ----------
        names : list of str, optional
            Keys of `history` without ``val_``; all of them if None. Each has a panel.

        Returns
        -------
        matplotlib.figure.Figure
            ``figure.savefig("history.png")`` writes it; a notebook shows it.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If nothing is recorded, or not what `names` asks for.

        Examples
        --------
        >>> import numpy as np
        >>> import rnn_engine
        >>> model = rnn_engine.Sequential([rnn_engine.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> x = np.ones((8, 2))
        >>> figure = model.fit(x, x[:, 0], epochs=3, verbose=0).plot()
        >>> figure.axes[0].get_ylabel()
        'loss'
        """
        columns = self._columns()
        wanted = names
        if names is None:
            bare = (n.removeprefix("val_") for n in columns if n.removeprefix("val_") in columns)
            wanted = list(dict.fromkeys(bare))
        if not wanted or not set(wanted) <= set(columns):
            raise ValueError(f"names must be among what is recorded, {list(columns)}; got {names}.")
        return _drawn(columns, wanted)


def _drawn(columns: dict[str, list[float]], names: list[str]) -> "Figure":
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "History.plot draws with matplotlib: pip install 'rnn_engine[plot]'."
        ) from error
    # A Figure of its own, not pyplot's: no window system, no global state.
    figure: Any = Figure(figsize=(5.0 * len(names), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    for place, name in enumerate(names, 1):
        axes = figure.add_subplot(1, len(names), place)
        for key, label, style in ((name, "training", "-"), (f"val_{name}", "validation", "--")):
            # An epoch without a validation leaves no gap in the line.
            points = [(i + 1, v) for i, v in enumerate(columns.get(key, ())) if v == v]
            if points:
                few = "o" if len(points) == 1 else None
                axes.plot(*zip(*points, strict=True), style, marker=few, label=label)
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        if f"val_{name}" in columns:
            axes.legend()
    return figure
