"""`Progbar`: progress of a loop of one's own."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from rnn_engine.callbacks.progress import Progress


class Progbar:
    """Show how far a loop is, and averages of its figures (`keras.utils.Progbar`).

    A bar on a terminal or in a notebook, one line at the end elsewhere.

    Parameters
    ----------
    target : int or None
        Steps in all, None if unknown.
    width : int
        Accepted; the bar has 20 columns.
    verbose : {0, 1, 2}
        Nothing, a bar, or a line at the end.
    interval : float
        Accepted; a bar is drawn every 0.05 s at most.
    stateful_metrics : iterable of str, optional
        Figures that are shown as they come, not averaged over steps.
    stateless_metrics : iterable of str, optional
        The only ones that are averaged.
    unit_name : str
        What a step is called.

    Raises
    ------
    ValueError
        If both lists of metrics are given.

    Examples
    --------
    >>> bar = Progbar(3, verbose=0)
    >>> for step in range(3):
    ...     bar.add(1, [("loss", 0.5)])
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError(
                "Only one of `stateful_metrics` or `stateless_metrics` can be provided."
            )
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.unit_name = unit_name
        self._stateful = set(stateful_metrics or ())
        self._stateless = None if stateless_metrics is None else set(stateless_metrics)
        self._seen = 0
        self._sums: dict[str, tuple[float, float]] = {}
        self._progress = Progress(target, verbose)

    def update(
        self,
        current: int,
        values: Iterable[tuple[str, Any]] | None = None,
        finalize: bool | None = None,
    ) -> None:
        """Show step `current` and the figures that came with it.

        Parameters
        ----------
        current : int
        values : list of (name, value), optional
            Averaged, weighed by steps; at the last step they are shown as they are.
        finalize : bool, optional
            Whether this is the last step: where `current` reaches the target, if None.
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        steps = max(current - self._seen, 1)
        for name, value in values or ():
            number = float(np.mean(value))
            total, count = self._sums.get(name, (0.0, 0.0))
            whole = finalize or not self._averages(name)
            added = (number, 1.0) if whole else (total + number * steps, count + steps)
            self._sums[name] = added
        self._seen = current
        logs = {name: total / max(1.0, count) for name, (total, count) in self._sums.items()}
        if finalize:
            self._progress.finish(current, logs)
        else:
            self._progress.update(current, logs)

    def _averages(self, name: str) -> bool:
        if self._stateless is not None:
            return name in self._stateless
        return name not in self._stateful

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Go on by `n` steps; see `update`."""
        self.update(self._seen + n, values)
