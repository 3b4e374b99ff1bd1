"""How progress is shown: a bar on a terminal or in a notebook, lines elsewhere."""

import importlib.util
import sys
import time
from typing import Any

INTERVAL = 0.05
"""Seconds between two drawings of a bar, as in Keras."""


def format_value(value: Any) -> str:
    """Return a logged value with four digits, in exponent form when it is tiny."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    return f"{number:.4f}" if abs(number) > 1e-3 else f"{number:.4e}"


def format_logs(logs: dict[str, Any]) -> str:
    """Return ``"loss: 0.5000 - mae: 0.1000"``."""
    return " - ".join(f"{name}: {format_value(value)}" for name, value in logs.items())


def format_step_time(seconds: float) -> str:
    """Return the time of one step in the unit that suits it."""
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s/step"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.0f}ms/step"
    return f"{seconds * 1e6:.0f}us/step"


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel."""
    return "ipykernel" in sys.modules


def is_live(stream: Any) -> bool:
    """Whether a bar that redraws itself makes sense on `stream`."""
    return in_notebook() or bool(getattr(stream, "isatty", lambda: False)())


def make_bar(total: int | None, stream: Any) -> Any:
    """Return a new tqdm bar; the import waits until a bar is really drawn."""
    if in_notebook() and importlib.util.find_spec("ipywidgets"):
        from tqdm.notebook import tqdm as notebook_bar

        return notebook_bar(total=total, unit="step")
    from tqdm import tqdm

    layout = "{n_fmt}/{total_fmt} {bar:20} {elapsed}{postfix}" if total else None
    # The monitor is a thread that only serves bars that are never updated.
    tqdm.monitor_interval = 0
    return tqdm(total=total, unit="step", file=stream, bar_format=layout, mininterval=0, leave=True)


class Progress:
    """Show the progress of one epoch, one evaluation or one prediction.

    With ``verbose=1`` a live bar on a terminal or in a notebook and one line at
    the end anywhere else (a log file does not want a hundred redrawings); with
    ``verbose=2`` one line at the end.
    """

    def __init__(self, target: int | None, verbose: int) -> None:
        self.target = target
        self.verbose = verbose
        self.stream = sys.stdout
        self.live = verbose == 1 and is_live(self.stream)
        self.bar: Any = None
        self.start = time.perf_counter()
        self._next = self.start

    def due(self) -> bool:
        """Whether `update` would draw; asked before the logs are computed."""
        return self.live and time.perf_counter() >= self._next

    def update(self, current: int, logs: dict[str, Any]) -> None:
        """Draw the bar at `current` steps, if it is time to."""
        if not self.due():
            return
        self._next = time.perf_counter() + INTERVAL
        self._draw(current, logs)

    def _draw(self, current: int, logs: dict[str, Any]) -> None:
        if self.bar is None:
            self.bar = make_bar(self.target, self.stream)
        self.bar.set_postfix_str(format_logs(logs), refresh=False)
        self.bar.n = current
        self.bar.refresh()

    def finish(self, current: int, logs: dict[str, Any]) -> None:
        """Draw the last state and leave it on the screen."""
        if self.verbose == 0:
            return
        if self.live:
            self._draw(current, logs)
            self.close()
            return
        seconds = time.perf_counter() - self.start
        total = self.target if self.target is not None else current
        width = len(str(total))
        line = f"{current:{width}d}/{total} - {seconds:.0f}s"
        line += f" - {format_step_time(seconds / max(current, 1))}"
        if logs:
            line += f" - {format_logs(logs)}"
        print(line, file=self.stream, flush=True)

    def close(self) -> None:
        """Release the bar, drawn to its end or not."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
