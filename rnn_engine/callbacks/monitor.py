"""`MonitorCallback`: decide whether a logged quantity has improved."""

import warnings
from typing import Any

from rnn_engine.callbacks.callback import Callback


class MonitorCallback(Callback):
    """Base of callbacks that watch one quantity of the logs.

    Mirrors `keras.callbacks.MonitorCallback`.

    Parameters
    ----------
    monitor : str
        Name in the logs, ``"val_loss"``.
    mode : "auto", "min" or "max"
        Which way is better. "auto" knows losses and the metrics of `compile`.
    baseline : float, optional
        First best value.
    min_delta : float
        Smallest change that counts.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        baseline: float | None = None,
        min_delta: float = 0,
    ) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(
                f"{type(self).__name__} mode '{mode}' is unknown, fallback to auto mode.",
                stacklevel=3,
            )
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.best = baseline
        self.min_delta = abs(min_delta)
        self._sign = 0

    def _metrics(self) -> list[Any]:
        """Return the metrics of `compile`, which stand inside one entry of ``model.metrics``."""
        found: list[Any] = []
        for metric in getattr(self.model, "metrics", ()):
            found.extend(getattr(metric, "metrics", ()))
        return found

    def _direction(self) -> int:
        """Return 1 where more is better, -1 where less is.

        Raises
        ------
        ValueError
            If "auto" cannot tell.
        """
        if self.mode != "auto":
            return 1 if self.mode == "max" else -1
        name = self.monitor.removeprefix("val_")
        if name == "loss":
            return -1
        for metric in self._metrics():
            if metric.name == name and getattr(metric, "_direction", None):
                return 1 if metric._direction == "up" else -1
        raise ValueError(
            f"{type(self).__name__} callback received monitor={self.monitor}, but cannot tell "
            f"whether that metric should be maximized or minimized. Pass `mode='max'` or "
            f"`mode='min'`."
        )

    def _prepare(self) -> None:
        """Find the direction; metrics exist only after the first batch."""
        if not self._sign:
            self._sign = self._direction()

    def _is_improvement(self, value: Any, reference: Any) -> bool:
        if reference is None:
            return True
        # NaN compares false: never an improvement, and never beaten once it is the best.
        return bool(self._sign * value - self.min_delta > self._sign * reference)

    def _missing(self, what: str, logs: dict[str, Any]) -> None:
        warnings.warn(
            f"{what} `{self.monitor}` which is not available. Available metrics are: "
            f"{','.join(logs)}",
            stacklevel=3,
        )
